// view.ts: what one grid shows of a capture: its rows through a filter, in an order.
//
// A view follows its capture: `advance` evaluates blocks of rows that are new or have changed since, a bounded
// number per call, so that a new filter over many rows and the taking in of records share one thread fairly. What a
// filter let through is a bit per row. Without filter and order there is nothing to keep: the view is the capture.

import type { RowId } from '../protocol/ids.ts'
import { MAJOR_FUNCTION_COUNT } from '../protocol/layout.ts'
import { ROW_BYTES, type Sort, WINDOW_HEADER_BYTES, WINDOW_MAGIC } from '../protocol/wire.ts'
import type { Capture } from './capture.ts'
import {
  BLOCK_ROWS,
  BLOCK_SHIFT,
  Caller,
  CHUNK_ROWS,
  CHUNK_SHIFT,
  type Chunk,
  Kind,
  OUTCOME_IN_FLIGHT,
  Outcome,
} from './chunk.ts'
import { fieldNamed, rowFlags } from './fields.ts'
import { compileFilter, type Filter } from './filter/compile.ts'
import { FilterError } from './filter/error.ts'
import { Order } from './order.ts'

const BLOCKS_PER_CHUNK = CHUNK_ROWS / BLOCK_ROWS
/** A quarter of a million rows: a few milliseconds for an ordinary filter. */
const BLOCKS_PER_ADVANCE = 256
/** Each piece costs an order a pass over all that it holds already: few and large ones are quicker. */
const BLOCKS_PER_ORDERED_ADVANCE = 2048

/** Which rows of a chunk passed, as of a stamp. */
class Passed {
  seen = 0
  count = 0
  readonly bits = new Uint32Array(CHUNK_ROWS / 32)
  readonly perBlock = new Uint16Array(BLOCKS_PER_CHUNK)
  constructor(readonly chunk: Chunk) {}

  setBlock(block: number, matches: Uint8Array, rows: number): void {
    let passing = 0
    const from = (block * BLOCK_ROWS) / 32
    this.bits.fill(0, from, from + BLOCK_ROWS / 32)
    for (let i = 0; i < rows; i++) {
      if (matches[i] === 0) continue
      this.bits[from + (i >> 5)] |= 1 << (i & 31)
      passing++
    }
    this.count += passing - this.perBlock[block]
    this.perBlock[block] = passing
  }

  has(row: number): boolean {
    return ((this.bits[row >> 5] >>> (row & 31)) & 1) === 1
  }

  /** The row that `index` rows passed before. */
  select(index: number): number {
    let left = index
    let block = 0
    while (left >= this.perBlock[block]) left -= this.perBlock[block++]
    for (let row = block * BLOCK_ROWS; ; row++) {
      if (this.has(row) && left-- === 0) return row
    }
  }

  /** How many rows before `row` passed. */
  rank(row: number): number {
    let before = 0
    const block = row >> BLOCK_SHIFT
    for (let i = 0; i < block; i++) before += this.perBlock[i]
    for (let i = block * BLOCK_ROWS; i < row; i++) if (this.has(i)) before++
    return before
  }

  /** Writes the rows of a block that passed to `out`, from `at` on; returns where they end. */
  rowsOfBlock(block: number, out: Uint16Array, at: number): number {
    let to = at
    for (let row = block * BLOCK_ROWS; row < (block + 1) * BLOCK_ROWS; row++)
      if (this.has(row)) out[to++] = row
    return to
  }
}

export class View {
  readonly #filter: Filter
  readonly #order: Order | null
  /** Parallel to the capture's chunks. */
  readonly #passed: Passed[] = []
  /** Rows before each of `#passed`, and after the last. */
  #before = new Float64Array(1)
  readonly #matches = new Uint8Array(BLOCK_ROWS)
  readonly #rows = new Uint16Array(CHUNK_ROWS)
  readonly #isWhole: boolean
  #seenStamp = 0
  #firstRow = 0
  #endRow = 0
  #complete = false

  /** Throws FilterError for a filter that cannot be understood or a field that cannot be sorted by. */
  constructor(
    readonly capture: Capture,
    readonly filter: string,
    readonly sort: Sort | null,
  ) {
    this.#filter = compileFilter(filter, capture)
    this.#order = sort ? orderBy(sort, capture) : null
    this.#isWhole = filter.trim() === '' && !sort
  }

  /** Rows that the filter lets through, as of the last `advance`. */
  get shown(): number {
    if (this.#isWhole) return this.#endRow - this.#firstRow
    return this.#order ? this.#order.size : this.#before[this.#passed.length]
  }

  /** Whether `advance` had nothing left to do. */
  get complete(): boolean {
    return this.#complete && this.#seenStamp === this.capture.stamp
  }

  /** Takes in what changed in the capture, a bounded piece per call; true if the view may look different now. */
  advance(): boolean {
    const { capture } = this
    if (this.complete) return false
    this.#seenStamp = capture.stamp
    this.#firstRow = capture.firstRow
    this.#endRow = capture.endRow
    if (this.#isWhole) {
      this.#complete = true
      return true
    }
    return this.#evaluate()
  }

  #evaluate(): boolean {
    const { chunks } = this.capture
    let changed = false
    while (
      this.#passed.length > 0 &&
      (chunks.length === 0 || this.#passed[0].chunk.first < chunks[0].first)
    ) {
      this.#passed.shift()
      changed = true
    }
    for (let i = this.#passed.length; i < chunks.length; i++) this.#passed.push(new Passed(chunks[i]))

    const stale = new Set<number>()
    const fresh: { chunk: Chunk; rows: Uint16Array }[] = []
    let left = this.#order ? BLOCKS_PER_ORDERED_ADVANCE : BLOCKS_PER_ADVANCE
    this.#complete = true
    for (const passed of this.#passed) {
      if (passed.seen === passed.chunk.lastChange) continue
      if (left <= 0) {
        this.#complete = false
        break
      }
      left -= this.#evaluateChunk(passed, stale, fresh)
      changed = true
    }
    if (!changed) return false
    this.#order?.update(this.#firstRow, (block) => stale.has(block), fresh)
    this.#before = new Float64Array(this.#passed.length + 1)
    for (let i = 0; i < this.#passed.length; i++)
      this.#before[i + 1] = this.#before[i] + this.#passed[i].count
    return true
  }

  /** Returns how many blocks it looked at. */
  #evaluateChunk(passed: Passed, stale: Set<number>, fresh: { chunk: Chunk; rows: Uint16Array }[]): number {
    const { chunk } = passed
    const matches = this.#matches
    const blocks = Math.ceil(chunk.rows / BLOCK_ROWS)
    const rows = this.#rows
    let found = 0
    let looked = 0
    this.#filter.open(chunk)
    for (let block = 0; block < blocks; block++) {
      if (chunk.changed[block] <= passed.seen) continue
      const first = block * BLOCK_ROWS
      const count = Math.min(BLOCK_ROWS, chunk.rows - first)
      this.#filter.match(first, count, matches)
      passed.setBlock(block, matches, count)
      looked++
      if (!this.#order) continue
      stale.add((chunk.first + first) >> BLOCK_SHIFT)
      found = passed.rowsOfBlock(block, rows, found)
    }
    if (this.#order) fresh.push({ chunk, rows: rows.slice(0, found) })
    passed.seen = chunk.lastChange
    return looked
  }

  /** The row at an index of the view. */
  #row(index: number): number {
    if (this.#isWhole) return this.#firstRow + index
    if (this.#order) return this.#order.row(index)
    let low = 0
    let high = this.#passed.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.#before[middle] <= index) low = middle
      else high = middle - 1
    }
    return this.#passed[low].chunk.first + this.#passed[low].select(index - this.#before[low])
  }

  /** Where a row stands in the view, or -1. */
  indexOf(row: RowId): number {
    if (row < this.#firstRow || row >= this.#endRow) return -1
    if (this.#isWhole) return row - this.#firstRow
    if (this.#order) return this.#order.indexOf(row)
    const number = (row >> CHUNK_SHIFT) - (this.#firstRow >> CHUNK_SHIFT)
    const passed = this.#passed[number]
    const within = row & (CHUNK_ROWS - 1)
    return passed?.has(within) ? this.#before[number] + passed.rank(within) : -1
  }

  /**
   * Where a row stands in the view or, in capture order, would stand if the filter let it through or it had not left.
   * `index` is null where that cannot be told.
   */
  placeOf(row: RowId): { index: number | null; isIn: boolean } {
    const index = this.indexOf(row)
    if (index >= 0) return { index, isIn: true }
    if (this.#order) return { index: null, isIn: false }
    if (row < this.#firstRow) return { index: 0, isIn: false }
    return { index: row >= this.#endRow ? this.shown : this.#rank(row), isIn: false }
  }

  /** How many rows before `row` passed. */
  #rank(row: number): number {
    const number = (row >> CHUNK_SHIFT) - (this.#firstRow >> CHUNK_SHIFT)
    const passed = this.#passed[number]
    return passed ? this.#before[number] + passed.rank(row & (CHUNK_ROWS - 1)) : this.shown
  }

  /**
   * The binary frame of wire.ts for rows `first .. first + count` of the view, cut to what there is. What its header
   * says of the connection is left 0.
   */
  writeWindow(first: number, count: number): Uint8Array {
    const rows = Math.max(0, Math.min(count, this.shown - first))
    const frame = new Uint8Array(WINDOW_HEADER_BYTES + rows * ROW_BYTES)
    const words = new Uint32Array(frame.buffer)
    words[0] = WINDOW_MAGIC
    words[2] = first
    words[3] = this.shown
    let written = 0
    for (let i = 0; i < rows; i++) {
      const row = this.#row(first + i)
      const chunk = this.capture.chunkOf(row)
      // Rows may have left since the last `advance`; those behind them stay in place, so the window is cut here.
      if (chunk) writeRow(frame, written++, chunk, row - chunk.first)
    }
    words[1] = written
    return written === rows ? frame : frame.slice(0, WINDOW_HEADER_BYTES + written * ROW_BYTES)
  }
}

function orderBy(sort: Sort, capture: Capture): Order {
  const field = fieldNamed(sort.field)
  if (!field) throw new FilterError(`there is no field “${sort.field}” to sort by`, 0, 0)
  return new Order(field, sort.descending, capture)
}

function writeRow(frame: Uint8Array, index: number, chunk: Chunk, row: number): void {
  const at = WINDOW_HEADER_BYTES + index * ROW_BYTES
  const doubles = new Float64Array(frame.buffer, at, 4)
  const words = new Uint32Array(frame.buffer, at, ROW_BYTES / 4)
  const kind = chunk.kinds.entries
  const kindAt = chunk.kind[row] * Kind.width
  const caller = chunk.callers.entries
  const callerAt = chunk.caller[row] * Caller.width
  const outcomeCode = chunk.outcome[row]
  const call = kind[kindAt + Kind.call]
  const fn = call & 0xff
  doubles[0] = chunk.first + row
  doubles[1] = chunk.arrival(row)
  doubles[2] = chunk.latencyOf(row)
  doubles[3] = outcomeCode === OUTCOME_IN_FLIGHT ? 0 : chunk.information.get(row)
  words[8] = kind[kindAt + Kind.driver]
  words[9] = caller[callerAt + Caller.processId]
  words[10] = caller[callerAt + Caller.threadId]
  words[11] = rowFlags(chunk, row)
  words[12] = kind[kindAt + Kind.code]
  words[13] = chunk.outcomes.entries[outcomeCode * Outcome.width + Outcome.status]
  words[14] = chunk.inputLength.get(row)
  words[15] = chunk.outputLength.get(row)
  words[16] = caller[callerAt + Caller.process]
  words[17] = kind[kindAt + Kind.detail]
  words[18] =
    (fn >= MAJOR_FUNCTION_COUNT ? fn - MAJOR_FUNCTION_COUNT : fn) |
    (call & 0xff00) |
    ((caller[callerAt + Caller.processor] & 0xffff) << 16)
  words[19] = chunk.stateOf(row)
}
