// row-window.ts: a window of rows as it came over the wire, read in place.
//
// A frame is already laid out in aligned little-endian columns with a fixed stride, so decoding is two typed views and
// no copy. The same bytes go from socket to worker to page; a row that is not there yet is a row whose number is NaN.

import type { DriverId, FunctionIndex, RowId } from '../../src/protocol/ids.ts'
import { MAJOR_FUNCTION_COUNT, RequestFlags } from '../../src/protocol/layout.ts'
import { ROW_BYTES, WINDOW_HEADER_BYTES, WINDOW_MAGIC } from '../../src/protocol/wire.ts'

const F64_STRIDE = ROW_BYTES / 8
const U32_STRIDE = ROW_BYTES / 4

export class RowWindow {
  /** Index, within the view, of the first row here. */
  readonly first: number
  readonly count: number
  /** Rows of the whole view. */
  readonly shown: number
  readonly viewStamp: number
  private readonly f64: Float64Array
  private readonly u32: Uint32Array
  private readonly u8: Uint8Array

  private constructor(readonly buffer: ArrayBuffer) {
    const header = new Uint32Array(buffer, 0, WINDOW_HEADER_BYTES / 4)
    this.count = header[1]!
    this.first = header[2]!
    this.shown = header[3]!
    this.viewStamp = header[4]!
    this.f64 = new Float64Array(buffer, WINDOW_HEADER_BYTES, this.count * F64_STRIDE)
    this.u32 = new Uint32Array(buffer, WINDOW_HEADER_BYTES, this.count * U32_STRIDE)
    this.u8 = new Uint8Array(buffer, WINDOW_HEADER_BYTES, this.count * ROW_BYTES)
  }

  static decode(buffer: ArrayBuffer): RowWindow {
    if (buffer.byteLength < WINDOW_HEADER_BYTES) throw new RangeError('window frame: shorter than its header')
    const header = new Uint32Array(buffer, 0, 2)
    if (header[0] !== WINDOW_MAGIC) throw new RangeError('window frame: wrong magic')
    if (buffer.byteLength !== WINDOW_HEADER_BYTES + header[1]! * ROW_BYTES)
      throw new RangeError(`window frame: ${buffer.byteLength} bytes for ${header[1]} rows`)
    return new RowWindow(buffer)
  }

  /** An empty window of that size: every row missing. */
  static missing(first: number, count: number, shown: number, viewStamp: number): RowWindow {
    const buffer = new ArrayBuffer(WINDOW_HEADER_BYTES + count * ROW_BYTES)
    new Uint32Array(buffer, 0, 5).set([WINDOW_MAGIC, count, first, shown, viewStamp])
    const window = new RowWindow(buffer)
    for (let row = 0; row < count; row++) window.f64[row * F64_STRIDE] = Number.NaN
    return window
  }

  /** Whether the row at that index of the view is here. */
  has(index: number): boolean {
    return (
      index >= this.first && index < this.first + this.count && !Number.isNaN(this.rowId(index - this.first))
    )
  }

  /** Copies row `from` of another window over row `to` of this one. Both count from the window's beginning. */
  copyRow(to: number, other: RowWindow, from: number): void {
    this.u8.set(other.u8.subarray(from * ROW_BYTES, (from + 1) * ROW_BYTES), to * ROW_BYTES)
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
