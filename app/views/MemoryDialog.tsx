// MemoryDialog.tsx: how much memory rows may take.

import { useState } from 'preact/hooks'
import { parseBudget } from '../../src/formats/quotas.ts'
import { TextError } from '../../src/formats/text-error.ts'
import { formatBytes } from '../../src/formats/values.ts'
import { openDialog } from '../state/dialogs.ts'
import { command, status } from '../state/link.ts'
import { Dialog } from './Dialog.tsx'

export function MemoryDialog() {
  const [text, setText] = useState(() => formatBytes(status.value?.budgetBytes ?? 0))
  const bytes = read(text)
  const apply = (event: Event) => {
    event.preventDefault()
    if (typeof bytes === 'string') return
    command({ type: 'setBudget', bytes })
    openDialog.value = null
  }
  return (
    <Dialog title="Memory for rows">
      <form class="capture-form" onSubmit={apply}>
        <span>Rows</span>
        <span class="inline">
          at most{' '}
          <input
            aria-label="Memory for rows"
            placeholder="2GB"
            value={text}
            spellcheck={false}
            onInput={(event) => setText(event.currentTarget.value)}
            autofocus
          />
        </span>
        <p
          class={typeof bytes === 'string' ? 'error' : 'dim'}
          role={typeof bytes === 'string' ? 'alert' : undefined}
        >
          {typeof bytes === 'string'
            ? bytes
            : 'When it is used up, the oldest rows leave; with less than now, at once. A capture file keeps all.'}
        </p>
        <footer class="dialog-foot">
          <span />
          <button type="submit" class="button primary" disabled={typeof bytes === 'string'}>
            Apply
          </button>
        </footer>
      </form>
    </Dialog>
  )
}

/** Bytes, or what is wrong. */
function read(text: string): number | string {
  try {
    return parseBudget(text)
  } catch (error) {
    if (error instanceof TextError) return error.sentence
    throw error
  }
}
