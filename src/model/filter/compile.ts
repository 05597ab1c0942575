// compile.ts: a filter as machine: which rows of a chunk it lets through, a thousand at a time.
//
// Each test writes a byte per row, and `&&` and `||` combine bytes. A test of something in a dictionary asks its
// question once per distinct value when a chunk is opened, and then only looks up codes; where no value or every
// value answers yes, it does not even do that.

import { describeIoctl } from '../../formats/ioctl.ts'
import { functionFullName, functionName } from '../../formats/irp-names.ts'
import { statusName } from '../../formats/ntstatus.ts'
import type { FunctionIndex } from '../../protocol/ids.ts'
import type { Capture } from '../capture.ts'
import { CHUNK_ROWS, type Chunk } from '../chunk.ts'
import {
  type ColumnSource,
  ENTRIES,
  type EntrySource,
  type Field,
  fieldNamed,
  type Value,
} from '../fields.ts'
import type { Expression, Range } from './ast.ts'
import { parseFilter } from './parser.ts'

export interface Filter {
  /** Makes ready for a chunk; again after it changed. */
  open(chunk: Chunk): void
  /** Writes for rows `first .. first + count` of the chunk 1 where they pass, to `out[0 .. count]`. */
  match(first: number, count: number, out: Uint8Array): void
}

/** Throws FilterError. */
export function compileFilter(text: string, capture: Capture): Filter {
  return compile(parseFilter(text, capture.options), capture)
}

function compile(expression: Expression, capture: Capture): Filter {
  switch (expression.kind) {
    case 'all':
      return new Constant(1)
    case 'and':
    case 'or':
      return new Both(
        compile(expression.left, capture),
        compile(expression.right, capture),
        expression.kind === 'and',
      )
    case 'not':
      return new Not(compile(expression.operand, capture))
    case 'ranges': {
      const { field, ranges, outside } = expression
      return test(field, capture, (value) => inside(value as number, ranges) !== outside, {
        ranges,
        outside,
      })
    }
    case 'texts': {
      const { texts, outside } = expression
      return test(
        expression.field,
        capture,
        (value) => texts.includes(String(value).toLowerCase()) !== outside,
      )
    }
    case 'contains': {
      const { text } = expression
      return test(expression.field, capture, (value) => String(value).toLowerCase().includes(text))
    }
    case 'matches': {
      const { pattern } = expression
      return test(expression.field, capture, (value) => pattern.test(String(value)))
    }
    case 'flag': {
      const number = expression.value ? 1 : 0
      return test(expression.field, capture, (value) => value === expression.value, {
        ranges: [{ low: number, high: number }],
        outside: false,
      })
    }
    case 'bytes': {
      const { field, needles, whole, outside } = expression
      if (field.source.in !== 'payload') throw new TypeError(`${field.name} holds no bytes`)
      return new PayloadTest(field.source.extra, needles, whole, outside)
    }
    case 'search':
      return searchNames(expression.text, capture)
  }
}

/** Names that a bare text is looked for in. */
const SEARCHED: readonly (readonly [field: string, name: (value: Value) => string])[] = [
  ['driver', String],
  ['process', String],
  ['detail', String],
  [
    'function',
    (value) => `${functionName(value as FunctionIndex)} ${functionFullName(value as FunctionIndex)}`,
  ],
  ['ioctl', (value) => describeIoctl(value as number)],
  ['status', (value) => statusName(value as number)],
]

function searchNames(text: string, capture: Capture): Filter {
  return SEARCHED.map(([name, print]) =>
    test(fieldNamed(name)!, capture, (value) => print(value).toLowerCase().includes(text)),
  ).reduce((left, right) => new Both(left, right, false))
}

interface NumberTest {
  ranges: Range[]
  outside: boolean
}

function test(field: Field, capture: Capture, holds: (value: Value) => boolean, number?: NumberTest): Filter {
  const { source } = field
  if (source.in === 'payload') throw new TypeError(`${field.name} is compared as bytes`)
  if (source.in !== 'column') return new EntryTest(source, capture, holds)
  if (!number) throw new TypeError(`${field.name} is compared as a number`)
  return new ColumnTest(source, number)
}

/** Comparison of a number with a big integer is exact in JavaScript. */
function inside(value: number | bigint, ranges: readonly Range[]): boolean {
  return ranges.some((range) => value >= range.low && value <= range.high)
}

/** Whether a double might not tell the range's ends from their neighbours. */
function needsExact(range: Range): boolean {
  return typeof range.low === 'bigint' || typeof range.high === 'bigint'
}

class Constant implements Filter {
  constructor(readonly answer: 0 | 1) {}
  open(): void {}
  match(_first: number, count: number, out: Uint8Array): void {
    out.fill(this.answer, 0, count)
  }
}

class Both implements Filter {
  readonly #scratch = new Uint8Array(CHUNK_ROWS)
  constructor(
    readonly left: Filter,
    readonly right: Filter,
    readonly every: boolean,
  ) {}

  open(chunk: Chunk): void {
    this.left.open(chunk)
    this.right.open(chunk)
  }

  match(first: number, count: number, out: Uint8Array): void {
    this.left.match(first, count, out)
    const scratch = this.#scratch
    this.right.match(first, count, scratch)
    if (this.every) for (let i = 0; i < count; i++) out[i] &= scratch[i]
    else for (let i = 0; i < count; i++) out[i] |= scratch[i]
  }
}

class Not implements Filter {
  constructor(readonly operand: Filter) {}
  open(chunk: Chunk): void {
    this.operand.open(chunk)
  }
  match(first: number, count: number, out: Uint8Array): void {
    this.operand.match(first, count, out)
    for (let i = 0; i < count; i++) out[i] ^= 1
  }
}

class EntryTest implements Filter {
  #answers = new Uint8Array(64)
  #codes: Uint16Array = new Uint16Array(0)
  /** How many entries pass: none and all need no look-up. */
  #passing = 0
  #size = 0

  constructor(
    readonly source: EntrySource,
    readonly capture: Capture,
    readonly holds: (value: Value) => boolean,
  ) {}

  open(chunk: Chunk): void {
    const dictionary = chunk[ENTRIES[this.source.in]]
    this.#codes = chunk[this.source.in]
    this.#size = dictionary.size
    this.#passing = 0
    if (this.#answers.length < dictionary.size) this.#answers = new Uint8Array(dictionary.size * 2)
    for (let code = 0; code < dictionary.size; code++) {
      const value = this.source.value(dictionary.entries, code * dictionary.width, this.capture)
      const answer = value !== null && this.holds(value) ? 1 : 0
      this.#answers[code] = answer
      this.#passing += answer
    }
  }

  match(first: number, count: number, out: Uint8Array): void {
    if (this.#passing === 0 || this.#passing === this.#size) {
      out.fill(this.#passing === 0 ? 0 : 1, 0, count)
      return
    }
    const answers = this.#answers
    const codes = this.#codes
    for (let i = 0; i < count; i++) out[i] = answers[codes[first + i]]
  }
}

class ColumnTest implements Filter {
  readonly #values = new Float64Array(CHUNK_ROWS)
  #chunk: Chunk | null = null

  constructor(
    readonly source: ColumnSource,
    readonly number: NumberTest,
  ) {}

  open(chunk: Chunk): void {
    this.#chunk = chunk
  }

  match(first: number, count: number, out: Uint8Array): void {
    const values = this.#values
    if (!this.#chunk) return
    const { ranges, outside } = this.number
    this.source.fill(this.#chunk, first, count, values)
    const { exact } = this.source
    if (exact && ranges.some(needsExact)) {
      for (let i = 0; i < count; i++) {
        const absent = Number.isNaN(values[i])
        out[i] = !absent && inside(exact(this.#chunk, first + i), ranges) !== outside ? 1 : 0
      }
      return
    }
    out.fill(0, 0, count)
    for (const range of ranges) {
      const low = Number(range.low)
      const high = Number(range.high)
      for (let i = 0; i < count; i++) out[i] |= values[i] >= low && values[i] <= high ? 1 : 0
    }
    // What is absent (NaN) is neither inside nor outside.
    if (outside) for (let i = 0; i < count; i++) out[i] = out[i] === 0 && !Number.isNaN(values[i]) ? 1 : 0
  }
}

class PayloadTest implements Filter {
  #chunk: Chunk | null = null

  constructor(
    readonly extra: number,
    readonly needles: readonly Uint8Array[],
    readonly whole: boolean,
    readonly outside: boolean,
  ) {}

  open(chunk: Chunk): void {
    this.#chunk = chunk
  }

  match(first: number, count: number, out: Uint8Array): void {
    for (let i = 0; i < count; i++) {
      const payload = this.#chunk?.payload(first + i, this.extra)
      out[i] = payload && this.#holds(payload.bytes) !== this.outside ? 1 : 0
    }
  }

  #holds(bytes: Uint8Array): boolean {
    return this.needles.some((needle) =>
      this.whole ? needle.length === bytes.length && startsAt(bytes, needle, 0) : includes(bytes, needle),
    )
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
