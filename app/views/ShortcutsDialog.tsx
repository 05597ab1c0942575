// ShortcutsDialog.tsx: the overlay that lists the keys.

import { Dialog } from './Dialog.tsx'
import { GRID_KEYS, SHORTCUTS } from './shortcuts.ts'

export function ShortcutsDialog() {
  const entries: [string, string][] = [
    ...SHORTCUTS.map(({ keys, does }): [string, string] => [keys, does]),
    ...GRID_KEYS,
  ]
  return (
    <Dialog title="Keyboard">
      <dl class="shortcuts">
        {entries.map(([keys, does]) => (
          <div key={keys}>
            <dt>
              {keys.split(' ').map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  )
}
