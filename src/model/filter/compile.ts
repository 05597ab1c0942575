// compile.ts: from an expression to a filter.
//
// Negation goes down into the tests, where it costs nothing: an answer or a range is turned over once, not each row's bit.

import { describeIoctl } from '../../formats/ioctl.ts'
import { functionFullName, functionName } from '../../formats/irp-names.ts'
import { statusName } from '../../formats/ntstatus.ts'
import type { FunctionIndex } from '../../protocol/ids.ts'
import type { Capture } from '../capture.ts'
import { type EntrySource, type Field, fieldNamed, type Value } from '../fields.ts'
import type { Expression } from './ast.ts'
import { Constant, type Filter, Joined, Verdict } from './filter.ts'
import { parseFilter } from './parser.ts'
import { ColumnTest, EntryTest, isInside, type NumberTest, PayloadTest } from './tests.ts'

/** Throws FilterError. */
export function compileFilter(text: string, capture: Capture): Filter {
  return new Compiler(capture).compile(parseFilter(text, capture.options), false)
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

class Compiler {
  constructor(readonly capture: Capture) {}

  compile(expression: Expression, negated: boolean): Filter {
    switch (expression.kind) {
      case 'all':
        return new Constant(negated ? Verdict.None : Verdict.All)
      case 'and':
      case 'or':
        return new Joined(
          this.#operands(expression, expression.kind).map((each) => this.compile(each, negated)),
          (expression.kind === 'and') !== negated,
          this.capture.loops,
        )
      case 'not':
        return this.compile(expression.operand, !negated)
      case 'ranges': {
        const { field, ranges, outside } = expression
        const holds = (value: Value) => isInside(value as number, ranges) !== outside
        return this.#test(field, holds, negated, { ranges, outside, negated })
      }
      case 'texts': {
        const { field, texts, outside } = expression
        return this.#test(field, (value) => texts.includes(String(value).toLowerCase()) !== outside, negated)
      }
      case 'contains': {
        const { field, text } = expression
        return this.#test(field, (value) => String(value).toLowerCase().includes(text), negated)
      }
      case 'matches': {
        const { field, pattern } = expression
        return this.#test(field, (value) => pattern.test(String(value)), negated)
      }
      case 'flag': {
        const { field, value: wanted } = expression
        return this.#test(field, (value) => value === wanted, negated)
      }
      case 'bytes': {
        const { field, needles, whole, outside } = expression
        if (field.source.in !== 'payload') throw new TypeError(`${field.name} holds no bytes`)
        return new PayloadTest(field.source.extra, needles, whole, outside, negated)
      }
      case 'search':
        return new Joined(
          SEARCHED.map(([name, print]) =>
            this.#test(
              fieldNamed(name)!,
              (value) => print(value).toLowerCase().includes(expression.text),
              negated,
            ),
          ),
          negated,
          this.capture.loops,
        )
    }
  }

  /** `a && b && c` has three. */
  #operands(expression: Expression, kind: 'and' | 'or'): Expression[] {
    if (expression.kind !== kind) return [expression]
    return [...this.#operands(expression.left, kind), ...this.#operands(expression.right, kind)]
  }

  /** `holds` is asked for values that are there; what is absent passes only when negated. */
  #test(field: Field, holds: (value: Value) => boolean, negated: boolean, number?: NumberTest): Filter {
    const { present } = field
    const test = this.#testOfSource(field, (value) => (value !== null && holds(value)) !== negated, number)
    if (!present) return test
    const isPresent = this.#entries(present, (value) => (value === true) !== negated)
    return new Joined([isPresent, test], !negated, this.capture.loops)
  }

  #testOfSource({ name, source }: Field, passes: (value: Value) => boolean, number?: NumberTest): Filter {
    const { loops } = this.capture
    if (source.in === 'payload') throw new TypeError(`${name} is compared as bytes`)
    if (source.in !== 'column') return this.#entries(source, passes)
    if (source.either) {
      const [former, latter] = source.either
      return new Joined(
        [
          this.#entries(former, (value) => value !== null && passes(value)),
          new Joined(
            [this.#entries(former, (value) => value === null), this.#entries(latter, passes)],
            true,
            loops,
          ),
        ],
        false,
        loops,
      )
    }
    if (!number) throw new TypeError(`${name} is compared as a number`)
    return new ColumnTest(source, number, loops)
  }

  #entries(source: EntrySource, answer: (value: Value) => boolean): Filter {
    return new EntryTest(source, this.capture, answer)
  }
}
