// frames.ts: what the page and its worker say to each other. The page imports these types and nothing else from here.
//
// The worker pushes whole pictures (a window, a chart, a status), never single records; the page draws the latest.

import type { CaptureSettings } from '../../src/protocol/capture-settings.ts'
import type { FunctionIndex, RowId } from '../../src/protocol/ids.ts'
import type {
  DriverEntry,
  InFlightList,
  Names,
  Rotation,
  RowDetail,
  SessionState,
  Tick,
  ViewRequest,
} from '../../src/protocol/wire.ts'

export type ConnectionState =
  | { kind: 'connecting' }
  | { kind: 'open'; coreVersion: string }
  /** Lost, or never there; the worker tries again by itself. */
  | { kind: 'lost'; attempts: number }
  /** The core speaks another version: only a reload can help. */
  | { kind: 'mismatch'; coreVersion: string }

/** Counts and truths for the status bar; the counters behind the charts stay in the worker. */
export type Status = Omit<Tick, 'functions' | 'latency'>

export interface Series {
  /** null = all the functions that have no series of their own. */
  functionIndex: FunctionIndex | null
  /** Requests per second, oldest bin first. */
  rates: Float64Array
}

/** Rates of the last seconds, per second. */
export interface TopEntry {
  /** Key of the list: a function or a driver. */
  key: number
  requests: number
  errors: number
  pended: number
  bytes: number
}

export interface ChartsFrame {
  type: 'charts'
  secondsPerBin: number
  /** The largest since Start first; the rest summed up last. */
  series: Series[]
  /** Requests per second, now. */
  rate: number
  functions: TopEntry[]
  drivers: TopEntry[]
  /** Completions per bin and log2 bucket: bin after bin, `buckets` values each, oldest first. */
  heat: Float32Array
  buckets: number
  /** Over the bins shown, in ticks; NaN when nothing has ended. */
  percentiles: { p50: number; p99: number; p999: number }
}

/** A payload with its bytes at hand. */
export interface PayloadBytes {
  bytes: Uint8Array
  total: number
  isName: boolean
  missed: RowDetail['input']['missed']
}

export type Detail = Omit<RowDetail, 'input' | 'output'> & { input: PayloadBytes; output: PayloadBytes }

export type Frame =
  | { type: 'connection'; state: ConnectionState }
  | { type: 'state'; state: SessionState }
  | { type: 'drivers'; drivers: DriverEntry[] }
  | { type: 'names'; names: Names }
  | { type: 'inFlight'; list: InFlightList }
  | { type: 'status'; status: Status }
  | ChartsFrame
  /** The bytes of a RowWindow, and what was asked for when the core sent it. */
  | { type: 'rows'; buffer: ArrayBuffer; view: View }
  /** null = the row is no longer in the store. */
  | { type: 'detail'; row: RowId; detail: Detail | null }
  | { type: 'filterError'; filter: string; message: string; start: number; end: number }
  | { type: 'error'; message: string }
  | { type: 'notice'; message: string }

export interface View extends ViewRequest {
  /** Counts the page's changes of filter and order: rows of an earlier one are not those asked for. */
  query: number
}

/** What the page may ask of the core, besides looking at rows. */
export type Command =
  | { type: 'listDrivers' }
  | { type: 'addDriver'; name: string; force: boolean }
  | { type: 'removeDriver'; name: string }
  | { type: 'start' }
  | { type: 'stop' }
  | { type: 'clear' }
  | { type: 'configure'; settings: CaptureSettings }
  | { type: 'inFlight' }
  | { type: 'record'; path: string; rotation: Rotation | null }
  | { type: 'setBudget'; bytes: number }
  | { type: 'stopRecord' }

export interface WorkerApi {
  /** Opens the socket and keeps it open. Frames go to `listener` from now on. */
  connect(url: string, listener: (frame: Frame) => void): void
  /** Tries again at once instead of when the waiting time is over. */
  reconnect(): void
  command(command: Command): void
  look(view: View): void
  detail(row: RowId): void
}
