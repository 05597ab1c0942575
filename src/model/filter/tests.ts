// tests.ts: the leaves of a filter: one question about one field.

import type { Capture } from '../capture.ts'
import { type Chunk, ChunkState } from '../chunk.ts'
import { type ColumnSource, ENTRIES, type EntrySource, type Narrow, type Value } from '../fields.ts'
import type { Cells, Combine, Loops, Wanted } from '../loops.ts'
import type { Range } from './ast.ts'
import { Cost, type Filter, RowTest, Verdict } from './filter.ts'

/** Of something in a dictionary: each entry answers once, a row looks up its code's answer. */
export class EntryTest implements Filter {
  readonly cost = Cost.Code
  #answers = new Uint8Array(0)
  #codes: Uint16Array = new Uint16Array(0)

  constructor(
    readonly source: EntrySource,
    readonly capture: Capture,
    readonly answer: (value: Value) => boolean,
  ) {}

  open(chunk: Chunk): Verdict {
    const same = this.source.ofAll?.(chunk)
    if (same !== undefined) return this.answer(same) ? Verdict.All : Verdict.None
    const { entries, size, width } = chunk[ENTRIES[this.source.in]]
    if (this.#answers.length !== size) this.#answers = new Uint8Array(size)
    let passing = 0
    for (let code = 0; code < size; code++) {
      const answer = this.answer(this.source.value(entries, code * width, this.capture)) ? 1 : 0
      this.#answers[code] = answer
      passing += answer
    }
    this.#codes = chunk[this.source.in]
    return passing === 0 ? Verdict.None : passing === size ? Verdict.All : Verdict.Some
  }

  match(first: number, count: number, bits: Uint32Array, combine: Combine): void {
    this.capture.loops.scan([this.#codes], [this.#answers], first, count, bits, combine)
  }

  scan(): { cells: Cells; wanted: Wanted } {
    return { cells: this.#codes, wanted: this.#answers }
  }
}

/** Which numbers pass: those in one of the ranges or, with `outside`, in none; what is absent, only with `negated`. */
export interface NumberTest {
  ranges: readonly Range[]
  outside: boolean
  /** The answer is turned over, that of what is absent too. */
  negated: boolean
}

/** Comparison of a number with a big integer is exact in JavaScript. */
export function isInside(value: number | bigint, ranges: readonly Range[]): boolean {
  for (const { low, high } of ranges) if (value >= low && value <= high) return true
  return false
}

const MOST_RANGES = 8

/** Of numbers in a column: as ranges of its cells, where it has cells that say enough; else row by row. */
export class ColumnTest extends RowTest {
  readonly cost: number
  #chunk: Chunk | null = null
  #narrow: Narrow | null = null
  #passing: Uint32Array = new Uint32Array(0)
  readonly #one = new Float64Array(1)

  constructor(
    readonly source: ColumnSource,
    readonly test: NumberTest,
    readonly loops: Loops,
  ) {
    super()
    this.cost = source.narrow ? Cost.Column : Cost.Computed
  }

  open(chunk: Chunk): Verdict {
    this.#chunk = chunk
    this.#narrow = this.source.narrow?.(chunk) ?? null
    const decided = this.#decide(this.source.extremes?.(chunk))
    if (decided !== Verdict.Some || !this.#narrow) return decided
    this.#passing = passingCells(this.#narrow, this.test)
    return this.#passing.length === 0 ? Verdict.None : Verdict.Some
  }

  /** By the least and the greatest value alone. */
  #decide(extremes: { least: number; most: number; anyAbsent: boolean } | undefined): Verdict {
    if (!extremes) return Verdict.Some
    const { least, most, anyAbsent } = extremes
    const { ranges, outside, negated } = this.test
    const all = ranges.some((range) => range.low <= least && range.high >= most)
    const none = ranges.every((range) => range.high < least || range.low > most)
    if (least > most) return negated ? Verdict.All : Verdict.None
    if (!all && !none) return Verdict.Some
    const pass = (all ? !outside : outside) !== negated
    if (anyAbsent && pass !== negated) return Verdict.Some
    return pass ? Verdict.All : Verdict.None
  }

  override match(first: number, count: number, bits: Uint32Array, combine: Combine): void {
    const scan = this.scan()
    if (scan) this.loops.scan([scan.cells], [scan.wanted], first, count, bits, combine)
    else super.match(first, count, bits, combine)
  }

  scan(): { cells: Cells; wanted: Wanted } | null {
    if (!this.#narrow) return null
    const { cells } = this.#narrow
    const isScattered = cells instanceof Uint16Array && this.#passing.length > 2 * MOST_RANGES
    return { cells, wanted: isScattered ? answersOf(this.#passing) : this.#passing }
  }

  protected holds(row: number): boolean {
    const { source, test } = this
    if (!this.#chunk) return false
    source.fill(this.#chunk, row, 1, this.#one)
    const value = this.#one[0]
    if (Number.isNaN(value)) return test.negated
    const exact = source.exact ? source.exact(this.#chunk, row) : value
    return (isInside(exact, test.ranges) !== test.outside) !== test.negated
  }
}

/** Ranges of cells, ascending and apart from each other: pairs of low and high. */
function passingCells(narrow: Narrow, test: NumberTest): Uint32Array {
  const { offset, top, large } = narrow
  let ranges: [low: number, high: number][] = []
  for (const { low, high } of test.ranges) {
    const from = Math.max(0, Math.ceil(Number(low)) - offset)
    const to = Math.min(top, Math.floor(Number(high)) - offset)
    if (from <= to) ranges.push([from, to])
  }
  const size = large?.size ?? 0
  for (let code = 0; large && code < size; code++) {
    const at = code * 2
    const value = (BigInt(large.entries[at + 1]) << 32n) | BigInt(large.entries[at])
    if (isInside(value, test.ranges)) ranges.push([top + 1 + code, top + 1 + code])
  }
  ranges = merged(ranges)
  if (test.outside) ranges = complement(ranges, top + size)
  if (test.negated) ranges = complement(ranges, narrow.cells instanceof Uint16Array ? 0xffff : 0xffffffff)
  return Uint32Array.from(ranges.flat())
}

function merged(ranges: [number, number][]): [number, number][] {
  const result: [number, number][] = []
  for (const [low, high] of ranges.sort((a, b) => a[0] - b[0])) {
    const last = result.at(-1)
    if (last && low <= last[1] + 1) last[1] = Math.max(last[1], high)
    else result.push([low, high])
  }
  return result
}

function complement(ranges: readonly [number, number][], top: number): [number, number][] {
  const result: [number, number][] = []
  let from = 0
  for (const [low, high] of ranges) {
    if (low > from) result.push([from, low - 1])
    from = high + 1
  }
  if (from <= top) result.push([from, top])
  return result
}

function answersOf(ranges: Uint32Array): Uint8Array {
  const answers = new Uint8Array(0x10000)
  for (let at = 0; at < ranges.length; at += 2) answers.fill(1, ranges[at], ranges[at + 1] + 1)
  return answers
}

/** Of captured bytes: whether they equal (`whole`) or contain one of the byte strings; with `outside`, none. */
export class PayloadTest extends RowTest {
  readonly cost = Cost.Payload
  #chunk: Chunk | null = null

  constructor(
    readonly extra: number,
    readonly needles: readonly Uint8Array[],
    readonly whole: boolean,
    readonly outside: boolean,
    readonly negated: boolean,
  ) {
    super()
  }

  open(chunk: Chunk): Verdict {
    this.#chunk = chunk
    if (chunk.state[ChunkState.segments] > 0) return Verdict.Some
    return this.negated ? Verdict.All : Verdict.None
  }

  protected holds(row: number): boolean {
    const payload = this.#chunk?.payload(row, this.extra)
    if (!payload) return this.negated
    const found = this.needles.some((needle) =>
      this.whole
        ? needle.length === payload.bytes.length && startsAt(payload.bytes, needle, 0)
        : includes(payload.bytes, needle),
    )
    return (found !== this.outside) !== this.negated
  }
}

function includes(bytes: Uint8Array, needle: Uint8Array): boolean {
  const last = bytes.length - needle.length
  for (let at = bytes.indexOf(needle[0]); at >= 0 && at <= last; at = bytes.indexOf(needle[0], at + 1)) {
    if (startsAt(bytes, needle, at)) return true
  }
  return false
}

function startsAt(bytes: Uint8Array, needle: Uint8Array, at: number): boolean {
  for (let i = 0; i < needle.length; i++) if (bytes[at + i] !== needle[i]) return false
  return true
}
