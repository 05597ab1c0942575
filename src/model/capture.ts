// capture.ts: a capture as the rest of the product sees it: records go in, rows come out. (Signature first; body follows.)

import type { DriverId, FunctionIndex, RowId, Ticks } from '../protocol/ids.ts'
import { type Losses, noLosses } from '../protocol/records.ts'
import type { RowDetail, Sort } from '../protocol/wire.ts'
import { View } from './view.ts'

export interface CaptureOptions {
  /** Memory for rows and payload; the oldest rows leave when it is used up. */
  budgetBytes: number
  ticksPerSecond: number
  anchorTicks: Ticks
  /** Milliseconds since 1970, UTC, at `anchorTicks`. */
  anchorUtcMs: number
}

export interface KnownProcess {
  processId: number
  parentProcessId: number
  name: string
}

/** What one function of one driver did, over the whole capture (evicted rows too). Latencies in ticks, NaN if none. */
export interface FunctionStatistics {
  driverId: DriverId
  driverName: string
  function: FunctionIndex
  /** Requests seen: starts, and ends whose start was lost. */
  count: number
  inFlight: number
  errors: number
  cancelled: number
  pended: number
  bytesIn: number
  bytesOut: number
  /** From a histogram of 32 steps per power of two: within 1.6 %. */
  p50: number
  p99: number
  /** Exact. */
  max: number
}

/** One request while one goes through them: valid until the next is taken. */
export interface Request {
  readonly row: RowId
  /** By a field's name (fields.ts): null = absent, as the status of a request in flight. */
  value(field: string): string | number | bigint | boolean | null
  /** As a person would read it: `1.25 ms`, `IOCTL_AFD_RECV`, `STATUS_SUCCESS`; '' if absent. */
  text(field: string): string
  detail(): RowDetail
}

export class Capture {
  constructor(readonly options: CaptureOptions) {}

  /** Rows at hand are `firstRow .. endRow`; a row keeps its number, evicted ones leave theirs unused. */
  readonly firstRow = 0 as RowId
  readonly endRow = 0 as RowId
  get rowCount(): number {
    return this.endRow - this.firstRow
  }
  /** Rows at hand whose end has not come. */
  readonly inFlight = 0
  /** Ends whose start never came; each is a row with the state StartLost. */
  readonly unpairedEnds = 0
  readonly storeBytes = 0
  readonly losses: Losses = noLosses()

  /** Append-only: by driver id, and by the number that rows carry. Number 0 is "not known" or "none". */
  readonly drivers: ReadonlyMap<DriverId, string> = new Map()
  readonly processNames: readonly string[] = ['']
  readonly details: readonly string[] = ['']

  /** Takes in records back to back. Throws RecordError for a malformed one; the records before it are in. */
  ingest(_batch: Uint8Array): void {}

  /** Names from a snapshot of the system's processes, valid from `at` on unless a record says otherwise. */
  learnProcesses(_list: readonly KnownProcess[], _at: Ticks): void {}

  /** Process ids seen without a name since this was last asked. */
  unknownProcesses(): number[] {
    return []
  }

  /** The capture has ended: no record will come. */
  finish(): void {}

  detail(_row: RowId): RowDetail | null {
    return null
  }

  /** Throws FilterError for a filter that cannot be understood or a field that cannot be sorted by. '' = all. */
  view(filterText: string, sort: Sort | null): View {
    return new View(this, filterText, sort)
  }

  /** Goes through the rows that a filter lets through, in capture order, without building them all. Throws FilterError. */
  *requests(_filterText: string): Iterable<Request> {}

  stats(): FunctionStatistics[] {
    return []
  }
}
