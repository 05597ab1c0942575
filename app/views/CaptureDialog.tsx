// CaptureDialog.tsx: which requests are recorded, and how much of each: set before a capture, changed while it runs.

import { useState } from 'preact/hooks'
import { parseDriverNames } from '../../src/formats/driver-names.ts'
import {
  formatCodes,
  formatFunctions,
  parseCodes,
  parseDuration,
  parseFunctions,
  parseProcessIds,
} from '../../src/formats/predicates.ts'
import { TextError } from '../../src/formats/text-error.ts'
import { formatDuration } from '../../src/formats/values.ts'
import { type CaptureSettings, type Choice, DEFAULT_SETTINGS } from '../../src/protocol/capture-settings.ts'
import { MAX_SNAP_LENGTH } from '../../src/protocol/layout.ts'
import { openDialog } from '../state/dialogs.ts'
import { command, session } from '../state/link.ts'
import { Dialog } from './Dialog.tsx'

type Mode = Choice<never>['mode']

/** The fields as they are typed. */
interface Draft {
  drivers: { mode: Mode; text: string }
  functions: { mode: Mode; text: string }
  codes: { mode: Mode; text: string }
  processes: { mode: Mode; text: string }
  errorsOnly: boolean
  minimumLatency: string
  sampleEvery: string
  ownProcesses: boolean
  inputSnapLength: string
  outputSnapLength: string
}

export function CaptureDialog() {
  const [draft, setDraft] = useState(() => draftOf(session.value?.settings ?? DEFAULT_SETTINGS))
  const change = (part: Partial<Draft>) => setDraft({ ...draft, ...part })
  const read = readDraft(draft)
  const apply = (event: Event) => {
    event.preventDefault()
    if (typeof read === 'string') return
    command({ type: 'configure', settings: read })
    openDialog.value = null
  }
  const choice = (field: 'drivers' | 'functions' | 'codes' | 'processes', label: string, hint: string) => (
    <ChoiceField label={label} hint={hint} value={draft[field]} set={(value) => change({ [field]: value })} />
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
  value: { mode: Mode; text: string }
  set: (value: { mode: Mode; text: string }) => void
}

function ChoiceField({ label, hint, value, set }: ChoiceFieldProps) {
  return (
    <>
      <span>{label}</span>
      <span class="inline">
        <select
          aria-label={`${label}: which`}
          value={value.mode}
          onInput={(event) => set({ ...value, mode: event.currentTarget.value as Mode })}
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

function draftOf({ predicates, inputSnapLength, outputSnapLength }: CaptureSettings): Draft {
  const { drivers, functions, codes, processes, errorsOnly, minimumLatencyNs, sampleEvery, ownProcesses } =
    predicates
  return {
    drivers: { mode: drivers.mode, text: drivers.values.join(', ') },
    functions: { mode: functions.mode, text: formatFunctions(functions.values) },
    codes: { mode: codes.mode, text: formatCodes(codes.values) },
    processes: { mode: processes.mode, text: processes.values.join(', ') },
    errorsOnly,
    minimumLatency: minimumLatencyNs > 0 ? exactDuration(minimumLatencyNs) : '',
    sampleEvery: String(sampleEvery),
    ownProcesses,
    inputSnapLength: String(inputSnapLength),
    outputSnapLength: String(outputSnapLength),
  }
}

/** As a person would write it if that is exact, else in nanoseconds. */
function exactDuration(ns: number): string {
  const short = formatDuration(ns)
  try {
    if (parseDuration(short) === ns) return short
  } catch {
    // Longer ones are written in a way that does not read back: `3 min 05 s`.
  }
  return `${ns}ns`
}

/** The settings, or what is wrong. */
function readDraft(draft: Draft): CaptureSettings | string {
  try {
    return {
      predicates: {
        drivers: readChoice(draft.drivers, parseDriverNames),
        functions: readChoice(draft.functions, parseFunctions),
        codes: readChoice(draft.codes, parseCodes),
        processes: readChoice(draft.processes, parseProcessIds),
        errorsOnly: draft.errorsOnly,
        minimumLatencyNs: draft.minimumLatency.trim() === '' ? 0 : parseDuration(draft.minimumLatency),
        sampleEvery: readWhole(draft.sampleEvery, 1, 0xffffffff, 'One request in'),
        ownProcesses: draft.ownProcesses,
      },
      inputSnapLength: readWhole(draft.inputSnapLength, 0, MAX_SNAP_LENGTH, 'Bytes kept of input'),
      outputSnapLength: readWhole(draft.outputSnapLength, 0, MAX_SNAP_LENGTH, 'Bytes kept of output'),
    }
  } catch (error) {
    if (error instanceof TextError) return error.sentence
    throw error
  }
}

function readChoice<T>(
  { mode, text }: { mode: Mode; text: string },
  parse: (text: string) => T[],
): Choice<T> {
  const values = parse(text)
  return mode === 'any' || values.length === 0 ? { mode: 'any', values: [] } : { mode, values }
}

function readWhole(text: string, least: number, most: number, label: string): number {
  const value = Number(text)
  if (!/^\s*\d+\s*$/.test(text) || value < least || value > most) {
    throw new TextError(`${label}: a whole number from ${least} to ${most}`)
  }
  return value
}
