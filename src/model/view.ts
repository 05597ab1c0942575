// view.ts: what one grid shows of a capture: its rows through a filter, in an order.
//
// A view follows its capture: `advance` evaluates what is new or has changed since, as long as the caller has time for
// it, so that a new filter over many rows and the taking in of records share one thread fairly. What a filter let
// through is a bit per row. Without filter and order there is nothing to keep: the view is the capture.

import type { RowId } from '../protocol/ids.ts'
import { MAJOR_FUNCTION_COUNT } from '../protocol/layout.ts'
import { ROW_BYTES, type Sort, WINDOW_HEADER_BYTES, WINDOW_MAGIC } from '../protocol/wire.ts'
import type { Capture } from './capture.ts'
import {
  BLOCK_ROWS,
  Caller,
  CHUNK_ROWS,
  type Chunk,
  Kind,
  OUTCOME_IN_FLIGHT,
  Outcome,
  placeOf,
} from './chunk.ts'
import { fieldNamed, rowFlags } from './fields.ts'
import { compileFilter } from './filter/compile.ts'
import { FilterError } from './filter/error.ts'
import { Cost, evaluate, type Filter, Verdict } from './filter/filter.ts'
import { Memory } from './memory.ts'
import { Order } from './order.ts'
import { PASSED_BYTES, Passed } from './passed.ts'

export class View {
  readonly #filter: Filter
  readonly #order: Order | null
  /** Parallel to the capture's chunks. */
  readonly #passed: Passed[] = []
  /** Rows before each of `#passed`, and after the last. */
  #before = new Float64Array(1)
  readonly #rows = new Uint16Array(CHUNK_ROWS)
  readonly #isWhole: boolean
  /** Counts against the capture's budget. */
  readonly #memory: Memory
  #seenStamp = 0
  #firstRow = 0
  #endRow = 0
  /** First row of the chunk that `advance` had no time for. */
  #stoppedAt = 0
  #complete = false

  /** Throws FilterError for a filter that cannot be understood or a field that cannot be sorted by. */
  constructor(
    readonly capture: Capture,
    readonly filter: string,
    readonly sort: Sort | null,
  ) {
    this.#memory = new Memory(capture.memory.account)
    this.#filter = compileFilter(filter, capture)
    this.#order = sort ? orderBy(sort, capture) : null
    this.#isWhole = filter.trim() === '' && !sort
  }

  /** Rows that the filter lets through, as of the last `advance`. */
  get shown(): number {
    if (this.#isWhole) return this.#endRow - this.#firstRow
    return this.#order ? this.#order.size : this.#before[this.#passed.length]
  }

  /** Nobody looks at it any more: its memory is not counted. */
  close(): void {
    this.#memory.leave()
  }

  /** Whether `advance` had nothing left to do. */
  get complete(): boolean {
    return this.#complete && this.#seenStamp === this.capture.stamp
  }

  /**
   * Takes in what changed in the capture, chunk by chunk, as long as it `mayGoOn`; true if the view may look different
   * now. What is left is for the next call.
   */
  advance(mayGoOn: () => boolean): boolean {
    const { capture } = this
    if (this.complete) return false
    this.#seenStamp = capture.stamp
    this.#firstRow = capture.firstRow
    this.#endRow = capture.endRow
    if (this.#isWhole) {
      this.#complete = true
      return true
    }
    return this.#evaluate(mayGoOn)
  }

  #evaluate(mayGoOn: () => boolean): boolean {
    const { chunks } = this.capture
    let changed = false
    while (
      this.#passed.length > 0 &&
      (chunks.length === 0 || this.#passed[0].chunk.first < chunks[0].first)
    ) {
      this.#passed.shift()
      this.#order?.shift()
      changed = true
    }
    this.#complete = true
    // On from where the last call stopped: else chunks that change all the time would keep it from the others.
    const start = Math.max(0, placeOf(this.#passed, this.#stoppedAt))
    this.#stoppedAt = 0
    for (let i = 0; i < chunks.length; i++) {
      const place = (start + i) % chunks.length
      const chunk = chunks[place]
      if (place === this.#passed.length) this.#passed.push(new Passed(chunk))
      if (this.#passed[place].seen === chunk.lastChange) continue
      if (changed && !mayGoOn()) {
        this.#complete = false
        this.#stoppedAt = chunk.first
        break
      }
      changed = true
      if (!this.#evaluateChunk(place, mayGoOn)) {
        this.#complete = false
        this.#stoppedAt = chunk.first
        break
      }
    }
    if (!changed) return false
    this.#before = new Float64Array(this.#passed.length + 1)
    for (let i = 0; i < this.#passed.length; i++)
      this.#before[i + 1] = this.#before[i] + this.#passed[i].count
    const bytes = this.#passed.length * PASSED_BYTES + (this.#order?.bytes ?? 0)
    this.#memory.add(bytes - this.#memory.bytes)
    return true
  }

  /**
   * Looks at the blocks that have changed, those that lie side by side at once; one by one, as long as it `mayGoOn`, where
   * that takes long. Returns whether it has looked at all.
   */
  #evaluateChunk(place: number, mayGoOn: () => boolean): boolean {
    const passed = this.#passed[place]
    const { chunk, seenBlocks } = passed
    const { changed, rows } = chunk
    const verdict = this.#filter.open(chunk)
    const atOnce = this.#filter.cost < Cost.Payload || verdict !== Verdict.Some ? CHUNK_ROWS / BLOCK_ROWS : 1
    const blocks = Math.ceil(rows / BLOCK_ROWS)
    let isFirst = true
    for (let block = 0; block < blocks; ) {
      if (changed[block] === seenBlocks[block]) {
        block++
        continue
      }
      if (!isFirst && !mayGoOn()) return false
      isFirst = false
      const from = block
      while (block < blocks && block - from < atOnce && changed[block] !== seenBlocks[block]) {
        seenBlocks[block] = changed[block]
        block++
      }
      const first = from * BLOCK_ROWS
      const count = Math.min(block * BLOCK_ROWS, rows) - first
      evaluate(this.#filter, verdict, first, count, passed.bits)
      passed.recount(first, count, this.capture.loops)
    }
    passed.seen = chunk.lastChange
    this.#order?.set(place, chunk, this.#rows.subarray(0, passed.rows(this.#rows)))
    return true
  }

  /** The rows at indices `first .. first + count` of the view. */
  #rowsAt(first: number, count: number): number[] {
    if (count === 0) return []
    if (this.#order) return this.#order.rows(first, count)
    const rows: number[] = []
    if (this.#isWhole) {
      for (let i = 0; i < count; i++) rows.push(this.#firstRow + first + i)
      return rows
    }
    let place = this.#placeAt(first)
    for (let index = first; index < first + count; index++) {
      while (index >= this.#before[place + 1]) place++
      rows.push(this.#passed[place].chunk.first + this.#passed[place].select(index - this.#before[place]))
    }
    return rows
  }

  /** Which chunk the row at an index is in. */
  #placeAt(index: number): number {
    let low = 0
    let high = this.#passed.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.#before[middle] <= index) low = middle
      else high = middle - 1
    }
    return low
  }

  /** Where a row stands in the view, or -1. */
  indexOf(row: RowId): number {
    if (row < this.#firstRow || row >= this.#endRow) return -1
    if (this.#isWhole) return row - this.#firstRow
    const place = placeOf(this.#passed, row)
    if (place < 0) return -1
    const within = row - this.#passed[place].first
    if (this.#order) return this.#order.indexOf(place, within)
    return this.#passed[place].has(within) ? this.#rank(row) : -1
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
    const place = placeOf(this.#passed, row)
    if (place < 0) return 0
    const within = row - this.#passed[place].first
    return within < CHUNK_ROWS ? this.#before[place] + this.#passed[place].rank(within) : this.shown
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
    for (const row of this.#rowsAt(first, rows)) {
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
