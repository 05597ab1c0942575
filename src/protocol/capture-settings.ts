// capture-settings.ts: what a person may choose before, and while, requests are recorded: which ones, and how much of
// each. The driver's counters ignore it: rates stay those of all requests.

import type { FunctionIndex } from './ids.ts'
import { DEFAULT_SNAP_LENGTH } from './layout.ts'

/** Any; only these; or all but these. */
export interface Choice<T> {
  mode: 'any' | 'only' | 'allBut'
  values: readonly T[]
}

/** Which requests are recorded: those that pass every one of these. */
export interface CapturePredicates {
  /** Object names. A driver that does not pass is watched all the same, and its requests are counted. */
  drivers: Choice<string>
  functions: Choice<FunctionIndex>
  processes: Choice<number>
  /** IOCTL and FSCTL codes. A request without one passes. */
  codes: Choice<number>
  errorsOnly: boolean
  /** 0 = any. */
  minimumLatencyNs: number
  /** One request in so many; 1 = each. */
  sampleEvery: number
  /** Those of DriverMon itself and of what it starts, too. */
  ownProcesses: boolean
}

export interface CaptureSettings {
  predicates: CapturePredicates
  /** Bytes kept of each input and output; from the next start on. */
  inputSnapLength: number
  outputSnapLength: number
}

const ANY: Choice<never> = { mode: 'any', values: [] }

export const DEFAULT_PREDICATES: CapturePredicates = {
  drivers: ANY,
  functions: ANY,
  processes: ANY,
  codes: ANY,
  errorsOnly: false,
  minimumLatencyNs: 0,
  sampleEvery: 1,
  ownProcesses: false,
}

export const DEFAULT_SETTINGS: CaptureSettings = {
  predicates: DEFAULT_PREDICATES,
  inputSnapLength: DEFAULT_SNAP_LENGTH,
  outputSnapLength: DEFAULT_SNAP_LENGTH,
}

/** As the driver is after Hello: everything but its client's own requests. */
export function arePredicatesDefault(predicates: CapturePredicates): boolean {
  return !predicates.ownProcesses && !narrows(predicates)
}

/** Whether rows are fewer than requests because of these. */
export function narrows(predicates: CapturePredicates): boolean {
  const { drivers, functions, processes, codes, errorsOnly, minimumLatencyNs, sampleEvery } = predicates
  const chosen = [drivers, functions, processes, codes].some(({ mode }) => mode !== 'any')
  return chosen || errorsOnly || minimumLatencyNs > 0 || sampleEvery > 1
}
