// ShortcutsDialog.tsx: the overlay that lists the keys.

import { Dialog } from './Dialog.tsx'
import { SHORTCUTS } from './shortcuts.ts'

/** grid-view.ts handles them. */
const GRID_KEYS: [string, string][] = [
  ['↑ ↓', 'Previous, next request'],
  ['PgUp PgDn', 'A page up, down'],
  ['Home End', 'First, last request'],
  ['← →', 'Previous, next value of it'],
  ['Menu', 'Filter by the value, copy it'],
  ['Ctrl C', 'Copy the row, or selected bytes'],
  ['Enter', 'Show its details'],
  ['Alt ← →', 'On a column’s head: move it'],
  ['Shift ← →', 'On a column’s head: resize it'],
]

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
