// RecordDialog.tsx: where a capture file is to be written, and when to go on in another.

import { useLayoutEffect, useState } from 'preact/hooks'
import { parseFilesKept, parseRotationSize, parseRotationTime, rotationOf } from '../../src/formats/quotas.ts'
import { TextError } from '../../src/formats/text-error.ts'
import type { Rotation } from '../../src/protocol/wire.ts'
import { openDialog } from '../state/dialogs.ts'
import { command, problem, session } from '../state/link.ts'
import { Dialog } from './Dialog.tsx'

/** The fields as they are typed; '' = not. */
interface Draft {
  path: string
  size: string
  time: string
  keep: string
}

export function RecordDialog() {
  const [draft, setDraft] = useState<Draft>(() => ({ path: suggestedName(), size: '', time: '', keep: '' }))
  /** As it stands it has been tried: what went wrong is about it. */
  const [tried, setTried] = useState(false)
  const recording = session.value?.recording
  useLayoutEffect(() => {
    if (recording) openDialog.value = null
  }, [recording])
  const rotation = readRotation(draft)
  const wrong = typeof rotation === 'string' ? rotation : tried ? problem.value : ''
  const start = (event: Event) => {
    event.preventDefault()
    if (typeof rotation === 'string') return
    command({ type: 'record', path: draft.path.trim(), rotation })
    setTried(true)
  }
  const text = (field: keyof Draft, label: string, hint: string) => (
    <input
      class={field === 'path' ? 'mono' : ''}
      aria-label={label}
      placeholder={hint}
      value={draft[field]}
      spellcheck={false}
      onInput={(event) => {
        setDraft({ ...draft, [field]: event.currentTarget.value })
        setTried(false)
      }}
      autofocus={field === 'path'}
    />
  )
  return (
    <Dialog title="Record to a file">
      <form class="capture-form" onSubmit={start}>
        <span>File</span>
        <span class="inline">{text('path', 'File', 'drivermon.pcapng')}</span>
        <span>New file</span>
        <span class="inline">
          at {text('size', 'Size of a file', '256MB')} or after {text('time', 'Time of a file', '1h')}
        </span>
        <span>Keep</span>
        <span class="inline">the newest {text('keep', 'Files kept', 'all')} files</span>
        <p class={wrong ? 'error' : 'dim'} role={wrong ? 'alert' : undefined}>
          {wrong ||
            'Pcapng, which Wireshark opens. A relative path counts from the folder in which DriverMon was started. Where there are several files, number and time are added to the name.'}
        </p>
        <footer class="dialog-foot">
          <span />
          <button
            type="submit"
            class="button primary"
            disabled={typeof rotation === 'string' || draft.path.trim() === ''}
          >
            Record
          </button>
        </footer>
      </form>
    </Dialog>
  )
}

/** null = one file; a text says what is wrong. */
function readRotation({ size, time, keep }: Draft): Rotation | null | string {
  const read = (text: string, parse: (text: string) => number) => (text.trim() === '' ? 0 : parse(text))
  try {
    return rotationOf({
      sizeBytes: read(size, parseRotationSize),
      timeMs: read(time, parseRotationTime),
      keep: read(keep, parseFilesKept),
    })
  } catch (error) {
    if (error instanceof TextError) return error.sentence
    throw error
  }
}

function suggestedName(): string {
  const now = new Date()
  const two = (value: number) => String(value).padStart(2, '0')
  const date = `${now.getFullYear()}${two(now.getMonth() + 1)}${two(now.getDate())}`
  return `drivermon-${date}-${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}.pcapng`
}
