// capture-draft.ts: the capture options as fields that somebody types into, and back.

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
import type { CaptureSettings, Choice } from '../../src/protocol/capture-settings.ts'
import { MAX_SNAP_LENGTH } from '../../src/protocol/layout.ts'

export interface ChoiceDraft {
  mode: Choice<never>['mode']
  text: string
}

/** The fields as they are typed. */
export interface CaptureDraft {
  drivers: ChoiceDraft
  functions: ChoiceDraft
  codes: ChoiceDraft
  processes: ChoiceDraft
  errorsOnly: boolean
  minimumLatency: string
  sampleEvery: string
  ownProcesses: boolean
  inputSnapLength: string
  outputSnapLength: string
}

export function draftOf({ predicates, inputSnapLength, outputSnapLength }: CaptureSettings): CaptureDraft {
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
export function readDraft(draft: CaptureDraft): CaptureSettings | string {
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

function readChoice<T>({ mode, text }: ChoiceDraft, parse: (text: string) => T[]): Choice<T> {
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
