// wire.ts: what the core's server and the UI's worker say to each other over the WebSocket.
//
// Text frames are JSON: one ClientMessage or ServerMessage each. Binary frames are windows of rows (below), the only
// thing that is sent often and in bulk. Numbers travel; names are made at the far end by src/formats, so a row costs
// ROW_BYTES whatever it says. Strings that only the core knows (drivers, processes, paths) travel once, as `names`.
//
// The UI never holds the capture: it asks for a window of a view and gets that window again whenever it changed.

import type { CaptureSettings } from './capture-settings.ts'
import type { RequestInFlight } from './control.ts'
import type { DriverId, FunctionIndex, RowId, Ticks } from './ids.ts'

export const WIRE_VERSION = 2

/** Of what may be asked for as a filter, in UTF-16 units; the core says so of a longer one. */
export const MAX_FILTER_LENGTH = 8192

/** How the grid may be sorted. `null` = capture order. Names are those of model/fields.ts. */
export interface Sort {
  field: string
  descending: boolean
}

/** What a grid shows: a filter ('' = all), an order, and a window of `count` rows. */
export interface ViewRequest {
  filter: string
  sort: Sort | null
  /** Index of the window's first row within the view; with an anchor, as long as that row stands at its `index`. */
  first: number
  count: number
  /** The window is the view's last rows, whatever `first` and `anchor` say. */
  follow: boolean
  /**
   * A row that keeps its place in the window while others come, leave or are sorted before it: the selected one when
   * the filter or the order changes, the topmost one while old rows leave. The window moves by as much as that row has
   * moved since it stood at `index`; its header says where it stands now.
   */
  anchor: { row: RowId; index: number } | null
}

export type ClientMessage =
  /** First message. */
  | { type: 'hello'; wire: number }
  | { type: 'listDrivers' }
  /** `force`: although it is a driver that PatchGuard is known to check. */
  | { type: 'addDriver'; name: string; force: boolean }
  | { type: 'removeDriver'; name: string }
  /** Begins a new capture of the drivers added; the rows of an earlier one are dropped. */
  | { type: 'start' }
  | { type: 'stop' }
  | { type: 'clear' }
  | { type: 'configure'; settings: CaptureSettings }
  /** Answered by one `inFlight`. */
  | { type: 'inFlight' }
  | { type: 'record'; path: string; rotation: Rotation | null }
  | { type: 'stopRecord' }
  /** How much memory rows and payload may take; the oldest leave at once if they take more. */
  | { type: 'setBudget'; bytes: number }
  /** What the grid shows. */
  | ({ type: 'view' } & ViewRequest)
  /** Everything of one row, with payload. `stamp` comes back in the answer. */
  | { type: 'detail'; row: RowId; stamp: number }

/** A recording that goes on in another file from time to time; 0 = not for this reason, or keep all. */
export interface Rotation {
  sizeBytes: number
  timeMs: number
  keep: number
}

/** Below, a file would hold little beside its own head. */
export const MIN_ROTATION_BYTES = 1 << 20
export const MIN_ROTATION_MS = 1000
/** One would be deleted as the other begins: nothing would be left to look at. */
export const MIN_FILES_KEPT = 2
export const MAX_FILES_KEPT = 100_000

/** Below, not even the newest rows would stay. */
export const MIN_BUDGET_BYTES = 8 << 20

export interface DriverEntry {
  name: string
  displayName: string
  hooked: boolean
  /** Why it is not a good idea to hook it, or ''. */
  warning: string
}

/** A capture's state; sent on connect and at each change. */
export interface SessionState {
  source: 'device' | 'sim' | 'file'
  /** For people: `Simulated kernel`, `Windows 11 (10.0.26100)`, `Wine 8.0`, or a file's name. */
  sourceLabel: string
  running: boolean
  drivers: { name: string; driverId: DriverId }[]
  /** Path of the capture file being written, or ''. */
  recording: string
  /** Why the last recording has ended by itself, or ''. */
  recordingFailure: string
  settings: CaptureSettings
  /** Which requests are (or, in a file, were) recorded, in words; '' = all. */
  recordedOnly: string
  driverVersion: string
  ticksPerSecond: number
  /** An anchor: at `anchorTicks` it was `anchorUtcMs` (milliseconds since 1970, UTC, fractional). */
  anchorTicks: Ticks
  anchorUtcMs: number
}

/** Sent ten times a second while anything changed, and once on connect. Counts are since Start. */
export interface Tick {
  /** Time of the counters' reading. */
  at: Ticks
  /** Cumulative, exact, from the driver's counters: `[driverId, function, arrivals, errors, pended, bytesIn, bytesOut]`. */
  functions: [DriverId, FunctionIndex, number, number, number, number, number][]
  /** Cumulative completions per log2(ticks) bucket, over all functions. */
  latency: number[]
  /** Rows in the store, and those that have left it for want of room. */
  rows: number
  evictedRows: number
  /** Rows that the view's filter lets through. */
  shown: number
  /** Records lost, by LossReason: starts, ends; others. */
  droppedStarts: number[]
  droppedEnds: number[]
  droppedOthers: number
  /** Requests that are not recorded: by a predicate, and by sampling. */
  filtered: number
  sampledOut: number
  /** Ends without a start, and (once stopped) starts without an end. */
  unpaired: number
  /** Rows still in flight. */
  inFlight: number
  /** While running: requests in flight, recorded or not, by the driver's count. */
  outstanding: number
  storeBytes: number
  budgetBytes: number
  ringUsed: number
  ringSize: number
  recordedBytes: number
}

/** Strings by number; each is sent once, before the first window that needs it, and again when it was to be forgotten. */
export interface Names {
  drivers: [DriverId, string][]
  /** Index into the store's dictionary of process names, which rows carry as `process`. */
  processes: [number, string][]
  /** Index into the store's dictionary of details (file names of CREATE), which rows carry as `detail`. */
  details: [number, string][]
  /** Details sent before are sent again when they are needed: there were so many that they are better forgotten. */
  forgetDetails: boolean
}

/** The oldest requests that have not ended, oldest first. */
export interface InFlightList {
  /** Time of the reading. */
  at: Ticks
  /** How many there are in all. */
  total: number
  requests: (RequestInFlight & { driverName: string; processName: string })[]
}

export type ServerMessage =
  | { type: 'hello'; wire: number; version: string }
  | { type: 'state'; state: SessionState }
  | { type: 'drivers'; drivers: DriverEntry[] }
  | { type: 'tick'; tick: Tick }
  | { type: 'names'; names: Names }
  | { type: 'inFlight'; list: InFlightList }
  | { type: 'detail'; stamp: number; detail: RowDetail | null }
  /** The view's filter could not be understood; the earlier one stays in force. Offsets into the filter text. */
  | { type: 'filterError'; filter: string; message: string; start: number; end: number }
  /** Something asked for did not work; says what to do. */
  | { type: 'error'; message: string }
  /** Something went wrong by itself. */
  | { type: 'notice'; message: string }

/** One row with all that is known of it. Addresses and offsets are hex or decimal strings: they need 64 bits. */
export interface RowDetail {
  row: RowId
  requestId: number
  irp: string
  deviceObject: string
  fileObject: string
  driverId: DriverId
  driverName: string
  processId: number
  threadId: number
  requestorProcessId: number
  processName: string
  requestorProcessName: string
  major: number
  minor: number
  fastIo: boolean
  requestorMode: number
  irql: number
  startProcessor: number
  flags: number
  irpFlags: number
  code: number
  inputLength: number
  outputLength: number
  byteOffset: string
  /** An IRP that follows a fast-I/O call that fell through: that call's row, or null if it is not among the rows. */
  continues: { row: RowId | null } | null
  /** A fast-I/O call that fell through: the row of the IRP that followed, if it is known. */
  continuedBy: RowId | null
  arrival: Ticks
  /** null while in flight, and where it was lost. */
  end: {
    completion: Ticks
    status: number
    information: string
    irql: number
    processor: number
    processId: number
    threadId: number
    processName: string
  } | null
  input: Payload
  output: Payload
}

export interface Payload {
  base64: string
  /** Bytes there were to capture. */
  total: number
  /** The bytes are a file name in UTF-16LE. */
  isName: boolean
  /** There were bytes that could not be read, or (METHOD_NEITHER) that cannot be read at that moment by rule. */
  missed: 'unreadable' | 'beyond-reach' | null
}

// A binary frame: WindowHeader, then `count` rows. Little-endian, 8-aligned.
//
//   WindowHeader   0 u32 magic 'DMW1'   4 u32 count   8 u32 first (index within the view)   12 u32 shown (rows of the view)
//                 16 u32 viewStamp (counts the `view` messages of this connection)            24 u32 flags (WindowFlags)
//                 20 u32 anchorIndex: where the anchor stands in the view; if it is not in it (any more, or yet), where
//                        the window takes it to stand. 0 without an anchor                    28 u32 reserved
//   Row            0 f64 rowId    8 f64 arrival ticks   16 f64 latency ticks (NaN = in flight)   24 f64 information
//                 32 u32 driverId   36 u32 processId   40 u32 threadId   44 u32 flags (RequestFlags)
//                 48 u32 code   52 u32 status   56 u32 inputLength   60 u32 outputLength
//                 64 u32 process (dictionary)   68 u32 detail (dictionary; 0 = none)   72 u8 major  73 u8 minor  74 u16 processor
//                 76 u32 state (RowState)
export const WINDOW_MAGIC = 0x31574d44
export const WINDOW_HEADER_BYTES = 32
export const ROW_BYTES = 80

export const WindowFlags = {
  /** The view has taken in all rows there are; without it, it is still being filtered or sorted. */
  Complete: 1,
  /** The anchor's row is in the view. */
  Anchored: 2,
  /** The rows, their indices and `shown` are still those of the filter and order before: the new ones take a moment. */
  Earlier: 4,
  /** They are, byte for byte, the rows of the frame before, which answered the same message: only the header is sent. */
  SameRows: 8,
} as const

export const RowState = { InFlight: 0, Done: 1, Unseen: 2, EndLost: 3, StartLost: 4 } as const
