// filter.ts: a filter at work: chunk by chunk, a bit per row.
//
// A filter is a tree of tests joined by Every and Some; negation is inside the tests. Opening a chunk looks at what is
// known of it as a whole (the entries of its dictionaries, its extremes): often that decides it, and no row is looked at.
// Otherwise tests narrow or widen the same bits one after the other, the cheap ones first, and stop when nothing is left.

import type { Chunk } from '../chunk.ts'
import { CHUNK_ROWS } from '../chunk.ts'
import { type Cells, Combine, type Loops, MOST_SCANS, store, type Wanted } from '../loops.ts'

/** How many rows of a chunk pass. */
export const Verdict = { None: 0, Some: 1, All: 2 } as const
export type Verdict = (typeof Verdict)[keyof typeof Verdict]

/** What a look at a row costs, roughly: decides what is tested first. */
export const Cost = { Code: 1, Column: 2, Computed: 10, Payload: 100 } as const

export interface Filter {
  readonly cost: number
  /** Makes ready for a chunk as it is now. */
  open(chunk: Chunk): Verdict
  /** After `open` has said Some: combines the bits of rows as Loops does. */
  match(first: number, count: number, bits: Uint32Array, combine: Combine): void
  /** After `open` has said Some: what is looked for, if it is one thing in one column. */
  scan?(): { cells: Cells; wanted: Wanted } | null
}

/** Sets the bits of rows of a chunk. Returns the verdict on the whole chunk. */
export function evaluate(
  filter: Filter,
  verdict: Verdict,
  first: number,
  count: number,
  bits: Uint32Array,
): void {
  if (verdict === Verdict.Some) filter.match(first, count, bits, Combine.Set)
  else fill(bits, first, count, verdict === Verdict.All)
}

export function fill(bits: Uint32Array, first: number, count: number, on: boolean): void {
  const end = first + count
  bits.fill(on ? 0xffffffff : 0, first >> 5, (end + 31) >> 5)
  if (on && (end & 31) !== 0) bits[end >> 5] = (1 << (end & 31)) - 1
}

function isEmpty(bits: Uint32Array, first: number, count: number): boolean {
  const end = (first + count + 31) >> 5
  for (let at = first >> 5; at < end; at++) if (bits[at] !== 0) return false
  return true
}

export class Constant implements Filter {
  readonly cost = 0
  constructor(readonly verdict: typeof Verdict.None | typeof Verdict.All) {}
  open(): Verdict {
    return this.verdict
  }
  match(): void {}
}

/** Every or Some: the two differ in which verdict decides, and in how bits are combined. */
export class Joined implements Filter {
  readonly cost: number
  readonly #parts: readonly Filter[]
  readonly #deciding: Verdict
  readonly #neutral: Verdict
  readonly #own: Combine
  /** What every row must have in a column is looked for in all such columns at once. */
  readonly #columns: Cells[] = []
  readonly #wanted: Wanted[] = []
  readonly #others: Filter[] = []
  #scratch: Uint32Array | null = null

  constructor(
    parts: readonly Filter[],
    readonly every: boolean,
    readonly loops: Loops,
  ) {
    const flat = parts.flatMap((part) =>
      part instanceof Joined && part.every === every ? part.#parts : [part],
    )
    this.#parts = flat.sort((a, b) => a.cost - b.cost)
    this.cost = parts.reduce((sum, part) => sum + part.cost, 0)
    this.#deciding = every ? Verdict.None : Verdict.All
    this.#neutral = every ? Verdict.All : Verdict.None
    this.#own = every ? Combine.And : Combine.Or
  }

  open(chunk: Chunk): Verdict {
    this.#columns.length = 0
    this.#wanted.length = 0
    this.#others.length = 0
    for (const part of this.#parts) {
      const verdict = part.open(chunk)
      if (verdict === this.#deciding) return verdict
      if (verdict === Verdict.Some) this.#sort(part)
    }
    return this.#columns.length + this.#others.length === 0 ? this.#neutral : Verdict.Some
  }

  #sort(part: Filter): void {
    const scan = this.every && this.#columns.length < MOST_SCANS ? part.scan?.() : null
    if (scan) {
      this.#columns.push(scan.cells)
      this.#wanted.push(scan.wanted)
    } else {
      this.#others.push(part)
    }
  }

  /** Often one column is left to look in, as all rows of a chunk have what the field needs to be present. */
  scan(): { cells: Cells; wanted: Wanted } | null {
    if (this.#columns.length + this.#others.length !== 1) return null
    const [other] = this.#others
    return other ? (other.scan?.() ?? null) : { cells: this.#columns[0], wanted: this.#wanted[0] }
  }

  match(first: number, count: number, bits: Uint32Array, combine: Combine): void {
    const parts = Math.min(1, this.#columns.length) + this.#others.length
    if (combine === Combine.Set || combine === this.#own || parts === 1) {
      let how = combine
      if (this.#columns.length > 0) {
        this.loops.scan(this.#columns, this.#wanted, first, count, bits, how)
        how = this.#own
      }
      for (const part of this.#others) {
        if (how === Combine.And && isEmpty(bits, first, count)) return
        part.match(first, count, bits, how)
        how = this.#own
      }
      return
    }
    this.#scratch ??= new Uint32Array(CHUNK_ROWS / 32)
    this.match(first, count, this.#scratch, Combine.Set)
    combineWords(this.#scratch, first, count, bits, combine)
  }
}

export function combineWords(
  from: Uint32Array,
  first: number,
  count: number,
  bits: Uint32Array,
  combine: Combine,
): void {
  const end = (first + count + 31) >> 5
  for (let at = first >> 5; at < end; at++) store(bits, at, from[at], combine)
}

/** A test that looks at each row by itself, and only at those whose answer matters still. */
export abstract class RowTest implements Filter {
  abstract readonly cost: number
  abstract open(chunk: Chunk): Verdict
  protected abstract holds(row: number): boolean

  match(first: number, count: number, bits: Uint32Array, combine: Combine): void {
    const end = first + count
    for (let row = first; row < end; row += 32) {
      const at = row >> 5
      const rows = Math.min(32, end - row)
      const matters = combine === Combine.And ? bits[at] : combine === Combine.Or ? ~bits[at] : -1
      let word = 0
      for (let i = 0; i < rows; i++) {
        if (((matters >>> i) & 1) === 1 && this.holds(row + i)) word |= 1 << i
      }
      store(bits, at, word, combine)
    }
  }
}
