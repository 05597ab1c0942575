// parser.ts: the filter language, by recursive descent.
//
//   filter      = [ either ]
//   either      = both { ("||" | "or") both }
//   both        = unary { ("&&" | "and") unary }
//   unary       = ("!" | "not") unary | "(" either ")" | test
//   test        = field ("==" | "!=" | "<" | "<=" | ">" | ">=") value
//               | field "in" "{" item { "," item } "}"          item = value [ ".." value ]
//               | field "contains" value | field "matches" string
//               | flag                                          a field that is true or false
//               | word | string                                 text search over all names of a row
//
// It is typed: a duration wants a unit, a status a name or number, and each error says where and what was expected.
// Text compares without regard to case, as Windows' own names do. Comparisons with what a row does not have (the
// status of a request in flight) do not hold; `!(…)` of them does.

import type { Clock } from '../../formats/values.ts'
import { MAX_FILTER_LENGTH } from '../../protocol/wire.ts'
import { type Field, fieldNamed, fields } from '../fields.ts'
import type { Expression, Range } from './ast.ts'
import { FilterError } from './error.ts'
import { lex, type Token } from './lexer.ts'
import { describeValue, isOrdered, neighbour, readBytes, readNumber } from './values.ts'

/** What could come next, for completion: a new test, an operator after this field, or this field's value. */
export type Expected =
  | { what: 'test' }
  | { what: 'operator'; field: Field }
  | { what: 'value'; field: Field }
  | { what: 'joiner' }

const MOST_DEPTH = 200
const COMPARISONS = ['==', '!=', '<', '<=', '>', '>=']
const WORDS = ['in', 'contains', 'matches']

/** Throws FilterError. Needs the clock since durations and times become ticks. */
export function parseFilter(text: string, clock: Clock): Expression {
  if (text.length > MAX_FILTER_LENGTH)
    throw new FilterError(
      `a filter may have up to ${MAX_FILTER_LENGTH} characters`,
      MAX_FILTER_LENGTH,
      text.length,
    )
  return new Parser(lex(text), clock).filter()
}

/** Which operators a field takes. */
export function operatorsOf(field: Field): readonly string[] {
  switch (field.type) {
    case 'text':
      return ['==', '!=', 'contains', 'matches', 'in']
    case 'bytes':
      return ['contains', '==', '!=']
    case 'flag':
      return ['==', '!=']
    default:
      return isOrdered(field) ? ['==', '!=', '<', '<=', '>', '>=', 'in'] : ['==', '!=', 'in']
  }
}

export class Parser {
  #at = 0
  #depth = 0
  /** What could follow the text; null when it goes wrong before its end. */
  expectedAtEnd: Expected | null = null

  constructor(
    readonly tokens: readonly Token[],
    readonly clock: Clock,
  ) {}

  filter(): Expression {
    this.#expect({ what: 'test' })
    if (this.#peek().kind === 'end') return { kind: 'all' }
    const expression = this.#either()
    const token = this.#peek()
    if (token.kind !== 'end') {
      throw new FilterError(
        token.text === ')' ? 'this parenthesis was never opened' : 'expected && or || between two tests',
        token.start,
        token.end,
      )
    }
    this.#expect({ what: 'joiner' })
    return expression
  }

  #expect(expected: Expected): void {
    if (this.#peek().kind === 'end') this.expectedAtEnd = expected
  }

  #peek(): Token {
    return this.tokens[this.#at]
  }

  #take(): Token {
    const token = this.tokens[this.#at]
    if (token.kind !== 'end') this.#at++
    return token
  }

  #accept(...texts: string[]): boolean {
    const token = this.#peek()
    if (token.kind === 'string' || !texts.includes(token.text.toLowerCase())) return false
    this.#at++
    return true
  }

  #either(): Expression {
    let left = this.#both()
    while (this.#accept('||', 'or')) left = { kind: 'or', left, right: this.#both() }
    return left
  }

  #both(): Expression {
    let left = this.#unary()
    while (this.#accept('&&', 'and')) left = { kind: 'and', left, right: this.#unary() }
    return left
  }

  #unary(): Expression {
    if (this.#accept('!', 'not')) return { kind: 'not', operand: this.#within(() => this.#unary()) }
    const open = this.#peek()
    if (this.#accept('(')) {
      const inner = this.#within(() => this.#either())
      if (!this.#accept(')')) {
        this.#expect({ what: 'joiner' })
        const end = this.#peek()
        throw new FilterError(
          'this parenthesis is not closed',
          open.start,
          end.kind === 'end' ? open.end : end.end,
        )
      }
      return inner
    }
    return this.#test()
  }

  /** The deeper, the more of the stack. */
  #within(parse: () => Expression): Expression {
    if (this.#depth === MOST_DEPTH) {
      const { start, end } = this.#peek()
      throw new FilterError(`parentheses and ! may lie ${MOST_DEPTH} within one another`, start, end)
    }
    this.#depth++
    const inner = parse()
    this.#depth--
    return inner
  }

  #test(): Expression {
    const subject = this.#take()
    if (subject.kind === 'end' || subject.kind === 'symbol' || isReserved(subject)) {
      this.#expect({ what: 'test' })
      throw new FilterError(
        'expected a field, such as status, or a text to look for',
        subject.start,
        subject.end,
      )
    }
    const operator = this.#peek()
    const compared =
      operator.kind !== 'string' && [...COMPARISONS, ...WORDS].includes(operator.text.toLowerCase())
    const field = subject.kind === 'word' ? fieldNamed(subject.text) : undefined
    if (!field) {
      if (!compared) return { kind: 'search', text: subject.text.toLowerCase() }
      const what =
        subject.kind === 'string' ? 'a quoted text is no field' : `there is no field “${subject.text}”`
      throw new FilterError(`${what}${suggestion(subject.text)}`, subject.start, subject.end)
    }
    if (!compared) {
      this.#expect({ what: 'operator', field })
      if (field.type === 'flag') return { kind: 'flag', field, value: true }
      throw new FilterError(
        `expected ${list(operatorsOf(field))} after ${field.name}`,
        operator.kind === 'end' ? subject.start : operator.start,
        operator.end,
      )
    }
    this.#take()
    const name = operator.text.toLowerCase()
    if (!operatorsOf(field).includes(name)) {
      throw new FilterError(`${field.name} takes ${list(operatorsOf(field))}`, operator.start, operator.end)
    }
    if (name === 'in') return this.#set(field)
    const value = this.#value(field)
    if (name === 'contains') {
      return field.type === 'bytes'
        ? { kind: 'bytes', field, needles: readBytes(value, field), whole: false, outside: false }
        : { kind: 'contains', field, text: value.text.toLowerCase() }
    }
    if (name === 'matches') return { kind: 'matches', field, pattern: readPattern(value) }
    return this.#comparison(field, name, value)
  }

  #comparison(field: Field, operator: string, value: Token): Expression {
    const outside = operator === '!='
    if (field.type === 'text') return { kind: 'texts', field, texts: [value.text.toLowerCase()], outside }
    if (field.type === 'bytes')
      return { kind: 'bytes', field, needles: readBytes(value, field), whole: true, outside }
    if (field.type === 'flag') return { kind: 'flag', field, value: readFlag(value, field) !== outside }
    const number = readNumber(value, field, this.clock)
    return { kind: 'ranges', field, ranges: [rangeOf(operator, number)], outside }
  }

  #set(field: Field): Expression {
    const open = this.#peek()
    if (!this.#accept('{')) throw new FilterError('expected { and a list of values', open.start, open.end)
    const texts: string[] = []
    const ranges: Range[] = []
    do {
      const value = this.#value(field)
      if (field.type === 'text') {
        texts.push(value.text.toLowerCase())
        continue
      }
      const low = readNumber(value, field, this.clock)
      const dots = this.#peek()
      if (!this.#accept('..')) {
        ranges.push({ low, high: low })
        continue
      }
      if (!isOrdered(field)) throw new FilterError(`${field.name} has no ranges`, dots.start, dots.end)
      const end = this.#value(field)
      const high = readNumber(end, field, this.clock)
      if (high < low) throw new FilterError('the range ends before it begins', value.start, end.end)
      ranges.push({ low, high })
    } while (this.#accept(','))
    const close = this.#peek()
    if (!this.#accept('}'))
      throw new FilterError('expected , or } in the list of values', close.start, close.end)
    return field.type === 'text'
      ? { kind: 'texts', field, texts, outside: false }
      : { kind: 'ranges', field, ranges, outside: false }
  }

  #value(field: Field): Token {
    const token = this.#take()
    if (token.kind === 'end' || token.kind === 'symbol') {
      this.#expect({ what: 'value', field })
      throw new FilterError(`expected ${describeValue(field)}`, token.start, token.end)
    }
    return token
  }
}

function isReserved(token: Token): boolean {
  return token.kind === 'word' && ['and', 'or', 'not', ...WORDS].includes(token.text.toLowerCase())
}

function rangeOf(operator: string, value: number | bigint): Range {
  switch (operator) {
    case '<':
      return { low: Number.NEGATIVE_INFINITY, high: neighbour(value, -1) }
    case '<=':
      return { low: Number.NEGATIVE_INFINITY, high: value }
    case '>':
      return { low: neighbour(value, 1), high: Number.POSITIVE_INFINITY }
    case '>=':
      return { low: value, high: Number.POSITIVE_INFINITY }
    default:
      return { low: value, high: value }
  }
}

function readFlag(token: Token, field: Field): boolean {
  const text = token.text.toLowerCase()
  if (token.kind === 'word' && (text === 'true' || text === '1')) return true
  if (token.kind === 'word' && (text === 'false' || text === '0')) return false
  throw new FilterError(`${field.name} is compared with ${describeValue(field)}`, token.start, token.end)
}

function readPattern(token: Token): RegExp {
  try {
    return new RegExp(token.text, 'iu')
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^.*\/: /, '') : ''
    throw new FilterError(`this is no regular expression: ${reason}`, token.start, token.end)
  }
}

function list(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`
}

/** `: did you mean latency?`, for a field that is two letters away at most. */
/** Heads of the window's columns whose fields are called otherwise. */
const BY_HEAD = new Map([
  ['duration', 'latency'],
  ['operation', 'ioctl'],
  ['out', 'output_length'],
  ['details', 'information'],
])

function suggestion(word: string): string {
  const name = word.toLowerCase()
  const near = fields
    .map((field) => ({ name: field.name, distance: distance(name, field.name) }))
    .filter((candidate) => candidate.distance <= 2)
    .sort((a, b) => a.distance - b.distance)[0]
  const meant = BY_HEAD.get(name) ?? near?.name
  return meant ? `: did you mean ${meant}?` : ''
}

/** Letters to insert, delete or change to make `a` into `b`. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1))
    }
    row = next
  }
  return row[b.length]
}
