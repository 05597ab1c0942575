// ast.ts: a filter that has been understood: fields resolved, values of their field's type.

import type { Field } from '../fields.ts'

/** Both ends belong to it. An exact value is a range of one. */
export interface Range {
  low: number | bigint
  high: number | bigint
}

export type Expression =
  | { kind: 'all' }
  | { kind: 'and' | 'or'; left: Expression; right: Expression }
  | { kind: 'not'; operand: Expression }
  /** The field's number lies in one of the ranges; with `outside`, in none (and is not absent). */
  | { kind: 'ranges'; field: Field; ranges: Range[]; outside: boolean }
  /** The field's text equals one of the texts, ignoring case; with `outside`, none. */
  | { kind: 'texts'; field: Field; texts: string[]; outside: boolean }
  | { kind: 'contains'; field: Field; text: string }
  | { kind: 'matches'; field: Field; pattern: RegExp }
  | { kind: 'flag'; field: Field; value: boolean }
  /** The payload equals (`whole`) or contains one of these byte strings; with `outside`, does not. */
  | { kind: 'bytes'; field: Field; needles: Uint8Array[]; whole: boolean; outside: boolean }
  /** Some name in the row contains the text, ignoring case. */
  | { kind: 'search'; text: string }
