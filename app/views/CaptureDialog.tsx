// CaptureDialog.tsx: which requests are recorded, and how much of each: set before a capture, changed while it runs.

import { useState } from 'preact/hooks'
import { DEFAULT_SETTINGS } from '../../src/protocol/capture-settings.ts'
import { openDialog } from '../state/dialogs.ts'
import { command, session } from '../state/link.ts'
import { type CaptureDraft, type ChoiceDraft, draftOf, readDraft } from '../text/capture-draft.ts'
import { Dialog } from './Dialog.tsx'

export function CaptureDialog() {
  const [draft, setDraft] = useState(() => draftOf(session.value?.settings ?? DEFAULT_SETTINGS))
  const change = (part: Partial<CaptureDraft>) => setDraft({ ...draft, ...part })
  const read = readDraft(draft)
  const apply = (event: Event) => {
    event.preventDefault()
    if (typeof read === 'string') return
    command({ type: 'configure', settings: read })
    openDialog.value = null
  }
  const choice = (field: 'drivers' | 'functions' | 'codes' | 'processes', label: string, hint: string) => (
    <ChoiceField
      label={label}
      hint={hint}
      value={draft[field]}
      set={(value) => change({ [field]: value })}
      isFirst={field === 'drivers'}
    />
  )
  const text = (
    field: 'minimumLatency' | 'sampleEvery' | 'inputSnapLength' | 'outputSnapLength',
    label: string,
    hint = '',
  ) => (
    <input
      aria-label={label}
      placeholder={hint}
      value={draft[field]}
      spellcheck={false}
      onInput={(event) => change({ [field]: event.currentTarget.value })}
    />
  )
  return (
    <Dialog title="Capture options">
      <form class="capture-form" onSubmit={apply}>
        {choice('drivers', 'Drivers', 'AFD; others are counted')}
        {choice('functions', 'Functions', 'READ, WRITE, FAST_IO')}
        {choice('codes', 'Control codes', 'IOCTL_AFD_RECV, 0x12017')}
        {choice('processes', 'Processes', 'process ids: 4, 1208')}
        <span>Latency</span>
        <span class="inline">at least {text('minimumLatency', 'Least latency', 'any, or 1ms')}</span>
        <span>Sampling</span>
        <span class="inline">one request in {text('sampleEvery', 'One request in')}</span>
        <span>Also</span>
        <span class="inline">
          <label>
            <input
              type="checkbox"
              checked={draft.errorsOnly}
              onInput={(event) => change({ errorsOnly: event.currentTarget.checked })}
            />{' '}
            only requests that fail
          </label>
          <label>
            <input
              type="checkbox"
              checked={draft.ownProcesses}
              onInput={(event) => change({ ownProcesses: event.currentTarget.checked })}
            />{' '}
            DriverMon’s own, too
          </label>
        </span>
        <span>Bytes kept</span>
        <span class="inline">
          of input {text('inputSnapLength', 'Bytes kept of input')} of output{' '}
          {text('outputSnapLength', 'Bytes kept of output')}
        </span>
        <p
          class={typeof read === 'string' ? 'error' : 'dim'}
          role={typeof read === 'string' ? 'alert' : undefined}
        >
          {typeof read === 'string'
            ? read
            : 'Charts and rates always count every request. The bytes kept change with the next start.'}
        </p>
        <footer class="dialog-foot">
          <button type="button" class="button" onClick={() => setDraft(draftOf(DEFAULT_SETTINGS))}>
            Record everything
          </button>
          <button type="submit" class="button primary" disabled={typeof read === 'string'}>
            Apply
          </button>
        </footer>
      </form>
    </Dialog>
  )
}

interface ChoiceFieldProps {
  label: string
  hint: string
  value: ChoiceDraft
  set: (value: ChoiceDraft) => void
  isFirst: boolean
}

function ChoiceField({ label, hint, value, set, isFirst }: ChoiceFieldProps) {
  return (
    <>
      <span>{label}</span>
      <span class="inline">
        <select
          aria-label={`${label}: which`}
          autofocus={isFirst}
          value={value.mode}
          onInput={(event) => set({ ...value, mode: event.currentTarget.value as ChoiceDraft['mode'] })}
        >
          <option value="any">all</option>
          <option value="only">only</option>
          <option value="allBut">all but</option>
        </select>
        <input
          class="mono"
          aria-label={label}
          placeholder={hint}
          value={value.text}
          spellcheck={false}
          // Who names some wants a choice among them.
          onInput={(event) =>
            set({ mode: value.mode === 'any' ? 'only' : value.mode, text: event.currentTarget.value })
          }
        />
      </span>
    </>
  )
}
