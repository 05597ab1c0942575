// order.ts: rows in the order of a field, kept while rows come, change and go.
//
// Each chunk's rows are a sorted *run* of their own; they are never merged. What stands at an index is found by cutting
// all runs at one value, much as a median is found: some thousand comparisons, however many rows there are. So a change
// costs the sorting of its chunk and nothing else, a chunk that leaves takes its run along, and no piece of work is
// larger than a chunk. Equal values stand as they came.

import type { Capture } from './capture.ts'
import type { Chunk } from './chunk.ts'
import type { Field } from './fields.ts'
import { FilterError } from './filter/error.ts'
import { byColumn, byEntry, compareKeys, type Key, type Run, type SortChunk } from './run.ts'

const EMPTY: Run = { rows: new Uint16Array(0), bytes: 0, key: () => null, before: () => 0 }

export class Order {
  size = 0
  bytes = 0
  readonly #sortChunk: SortChunk
  /** Parallel to the capture's chunks, as far as they have been sorted; with the number of their first row. */
  readonly #runs: Run[] = []
  readonly #firsts: number[] = []

  constructor(
    field: Field,
    readonly descending: boolean,
    capture: Capture,
  ) {
    const { source } = field
    if (source.in === 'payload') throw new FilterError(`rows cannot be sorted by ${field.name}`, 0, 0)
    this.#sortChunk =
      source.in === 'column'
        ? byColumn(source, descending, capture.loops)
        : byEntry(source, descending, capture)
  }

  /** The oldest chunk has left. */
  shift(): void {
    const run = this.#runs.shift()
    this.size -= run?.rows.length ?? 0
    this.bytes -= run?.bytes ?? 0
    this.#firsts.shift()
  }

  /** Sorts the rows that are shown of the chunk at a place. `rows`: ascending; not kept. */
  set(place: number, chunk: Chunk, rows: Uint16Array): void {
    const run = rows.length === 0 ? EMPTY : this.#sortChunk(chunk, rows)
    this.size += run.rows.length - (this.#runs[place]?.rows.length ?? 0)
    this.bytes += run.bytes - (this.#runs[place]?.bytes ?? 0)
    this.#runs[place] = run
    this.#firsts[place] = chunk.first
  }

  /** The rows at indices `first .. first + count`, all of which must be there. */
  rows(first: number, count: number): number[] {
    const none = this.#runs.map(() => 0)
    const from = this.#cut(first, none)
    const to = this.#cut(first + count, [...from])
    const found: { key: Key; row: number }[] = []
    for (const [place, run] of this.#runs.entries()) {
      for (let at = from[place]; at < to[place]; at++) {
        found.push({ key: run.key(at), row: this.#firsts[place] + run.rows[at] })
      }
    }
    found.sort((a, b) => compareKeys(a.key, b.key, this.descending) || a.row - b.row)
    return found.map(({ row }) => row)
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

  /**
   * How many rows of each run are among the first `index` of all. `low` holds no more than that, and is returned.
   *
   * Over and over a row is picked from what is undecided, and those that come before it are counted. In turns it is the
   * one that would be sought if the runs were alike, which they often are and which then soon decides nearly all; and
   * one from the middle, which decides about half of what was left whatever they are.
   */
  #cut(index: number, low: number[]): number[] {
    const runs = this.#runs
    let below = low.reduce((sum, each) => sum + each, 0)
    const high = runs.map((run, place) => Math.min(run.rows.length, low[place] + index - below))
    const cuts = [...low]
    let open = [...runs.keys()].filter((place) => low[place] < high[place])
    for (let round = 0; below < index; round++) {
      const left = open.reduce((sum, place) => sum + high[place] - low[place], 0)
      const share = round % 2 === 0 ? (index - below) / (left + 1) : 0.5
      const pivot = runAt(share * left, open, low, high)
      cuts[pivot] = low[pivot] + Math.floor(share * (high[pivot] - low[pivot]))
      const key = runs[pivot].key(cuts[pivot])
      let before = below + cuts[pivot] - low[pivot]
      for (const place of open) {
        if (place === pivot) continue
        cuts[place] = runs[place].before(key, place < pivot, low[place], high[place])
        before += cuts[place] - low[place]
      }
      if (before < index) {
        cuts[pivot]++
        below = before + 1
        // No run holds more of what is still missing than all do together, nor more of what is too much.
        for (const place of open) {
          low[place] = cuts[place]
          high[place] = Math.min(high[place], low[place] + index - below)
        }
      } else {
        for (const place of open) {
          high[place] = cuts[place]
          low[place] = Math.max(low[place], high[place] - (before - index))
        }
        below = low.reduce((sum, each) => sum + each, 0)
      }
      open = open.filter((place) => low[place] < high[place])
    }
    return low
  }
}

/** The run that one comes to after so many of the undecided rows. */
function runAt(
  rows: number,
  open: readonly number[],
  low: readonly number[],
  high: readonly number[],
): number {
  let left = rows
  for (const place of open) {
    left -= high[place] - low[place]
    if (left <= 0) return place
  }
  return open[0]
}
