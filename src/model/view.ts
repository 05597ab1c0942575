// view.ts: what one grid shows of a capture: its rows through a filter, in an order. (Signature first; body follows.)

import type { RowId } from '../protocol/ids.ts'
import { ROW_BYTES, type Sort, WINDOW_HEADER_BYTES, WINDOW_MAGIC } from '../protocol/wire.ts'
import type { Capture } from './capture.ts'

export class View {
  constructor(
    readonly capture: Capture,
    readonly filter: string,
    readonly sort: Sort | null,
  ) {}

  /** Rows that the filter lets through, as of the last `advance`. */
  get shown(): number {
    return 0
  }

  /** Whether `advance` has nothing left to do. */
  get complete(): boolean {
    return true
  }

  /** Takes in what changed in the capture, a bounded piece per call; true if the view may look different now. */
  advance(): boolean {
    return false
  }

  /** The binary frame of wire.ts for rows `first .. first + count` of the view, cut to what there is. */
  writeWindow(first: number, count: number, viewStamp: number): Uint8Array {
    const rows = Math.max(0, Math.min(count, this.shown - first))
    const frame = new Uint8Array(WINDOW_HEADER_BYTES + rows * ROW_BYTES)
    const header = new DataView(frame.buffer)
    header.setUint32(0, WINDOW_MAGIC, true)
    header.setUint32(4, rows, true)
    header.setUint32(8, first, true)
    header.setUint32(12, this.shown, true)
    header.setUint32(16, viewStamp, true)
    return frame
  }

  /** Where a row stands in the view, or -1. */
  indexOf(_row: RowId): number {
    return -1
  }
}
