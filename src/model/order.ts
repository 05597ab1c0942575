// order.ts: rows in the order of a field, kept while rows come, change and go.
//
// Each chunk's rows are a sorted *run* of their own; they are never merged. What stands at an index is found by cutting
// all runs at one key, then merging the few rows that are wanted. So a change costs the sorting of its chunk and nothing
// else, a chunk that leaves takes its run along, and no piece of work is larger than a chunk. Equal values stand as they
// came.

import type { Capture } from './capture.ts'
import type { Chunk } from './chunk.ts'
import type { Field } from './fields.ts'
import { FilterError } from './filter/error.ts'
import { byColumn, byEntry, type Run, type SortChunk } from './run.ts'

const EMPTY: Run = { rows: new Uint16Array(0), bytes: 0, key: () => 0, before: () => 0, release() {} }

/**
 * Rows that are looked at to find keys to cut at: at least so many, and so many for each run, which makes their places
 * in runs of one length as different as can be. And how many of them may be wrong about what is sought.
 */
const LEAST_SAMPLE = 64
const SAMPLE_PER_RUN = 0.618
const MARGIN = 2
/** So many rows are merged rather than cut once more. */
const NEAR = 512

export class Order {
  size = 0
  bytes = 0
  readonly #sortChunk: SortChunk
  /** Parallel to the capture's chunks, as far as they have been sorted; with the number of their first row. */
  readonly #runs: Run[] = []
  readonly #firsts: number[] = []
  /** The last cut: people look at what is near what they have looked at. null: runs have changed since. */
  #last: { index: number; places: Int32Array } | null = null

  constructor(field: Field, descending: boolean, capture: Capture) {
    const { source, present } = field
    if (source.in === 'payload') throw new FilterError(`rows cannot be sorted by ${field.name}`, 0, 0)
    this.#sortChunk =
      source.in === 'column'
        ? byColumn(source, present, descending, capture)
        : byEntry(source, present, descending, capture)
  }

  /** The oldest chunk has left. */
  shift(): void {
    const run = this.#runs.shift()
    this.#firsts.shift()
    this.size -= run?.rows.length ?? 0
    this.bytes -= run?.bytes ?? 0
    run?.release()
    this.#last = null
  }

  /** Sorts the rows that are shown of the chunk at a place. `rows`: ascending; not kept. */
  set(place: number, chunk: Chunk, rows: Uint16Array): void {
    const former = this.#runs[place] ?? EMPTY
    const run = rows.length === 0 ? EMPTY : this.#sortChunk(chunk, rows)
    former.release()
    this.size += run.rows.length - former.rows.length
    this.bytes += run.bytes - former.bytes
    this.#runs[place] = run
    this.#firsts[place] = chunk.first
    this.#last = null
  }

  /** The rows at indices `first .. first + count`, all of which must be there. */
  rows(first: number, count: number): number[] {
    const { index: cut, places: cuts } = this.#cutNear(first)
    const places = cuts.slice()
    const merge = new Merge(this.#runs, places)
    const rows: number[] = []
    for (let index = cut; index < first + count; index++) {
      const place = merge.next()
      if (index >= first) rows.push(this.#firsts[place] + this.#runs[place].rows[places[place] - 1])
    }
    return rows
  }

  /** Where a row of the chunk at a place stands; -1 if it is not in the order. */
  indexOf(place: number, row: number): number {
    const run = this.#runs[place]
    const at = run ? run.rows.indexOf(row) : -1
    if (at < 0) return -1
    const key = run.key(at)
    let index = at
    for (const [i, each] of this.#runs.entries()) {
      if (i !== place) index += each.before(key, i < place, 0, each.rows.length)
    }
    return index
  }

  /** A cut that is at most some hundred rows before an index: the last one, if it will do. */
  #cutNear(index: number): { index: number; places: Int32Array } {
    if (!this.#last || index < this.#last.index || index > this.#last.index + 2 * NEAR) {
      const places = new Int32Array(this.#runs.length)
      this.#last = { index: this.#cut(Math.max(0, index - NEAR / 2), places), places }
    }
    return this.#last
  }

  /**
   * How many rows of each run are among the first `index` of all, or among a few less: into `low`. Returns how many in
   * all.
   *
   * A sample of the rows that are undecided tells two keys, one that is expected to stand closely before what is sought
   * and one behind it. Cutting all runs at both leaves some two hundredths undecided, whatever the runs are like.
   */
  #cut(index: number, low: Int32Array): number {
    const runs = this.#runs
    const high = Int32Array.from(runs, (run) => run.rows.length)
    const cuts = new Int32Array(runs.length)
    let below = 0
    let above = this.size
    while (index - below > NEAR) {
      const sample = sampled(runs, low, high, above - below)
      const sought = ((index - below) / (above - below)) * sample.length
      const before = sample[Math.max(0, Math.floor(sought) - MARGIN)]
      const behind = sample[Math.min(sample.length - 1, Math.ceil(sought) + MARGIN)]
      let less = cutAt(before, false, runs, low, high, false, cuts)
      if (less <= index) {
        low.set(cuts)
        below = less
        less = cutAt(behind, false, runs, low, high, true, cuts)
      }
      if (less > index) {
        high.set(cuts)
        above = less
        continue
      }
      low.set(cuts)
      below = less
      const upTo = cutAt(behind, true, runs, low, high, true, cuts)
      if (upTo > index) return below + takeEqual(index - below, low, cuts)
      low.set(cuts)
      below = upTo
    }
    return below
  }
}

/** Keys of rows that lie evenly spread among the undecided ones, in order. */
function sampled(runs: readonly Run[], low: Int32Array, high: Int32Array, undecided: number): Float64Array {
  const wanted = Math.max(LEAST_SAMPLE, Math.ceil(SAMPLE_PER_RUN * runs.length))
  const sample = new Float64Array(Math.min(wanted, undecided))
  const step = undecided / sample.length
  let taken = 0
  let passed = 0
  for (let place = 0; place < runs.length && taken < sample.length; place++) {
    const from = low[place] - passed
    passed += high[place] - low[place]
    for (; taken < sample.length && (taken + 0.5) * step < passed; taken++) {
      sample[taken] = runs[place].key(from + Math.floor((taken + 0.5) * step))
    }
  }
  return sample.sort()
}

/** Cuts all runs at a key, which may be `near` what is decided. Returns how many rows come before (Run.before). */
function cutAt(
  key: number,
  orEqual: boolean,
  runs: readonly Run[],
  low: Int32Array,
  high: Int32Array,
  near: boolean,
  cuts: Int32Array,
): number {
  let count = 0
  for (let place = 0; place < runs.length; place++) {
    const from = low[place]
    const to = high[place]
    const cut = from === to ? to : runs[place].before(key, orEqual, from, to, near)
    cuts[place] = cut
    count += cut
  }
  return count
}

/** Of rows with one key, between `low` and `high`, the first ones are those of the first runs. */
function takeEqual(rows: number, low: Int32Array, high: Int32Array): number {
  let left = rows
  for (let place = 0; left > 0; place++) {
    const taken = Math.min(left, high[place] - low[place])
    low[place] += taken
    left -= taken
  }
  return rows
}

/** All runs as one, from where each stands: a heap of them, by their next row's key, then by their place. */
class Merge {
  readonly #keys: Float64Array
  readonly #heap: Int32Array
  #size = 0

  constructor(
    readonly runs: readonly Run[],
    /** Where each stands. Goes on with it. */
    readonly at: Int32Array,
  ) {
    this.#keys = new Float64Array(runs.length)
    this.#heap = new Int32Array(runs.length)
    for (let place = 0; place < runs.length; place++) {
      if (at[place] === runs[place].rows.length) continue
      this.#keys[place] = runs[place].key(at[place])
      this.#heap[this.#size++] = place
    }
    for (let node = (this.#size >> 1) - 1; node >= 0; node--) this.#sink(node)
  }

  /** Steps over the next row. Returns the place of the run that it is in; its place there is before `at`. */
  next(): number {
    const place = this.#heap[0]
    const run = this.runs[place]
    if (++this.at[place] < run.rows.length) this.#keys[place] = run.key(this.at[place])
    else this.#heap[0] = this.#heap[--this.#size]
    this.#sink(0)
    return place
  }

  #sink(from: number): void {
    const place = this.#heap[from]
    let node = from
    for (let child = 2 * node + 1; child < this.#size; child = 2 * node + 1) {
      if (child + 1 < this.#size && this.#isBefore(this.#heap[child + 1], this.#heap[child])) child++
      if (this.#isBefore(place, this.#heap[child])) break
      this.#heap[node] = this.#heap[child]
      node = child
    }
    this.#heap[node] = place
  }

  #isBefore(a: number, b: number): boolean {
    const keys = this.#keys
    return keys[a] === keys[b] ? a < b : keys[a] < keys[b]
  }
}
