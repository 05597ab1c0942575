// run.ts: the rows of one chunk, sorted by a field.
//
// A run keeps the values that it was sorted by, so that one which changes in the store does not disorder it before it
// is sorted anew: two bytes for each row, four for its number; of what is in a dictionary, each value once.

import type { Capture } from './capture.ts'
import { CHUNK_ROWS, type Chunk } from './chunk.ts'
import { type ColumnSource, ENTRIES, type EntrySource, type Narrow, type Value } from './fields.ts'
import type { Loops } from './loops.ts'

/** What runs are compared by; null = absent. A text that differs by its case only stands beside its like. */
export type Key = number | bigint | string | null

export interface Run {
  /** Within the chunk. */
  readonly rows: Uint16Array
  /** Of memory. */
  readonly bytes: number
  /** Of the row at a place in the run. */
  key(at: number): Key
  /** How many rows come before `key`, or equal it where `orEqual`; known to be between `low` and `high`. */
  before(key: Key, orEqual: boolean, low: number, high: number): number
}

/** How many come before something: `isBefore` holds for the first ones and for no others. */
function search(low: number, high: number, isBefore: (at: number) => boolean): number {
  let from = low
  let to = high
  while (from < to) {
    const middle = (from + to) >> 1
    if (isBefore(middle)) from = middle + 1
    else to = middle
  }
  return from
}

/** What is absent comes last in either direction. */
export function compareKeys(a: Key, b: Key, descending: boolean): number {
  if (a === b) return 0
  if (a === null) return 1
  if (b === null) return -1
  return a < b !== descending ? -1 : 1
}

/** `rows`: ascending, at least one; not kept. */
export type SortChunk = (chunk: Chunk, rows: Uint16Array) => Run

// ---- Numbers in a column ---------------------------------------------------------------------------------------

const ABSENT = 0xffffffff

/** Keys: distance from the value that comes first, or ABSENT. */
class NumberRun implements Run {
  constructor(
    readonly rows: Uint16Array,
    readonly distances: Uint32Array,
    readonly base: number,
    readonly direction: 1 | -1,
  ) {}

  get bytes(): number {
    return this.rows.byteLength + this.distances.byteLength
  }

  key(at: number): number | null {
    const distance = this.distances[at]
    return distance === ABSENT ? null : this.base + this.direction * distance
  }

  before(key: Key, orEqual: boolean, low: number, high: number): number {
    // A number of another run may lie anywhere, but none behind what is absent.
    const wanted = key === null ? ABSENT : Math.min(this.direction * (Number(key) - this.base), ABSENT - 0.5)
    const { distances } = this
    let from = low
    let to = high
    while (from < to) {
      const middle = (from + to) >> 1
      const here = distances[middle]
      if (here < wanted || (orEqual && here === wanted)) from = middle + 1
      else to = middle
    }
    return from
  }
}

/** Numbers that lie too far apart for that. */
class WideNumberRun implements Run {
  constructor(
    readonly rows: Uint16Array,
    readonly values: Float64Array,
    readonly descending: boolean,
  ) {}

  get bytes(): number {
    return this.rows.byteLength + this.values.byteLength
  }

  key(at: number): number | null {
    const value = this.values[at]
    return Number.isNaN(value) ? null : value
  }

  before(key: Key, orEqual: boolean, low: number, high: number): number {
    return search(low, high, (at) => compareKeys(this.key(at), key, this.descending) < Number(orEqual))
  }
}

const filled = new Float64Array(CHUNK_ROWS)
const distances = new Uint32Array(CHUNK_ROWS)

export function byColumn(source: ColumnSource, descending: boolean, loops: Loops): SortChunk {
  const direction = descending ? -1 : 1
  return (chunk, rows) => {
    const narrow = source.present ? null : source.narrow?.(chunk)
    const base =
      (narrow ? distancesOfCells(narrow, rows, descending) : null) ??
      distancesOfValues(source, chunk, rows, descending)
    if (base === null) return wideRun(rows, descending)
    const sorted = rows.slice()
    const sortedDistances = distances.slice(0, rows.length)
    loops.sort(sortedDistances, sorted)
    return new NumberRun(sorted, sortedDistances, base, direction)
  }
}

/** Cells are distances already, or their complements. Returns what they count from; null if one does not fit. */
function distancesOfCells(
  { cells, offset, top, large }: Narrow,
  rows: Uint16Array,
  descending: boolean,
): number | null {
  if (large && large.size > 0) return null
  const most = Math.min(top, ABSENT - 1)
  for (let i = 0; i < rows.length; i++) {
    const cell = cells[rows[i]]
    if (cell <= most) distances[i] = descending ? most - cell : cell
    else if (cell > top) distances[i] = ABSENT
    else return null
  }
  return descending ? offset + most : offset
}

/** Returns the value that comes first; null if they lie too far apart. Leaves them in `filled`. */
function distancesOfValues(
  source: ColumnSource,
  chunk: Chunk,
  rows: Uint16Array,
  descending: boolean,
): number | null {
  const first = rows[0]
  source.fill(chunk, first, rows[rows.length - 1] - first + 1, filled)
  let least = Number.POSITIVE_INFINITY
  let most = Number.NEGATIVE_INFINITY
  for (let i = 0; i < rows.length; i++) {
    const value = filled[rows[i] - first]
    if (value < least) least = value
    if (value > most) most = value
  }
  if (most - least >= ABSENT) return null
  for (let i = 0; i < rows.length; i++) {
    const value = filled[rows[i] - first]
    distances[i] = Number.isNaN(value) ? ABSENT : descending ? most - value : value - least
  }
  return descending ? most : least
}

/** Of the values in `filled`, from the first row on. */
function wideRun(rows: Uint16Array, descending: boolean): Run {
  const of = (row: number) => filled[row - rows[0]]
  const sorted = rows.slice().sort((a, b) => {
    const [x, y] = [of(a), of(b)]
    if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y)) || a - b
    return (descending ? y - x : x - y) || a - b
  })
  return new WideNumberRun(sorted, Float64Array.from(sorted, of), descending)
}

// ---- What is in a dictionary -----------------------------------------------------------------------------------

/** Estimate of what one takes. */
const VALUE_BYTES = 32

/** Keys: the distinct values in order, and where the rows of each begin. */
class EntryRun implements Run {
  /** What was asked last, and how many values come before it: a cut asks for the same again and again. */
  #asked: Key | undefined
  #rank = 0

  constructor(
    readonly rows: Uint16Array,
    /** One more than values: where the last one's rows end. */
    readonly starts: Uint32Array,
    readonly values: readonly Key[],
    readonly descending: boolean,
  ) {}

  get bytes(): number {
    return this.rows.byteLength + this.starts.byteLength + VALUE_BYTES * this.values.length
  }

  key(at: number): Key {
    const { starts } = this
    return this.values[search(0, this.values.length, (rank) => starts[rank + 1] <= at)]
  }

  before(key: Key, orEqual: boolean, low: number, high: number): number {
    const { values } = this
    if (key !== this.#asked) {
      this.#asked = key
      this.#rank = search(0, values.length, (at) => compareKeys(values[at], key, this.descending) < 0)
    }
    const rank = orEqual && values[this.#rank] === key ? this.#rank + 1 : this.#rank
    return Math.max(low, Math.min(high, this.starts[rank]))
  }
}

export function byEntry(source: EntrySource, descending: boolean, capture: Capture): SortChunk {
  return (chunk, rows) => {
    const { entries, size, width } = chunk[ENTRIES[source.in]]
    const keys = Array.from({ length: size }, (_, code) =>
      keyOf(source.value(entries, code * width, capture)),
    )
    const values = [...new Set(keys)].sort((a, b) => compareKeys(a, b, descending))
    const rankOf = new Map(values.map((value, rank) => [value, rank]))
    const ranks = Uint16Array.from(keys, (key) => rankOf.get(key)!)
    return sortByRank(rows, chunk[source.in], ranks, values, descending)
  }
}

/** Texts without regard to case first, as the eye sorts them; equal ones by their letters, so that none are equal. */
function keyOf(value: Value): Key {
  if (typeof value === 'string') return `${value.toLowerCase()}\0${value}`
  return typeof value === 'boolean' ? Number(value) : value
}

function sortByRank(
  rows: Uint16Array,
  codes: Uint16Array,
  ranks: Uint16Array,
  values: readonly Key[],
  descending: boolean,
): Run {
  // Counted one further on, so that summing up turns counts into starts.
  const starts = new Uint32Array(values.length + 1)
  for (const row of rows) starts[ranks[codes[row]] + 1]++
  for (let rank = 0; rank < values.length; rank++) starts[rank + 1] += starts[rank]
  const next = starts.slice()
  const sorted = new Uint16Array(rows.length)
  for (const row of rows) sorted[next[ranks[codes[row]]]++] = row
  return new EntryRun(sorted, starts, values, descending)
}
