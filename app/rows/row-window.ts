// row-window.ts: a window of rows as it came over the wire, read in place.
//
// A frame is already laid out in aligned little-endian columns with a fixed stride, so decoding is two typed views and
// no copy. The same bytes go from socket to worker to page.

import type { DriverId, FunctionIndex, RowId } from '../../src/protocol/ids.ts'
import { MAJOR_FUNCTION_COUNT, RequestFlags } from '../../src/protocol/layout.ts'
import { ROW_BYTES, WINDOW_HEADER_BYTES, WINDOW_MAGIC, WindowFlags } from '../../src/protocol/wire.ts'

const F64_STRIDE = ROW_BYTES / 8
const U32_STRIDE = ROW_BYTES / 4

/** Which `view` message of its connection a frame answers. */
export function windowStamp(buffer: ArrayBuffer): number {
  return headerOf(buffer)[4]!
}

export class RowWindow {
  /** Index, within the view, of the first row here. */
  readonly first: number
  readonly count: number
  /** Rows of the whole view. */
  readonly shown: number
  /** Where the anchor asked for stands now, or would stand. */
  readonly anchorIndex: number
  /** WindowFlags. */
  private readonly windowFlags: number
  private readonly rows: ArrayBuffer
  private readonly f64: Float64Array
  private readonly u32: Uint32Array
  private readonly u8: Uint8Array

  /** `rows`: where `count` rows are. */
  private constructor(header: Uint32Array, rows: ArrayBuffer) {
    this.rows = rows
    this.count = header[1]!
    this.first = header[2]!
    this.shown = header[3]!
    this.anchorIndex = header[5]!
    this.windowFlags = header[6]!
    this.f64 = new Float64Array(rows, WINDOW_HEADER_BYTES, this.count * F64_STRIDE)
    this.u32 = new Uint32Array(rows, WINDOW_HEADER_BYTES, this.count * U32_STRIDE)
    this.u8 = new Uint8Array(rows, WINDOW_HEADER_BYTES, this.count * ROW_BYTES)
  }

  /** `before`: the window decoded before this one, whose rows it may refer to. */
  static decode(buffer: ArrayBuffer, before: RowWindow | null = null): RowWindow {
    const header = headerOf(buffer)
    if (header[0] !== WINDOW_MAGIC) throw new RangeError('window frame: wrong magic')
    const rows = header[6]! & WindowFlags.SameRows ? before?.rows : buffer
    if (rows?.byteLength !== WINDOW_HEADER_BYTES + header[1]! * ROW_BYTES)
      throw new RangeError(`window frame: ${rows?.byteLength ?? 0} bytes for ${header[1]} rows`)
    return new RowWindow(header, rows)
  }

  /** The anchor is in the view. */
  get isAnchored(): boolean {
    return (this.windowFlags & WindowFlags.Anchored) !== 0
  }

  /** All rows have been filtered and sorted, and these are of the filter and order asked for. */
  get isComplete(): boolean {
    return (this.windowFlags & (WindowFlags.Complete | WindowFlags.Earlier)) === WindowFlags.Complete
  }

  /** These are still the rows of the filter and order before. */
  get isEarlier(): boolean {
    return (this.windowFlags & WindowFlags.Earlier) !== 0
  }

  /** The same rows at the same places as in another one, whose view has not become shorter since. */
  continues(other: RowWindow | null): boolean {
    return this.rows === other?.rows && this.first === other.first && this.shown >= other.shown
  }

  /** Whether the row at that index of the view is here. */
  has(index: number): boolean {
    return index >= this.first && index < this.first + this.count
  }

  /** The index, within the view, of a row; -1 = it is not here. */
  indexOf(row: RowId): number {
    for (let i = 0; i < this.count; i++) if (this.rowId(i) === row) return this.first + i
    return -1
  }

  // Below, `row` counts from the window's beginning. Offsets are those drawn in wire.ts.

  rowId = (row: number): RowId => this.f64[row * F64_STRIDE]! as RowId
  arrival = (row: number): number => this.f64[row * F64_STRIDE + 1]!
  /** NaN while in flight. */
  latency = (row: number): number => this.f64[row * F64_STRIDE + 2]!
  information = (row: number): number => this.f64[row * F64_STRIDE + 3]!
  driverId = (row: number): DriverId => this.u32[row * U32_STRIDE + 8]! as DriverId
  processId = (row: number): number => this.u32[row * U32_STRIDE + 9]!
  threadId = (row: number): number => this.u32[row * U32_STRIDE + 10]!
  flags = (row: number): number => this.u32[row * U32_STRIDE + 11]!
  code = (row: number): number => this.u32[row * U32_STRIDE + 12]!
  status = (row: number): number => this.u32[row * U32_STRIDE + 13]!
  inputLength = (row: number): number => this.u32[row * U32_STRIDE + 14]!
  outputLength = (row: number): number => this.u32[row * U32_STRIDE + 15]!
  process = (row: number): number => this.u32[row * U32_STRIDE + 16]!
  detail = (row: number): number => this.u32[row * U32_STRIDE + 17]!
  functionIndex = (row: number): FunctionIndex =>
    (this.major(row) + (this.flags(row) & RequestFlags.FastIo ? MAJOR_FUNCTION_COUNT : 0)) as FunctionIndex
  major = (row: number): number => this.u8[row * ROW_BYTES + 72]!
  minor = (row: number): number => this.u8[row * ROW_BYTES + 73]!
  state = (row: number): number => this.u32[row * U32_STRIDE + 19]!
}

function headerOf(buffer: ArrayBuffer): Uint32Array {
  if (buffer.byteLength < WINDOW_HEADER_BYTES) throw new RangeError('window frame: shorter than its header')
  return new Uint32Array(buffer, 0, WINDOW_HEADER_BYTES / 4)
}
