// RestartDialog.tsx: asked before a new capture takes the place of rows that nothing else holds.

import { formatCount } from '../../src/formats/values.ts'
import { openDialog } from '../state/dialogs.ts'
import { command, status } from '../state/link.ts'
import { Dialog } from './Dialog.tsx'

export function RestartDialog() {
  const start = (event: Event) => {
    event.preventDefault()
    command({ type: 'start' })
    openDialog.value = null
  }
  return (
    <Dialog title="Start a new capture?">
      <form class="capture-form" onSubmit={start}>
        <p class="dim">
          The {formatCount(status.value?.rows ?? 0)} requests in memory give way to it. What is recorded to a
          file (R) stays.
        </p>
        <footer class="dialog-foot">
          <span />
          <button type="submit" class="button primary" autofocus>
            Start anew
          </button>
        </footer>
      </form>
    </Dialog>
  )
}
