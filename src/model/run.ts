// run.ts: the rows of one chunk, sorted by a field.
//
// Runs are compared by *keys*: numbers that are in the order wanted, so that nobody who compares has to know what they
// stand for. A run keeps the keys that it was sorted by, so that a value which changes in the store does not disorder it
// before it is sorted anew: two bytes for each row, four for its number; of what is in a dictionary, each value once.

import type { Capture } from './capture.ts'
import { CHUNK_ROWS, type Chunk } from './chunk.ts'
import { type ColumnSource, ENTRIES, type EntrySource, type Narrow, type Value } from './fields.ts'
import type { Cells } from './loops.ts'
import { RankedValues, type Sortable } from './ranked-values.ts'

/** The key of what is absent: it comes last in either direction. */
const LAST = Number.POSITIVE_INFINITY

export interface Run {
  /** Within the chunk. */
  readonly rows: Uint16Array
  /** Of memory. */
  readonly bytes: number
  /** Of the row at a place in the run. */
  key(at: number): number
  /**
   * How many rows come before `key`, or equal it where `orEqual`; known to be between `low` and `high`, and expected
   * not far from `low` where `near`.
   */
  before(key: number, orEqual: boolean, low: number, high: number, near?: boolean): number
  /** To be called when the run is given up. */
  release(): void
}

/** `rows`: ascending, at least one; not kept. */
export type SortChunk = (chunk: Chunk, rows: Uint16Array) => Run

/** How many of ascending numbers come before a number, or equal it where `orEqual`. `near`: probably not many from `low` on. */
function search(
  numbers: Float64Array | Uint32Array,
  wanted: number,
  orEqual: boolean,
  low: number,
  high: number,
  near = false,
): number {
  for (let step = 1; near && low + step < high; step *= 2) {
    const here = numbers[low + step]
    if (here < wanted || (orEqual && here === wanted)) low += step + 1
    else {
      high = low + step
      break
    }
  }
  while (low < high) {
    const middle = (low + high) >> 1
    const here = numbers[middle]
    if (here < wanted || (orEqual && here === wanted)) low = middle + 1
    else high = middle
  }
  return low
}

// ---- Numbers in a column ---------------------------------------------------------------------------------------

const ABSENT = 0xffffffff

/** A key is `base` and a distance from it; or LAST, where the distance is ABSENT. */
class NumberRun implements Run {
  constructor(
    readonly rows: Uint16Array,
    readonly distances: Uint32Array,
    readonly base: number,
  ) {}

  get bytes(): number {
    return this.rows.byteLength + this.distances.byteLength
  }

  key(at: number): number {
    const distance = this.distances[at]
    return distance === ABSENT ? LAST : this.base + distance
  }

  before(key: number, orEqual: boolean, low: number, high: number, near = false): number {
    // A number of another run may lie anywhere, but none behind what is absent.
    const wanted = key === LAST ? ABSENT : Math.min(key - this.base, ABSENT - 0.5)
    return search(this.distances, wanted, orEqual, low, high, near)
  }

  release(): void {}
}

/** Numbers that lie too far apart for that. */
class WideNumberRun implements Run {
  constructor(
    readonly rows: Uint16Array,
    readonly keys: Float64Array,
  ) {}

  get bytes(): number {
    return this.rows.byteLength + this.keys.byteLength
  }

  key(at: number): number {
    return this.keys[at]
  }

  before(key: number, orEqual: boolean, low: number, high: number, near = false): number {
    return search(this.keys, key, orEqual, low, high, near)
  }

  release(): void {}
}

/** Tells which rows of a chunk have no value, by the field's `present`; null = all have one, as far as that says. */
function absence(
  present: EntrySource | undefined,
  chunk: Chunk,
  capture: Capture,
): ((row: number) => boolean) | null {
  if (!present || present.ofAll?.(chunk) === true) return null
  const { entries, size, width } = chunk[ENTRIES[present.in]]
  const codes = chunk[present.in]
  const isPresent = Array.from({ length: size }, (_, code) => present.value(entries, code * width, capture))
  return (row) => isPresent[codes[row]] !== true
}

const filled = new Float64Array(CHUNK_ROWS)
const distances = new Uint32Array(CHUNK_ROWS)

export function byColumn(
  source: ColumnSource,
  present: EntrySource | undefined,
  descending: boolean,
  capture: Capture,
): SortChunk {
  return (chunk, rows) => {
    const isAbsent = absence(present, chunk, capture)
    const narrow = source.narrow?.(chunk)
    const base =
      (narrow ? distancesOfCells(narrow, rows, isAbsent, descending) : null) ??
      distancesOfValues(source, chunk, rows, isAbsent, descending)
    if (base === null) return wideRun(rows, descending)
    const sorted = rows.slice()
    const sortedDistances = distances.slice(0, rows.length)
    capture.loops.sort(sortedDistances, sorted)
    return new NumberRun(sorted, sortedDistances, base)
  }
}

/** Cells are distances already, or their complements. Returns what they count from; null if one does not fit. */
function distancesOfCells(
  { cells, offset, top, large }: Narrow,
  rows: Uint16Array,
  isAbsent: ((row: number) => boolean) | null,
  descending: boolean,
): number | null {
  if (large && large.size > 0) return null
  const most = Math.min(top, ABSENT - 1)
  for (let i = 0; i < rows.length; i++) {
    const cell = cells[rows[i]]
    if (cell > top || isAbsent?.(rows[i])) distances[i] = ABSENT
    else if (cell <= most) distances[i] = descending ? most - cell : cell
    else return null
  }
  return descending ? -(offset + most) : offset
}

/** Returns the key that comes first; null if they lie too far apart. Leaves the values in `filled`. */
function distancesOfValues(
  source: ColumnSource,
  chunk: Chunk,
  rows: Uint16Array,
  isAbsent: ((row: number) => boolean) | null,
  descending: boolean,
): number | null {
  const first = rows[0]
  source.fill(chunk, first, rows[rows.length - 1] - first + 1, filled)
  let least = Number.POSITIVE_INFINITY
  let most = Number.NEGATIVE_INFINITY
  for (let i = 0; i < rows.length; i++) {
    if (isAbsent?.(rows[i])) filled[rows[i] - first] = Number.NaN
    const value = filled[rows[i] - first]
    if (value < least) least = value
    if (value > most) most = value
  }
  if (most - least >= ABSENT) return null
  for (let i = 0; i < rows.length; i++) {
    const value = filled[rows[i] - first]
    distances[i] = Number.isNaN(value) ? ABSENT : descending ? most - value : value - least
  }
  return descending ? -most : least
}

/** Of the values in `filled`, from the first row on. */
function wideRun(rows: Uint16Array, descending: boolean): Run {
  const keyOf = (row: number) => {
    const value = filled[row - rows[0]]
    return Number.isNaN(value) ? LAST : descending ? -value : value
  }
  const sorted = rows.slice().sort((a, b) => {
    const [x, y] = [keyOf(a), keyOf(b)]
    return x === y ? a - b : x - y
  })
  return new WideNumberRun(sorted, Float64Array.from(sorted, keyOf))
}

// ---- What is in a dictionary -----------------------------------------------------------------------------------

/** Estimate of what a value takes at most: that of other runs, too, is counted for each. */
const VALUE_BYTES = 64

/** Keys: the ranks of values among those of all runs. A rank changes as values come and go, but none passes another. */
class EntryRun implements Run {
  constructor(
    readonly rows: Uint16Array,
    /** The distinct values, by number and in order. */
    readonly values: Uint32Array,
    /** Where the rows of each begin; one more: where the last one's end. */
    readonly starts: Uint32Array,
    readonly ranked: RankedValues,
  ) {}

  get bytes(): number {
    return this.rows.byteLength + this.starts.byteLength + VALUE_BYTES * this.values.length
  }

  release(): void {
    this.ranked.release(this.values)
  }

  key(at: number): number {
    const place = search(this.starts, at, true, 0, this.values.length) - 1
    return this.ranked.ranks[this.values[place]]
  }

  before(key: number, orEqual: boolean, low: number, high: number): number {
    const { values } = this
    const { ranks } = this.ranked
    let from = 0
    let to = values.length
    while (from < to) {
      const middle = (from + to) >> 1
      const here = ranks[values[middle]]
      if (here < key || (orEqual && here === key)) from = middle + 1
      else to = middle
    }
    return Math.max(low, Math.min(high, this.starts[from]))
  }
}

export function byEntry(
  source: EntrySource,
  present: EntrySource | undefined,
  descending: boolean,
  capture: Capture,
): SortChunk {
  const ranked = new RankedValues(descending)
  return (chunk, rows) => {
    const { entries, size, width } = chunk[ENTRIES[source.in]]
    const isAbsent = absence(present, chunk, capture)
    const codes = isAbsent ? codesWithAbsent(chunk[source.in], size, rows, isAbsent) : chunk[source.in]
    const numbers = Uint32Array.from({ length: isAbsent ? size + 1 : size }, (_, code) =>
      ranked.numberOf(code === size ? null : sortedAs(source.value(entries, code * width, capture))),
    )
    const distinct = new Set(numbers)
    ranked.use(distinct)
    const ranks = Uint32Array.from(distinct, (value) => ranked.ranks[value]).sort()
    const values = ranks.map((rank) => ranked.inOrder[rank])
    const placeOf = new Map(Array.from(values, (value, place) => [value, place]))
    const places = Uint16Array.from(numbers, (value) => placeOf.get(value)!)
    return sortByPlace(rows, codes, places, values, ranked)
  }
}

/** Codes in which `absent` stands for no value. Wider than a dictionary's: that may be full. */
function codesWithAbsent(
  codes: Uint16Array,
  absent: number,
  rows: Uint16Array,
  isAbsent: (row: number) => boolean,
): Uint32Array {
  const result = new Uint32Array(CHUNK_ROWS)
  for (const row of rows) result[row] = isAbsent(row) ? absent : codes[row]
  return result
}

/** Texts without regard to case first, as the eye sorts them; equal ones by their letters, so that none are equal. */
function sortedAs(value: Value): Sortable {
  if (typeof value === 'string') return `${value.toLowerCase()}\0${value}`
  return typeof value === 'boolean' ? Number(value) : value
}

/** `places`: of each code's value among `values`. */
function sortByPlace(
  rows: Uint16Array,
  codes: Cells,
  places: Uint16Array,
  values: Uint32Array,
  ranked: RankedValues,
): Run {
  // Counted one further on, so that summing up turns counts into starts.
  const starts = new Uint32Array(values.length + 1)
  for (const row of rows) starts[places[codes[row]] + 1]++
  for (let place = 0; place < values.length; place++) starts[place + 1] += starts[place]
  const next = starts.slice()
  const sorted = new Uint16Array(rows.length)
  for (const row of rows) sorted[next[places[codes[row]]]++] = row
  return new EntryRun(sorted, values, starts, ranked)
}
