// RecordDialog.tsx: where a capture file is to be written.

import { useState } from 'preact/hooks'
import { openDialog } from '../state/dialogs.ts'
import { command } from '../state/link.ts'
import { Dialog } from './Dialog.tsx'

export function RecordDialog() {
  const [path, setPath] = useState(suggestedName)
  const start = (event: Event) => {
    event.preventDefault()
    command({ type: 'record', path: path.trim(), rotation: null })
    openDialog.value = null
  }
  return (
    <Dialog title="Record to a file">
      <form class="record-form" onSubmit={start}>
        <label>
          File
          <input
            class="mono"
            value={path}
            spellcheck={false}
            onInput={(event) => setPath(event.currentTarget.value)}
            autofocus
          />
        </label>
        <p class="dim">
          A pcapng file, which Wireshark opens. A relative path counts from the folder in which DriverMon was
          started.
        </p>
        <footer class="dialog-foot">
          <span />
          <button type="submit" class="button primary" disabled={path.trim() === ''}>
            Record
          </button>
        </footer>
      </form>
    </Dialog>
  )
}

function suggestedName(): string {
  const now = new Date()
  const two = (value: number) => String(value).padStart(2, '0')
  const date = `${now.getFullYear()}${two(now.getMonth() + 1)}${two(now.getDate())}`
  return `drivermon-${date}-${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}.pcapng`
}
