// order.ts: rows in the order of a field, kept while rows come, change and go.
//
// Two parallel arrays, keys and rows, sorted by key and then by row. A change is one pass: rows that left or changed
// are taken out, the changed and the new ones are sorted among themselves and merged in. That costs a look at each
// row per change, whatever the change; sorting anew would cost a dozen.

import type { Capture } from './capture.ts'
import { BLOCK_SHIFT, CHUNK_ROWS, type Chunk } from './chunk.ts'
import { ENTRIES, type EntrySource, type Field, type Value } from './fields.ts'
import { FilterError } from './filter/error.ts'

/** Rows are counted from here: 32 bits hold what a view can. */
type RowOffset = number

export class Order {
  size = 0
  #keys = new Float64Array(0)
  #rows = new Uint32Array(0)
  /** Number of the row that is offset 0. */
  #base = 0
  readonly #keyOf: KeyReader

  constructor(
    field: Field,
    readonly descending: boolean,
    capture: Capture,
  ) {
    const { source } = field
    if (source.in === 'payload') throw new FilterError(`rows cannot be sorted by ${field.name}`, 0, 0)
    this.#keyOf = source.in === 'column' ? source : new EntryKeys(source, capture)
  }

  row(index: number): number {
    return this.#base + this.#rows[index]
  }

  indexOf(row: number): number {
    return this.#rows.subarray(0, this.size).indexOf(row - this.#base)
  }

  /**
   * Takes out rows before `firstRow` and rows that `isStale`, and puts in the rows of `fresh`: lists of rows within
   * their chunk, ascending.
   */
  update(
    firstRow: number,
    isStale: (block: number) => boolean,
    fresh: readonly { chunk: Chunk; rows: Uint16Array }[],
  ): void {
    const count = fresh.reduce((sum, part) => sum + part.rows.length, 0)
    for (const { chunk } of fresh) {
      const moved = this.#keyOf.open?.(chunk)
      if (moved) this.#moveKeys(moved)
    }
    const keys = new Float64Array(count)
    const rows = new Uint32Array(count)
    this.#gather(fresh, firstRow, keys, rows)
    this.#keyOf.close?.()
    sortByKey(keys, rows)
    this.#merge(firstRow, isStale, keys, rows)
  }

  #gather(
    fresh: readonly { chunk: Chunk; rows: Uint16Array }[],
    base: number,
    keys: Float64Array,
    rows: Uint32Array,
  ): void {
    const values = new Float64Array(CHUNK_ROWS)
    const sign = this.descending ? -1 : 1
    let at = 0
    for (const { chunk, rows: within } of fresh) {
      for (let i = 0; i < within.length; ) {
        // Rows that lie side by side are read in one go: without a filter all do.
        const first = within[i]
        let count = 1
        while (within[i + count] === first + count) count++
        this.#keyOf.fill(chunk, first, count, values)
        for (const end = i + count; i < end; i++) {
          const value = values[within[i] - first]
          // What is absent comes last in either direction.
          keys[at] = Number.isNaN(value) ? Number.POSITIVE_INFINITY : value * sign
          rows[at++] = chunk.first + within[i] - base
        }
      }
    }
  }

  #merge(
    firstRow: number,
    isStale: (block: number) => boolean,
    newKeys: Float64Array,
    newRows: Uint32Array,
  ): void {
    const shift = firstRow - this.#base
    const [oldKeys, oldRows, oldSize] = [this.#keys, this.#rows, this.size]
    const keys = new Float64Array(oldSize + newKeys.length)
    const rows = new Uint32Array(oldSize + newKeys.length)
    let out = 0
    let taken = 0
    for (let i = 0; i < oldSize; i++) {
      if (oldRows[i] < shift) continue
      const row: RowOffset = oldRows[i] - shift
      if (isStale((firstRow + row) >> BLOCK_SHIFT)) continue
      const key = oldKeys[i]
      while (
        taken < newKeys.length &&
        (newKeys[taken] < key || (newKeys[taken] === key && newRows[taken] < row))
      ) {
        keys[out] = newKeys[taken]
        rows[out++] = newRows[taken++]
      }
      keys[out] = key
      rows[out++] = row
    }
    keys.set(newKeys.subarray(taken), out)
    rows.set(newRows.subarray(taken), out)
    this.size = out + newKeys.length - taken
    this.#keys = keys
    this.#rows = rows
    this.#base = firstRow
  }

  /** Ranks moved: old ones to new ones, without a change of order. */
  #moveKeys(moved: Float64Array): void {
    const sign = this.descending ? -1 : 1
    for (let i = 0; i < this.size; i++) {
      const key = this.#keys[i]
      if (Number.isFinite(key)) this.#keys[i] = moved[key * sign] * sign
    }
  }
}

interface KeyReader {
  /** Before the keys of a chunk are read. Returns where keys given out earlier have moved, if they have. */
  open?(chunk: Chunk): Float64Array | null
  fill(chunk: Chunk, first: number, count: number, out: Float64Array): void
  /** No more keys will be read for now. */
  close?(): void
}

/** Keys for what is in a dictionary: numbers as they are, texts and addresses by their rank among those seen. */
class EntryKeys implements KeyReader {
  /** Ascending. */
  #values: (string | bigint)[] = []
  #ranks = new Map<Value, number>()
  readonly #perChunk = new Map<Chunk, Float64Array>()

  constructor(
    readonly source: EntrySource,
    readonly capture: Capture,
  ) {}

  open(chunk: Chunk): Float64Array | null {
    const dictionary = chunk[ENTRIES[this.source.in]]
    const values = Array.from({ length: dictionary.size }, (_, code) =>
      this.source.value(dictionary.entries, code * dictionary.width, this.capture),
    )
    const moved = this.#rank(values.filter((value) => typeof value === 'string' || typeof value === 'bigint'))
    if (moved) this.#perChunk.clear()
    this.#perChunk.set(
      chunk,
      Float64Array.from(values, (value) => this.#key(value)),
    )
    return moved
  }

  fill(chunk: Chunk, first: number, count: number, out: Float64Array): void {
    let keys = this.#perChunk.get(chunk)
    if (!keys) {
      this.open(chunk) // its keys were dropped because ranks moved
      keys = this.#perChunk.get(chunk)!
    }
    const codes = chunk[this.source.in]
    for (let i = 0; i < count; i++) out[i] = keys[codes[first + i]]
  }

  close(): void {
    this.#perChunk.clear()
  }

  #key(value: Value): number {
    if (value === null) return Number.NaN
    return this.#ranks.get(value) ?? Number(value)
  }

  #rank(values: (string | bigint)[]): Float64Array | null {
    const unseen = new Set(values.filter((value) => !this.#ranks.has(value)))
    if (unseen.size === 0) return null
    const before = this.#values
    this.#values = [...before, ...unseen].sort(compare)
    this.#ranks = new Map(this.#values.map((value, rank) => [value, rank]))
    return Float64Array.from(before, (value) => this.#ranks.get(value)!)
  }
}

/** Texts without regard to case first, as the eye sorts them; equal ones by their letters, so that none are equal. */
function compare(a: string | bigint, b: string | bigint): number {
  if (typeof a === 'string' && typeof b === 'string') {
    const [low, high] = [a.toLowerCase(), b.toLowerCase()]
    if (low !== high) return low < high ? -1 : 1
  }
  return a < b ? -1 : a > b ? 1 : 0
}

const DIGIT_BITS = 16
const DIGITS = 1 << DIGIT_BITS

/** Sorts both arrays by key, stably: least significant digit first, leaving out digits that are the same in all. */
export function sortByKey(keys: Float64Array, rows: Uint32Array): void {
  const count = keys.length
  // As unsigned words the order of doubles is that of their bits, once negative ones are turned over.
  const words = new Uint32Array(keys.buffer, keys.byteOffset, count * 2)
  for (let i = 0; i < count; i++) {
    if (keys[i] === 0) keys[i] = 0 // -0 would sort before 0
    const negative = words[2 * i + 1] >>> 31 === 1
    words[2 * i + 1] ^= negative ? 0xffffffff : 0x80000000
    if (negative) words[2 * i] ^= 0xffffffff
  }
  let from: { words: Uint32Array; rows: Uint32Array } = { words, rows }
  let to: { words: Uint32Array; rows: Uint32Array } = {
    words: new Uint32Array(count * 2),
    rows: new Uint32Array(count),
  }
  const counts = new Uint32Array(DIGITS)
  for (let digit = 0; digit < 4; digit++) {
    const word = digit >> 1
    const shift = (digit & 1) * DIGIT_BITS
    counts.fill(0)
    for (let i = 0; i < count; i++) counts[(from.words[2 * i + word] >>> shift) & (DIGITS - 1)]++
    if (count > 0 && counts[(from.words[word] >>> shift) & (DIGITS - 1)] === count) continue
    for (let value = 0, sum = 0; value < DIGITS; value++) {
      const here = counts[value]
      counts[value] = sum
      sum += here
    }
    for (let i = 0; i < count; i++) {
      const place = counts[(from.words[2 * i + word] >>> shift) & (DIGITS - 1)]++
      to.words[2 * place] = from.words[2 * i]
      to.words[2 * place + 1] = from.words[2 * i + 1]
      to.rows[place] = from.rows[i]
    }
    ;[from, to] = [to, from]
  }
  if (from.words !== words) {
    words.set(from.words)
    rows.set(from.rows)
  }
  for (let i = 0; i < count; i++) {
    const negative = words[2 * i + 1] >>> 31 === 0
    words[2 * i + 1] ^= negative ? 0xffffffff : 0x80000000
    if (negative) words[2 * i] ^= 0xffffffff
  }
}
