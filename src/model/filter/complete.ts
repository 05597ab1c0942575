// complete.ts: what could be typed next in a filter.
//
// The text before the word at the caret is parsed as it stands; what the parser looked for where it ended is what
// can come next.

import { ioctlNames } from '../../formats/ioctl.ts'
import { statusNames } from '../../formats/ntstatus.ts'
import { fields } from '../fields.ts'
import { FilterError } from './error.ts'
import { lex, quoted } from './lexer.ts'
import { type Expected, operatorsOf, Parser } from './parser.ts'
import { valueNames } from './values.ts'

export interface Completion {
  /** What to put between `start` and the caret. */
  text: string
  /** One line about it, or ''. */
  doc: string
}

export interface Completions {
  start: number
  items: Completion[]
}

const NO_CLOCK = { ticksPerSecond: 1, anchorTicks: 0, anchorUtcMs: 0 }
const LIMIT = 50

/** What fits at the caret, best first. `dynamic` gives values seen in the capture, such as driver names. */
export function completeFilter(
  text: string,
  caret: number,
  dynamic: (field: string) => readonly string[] = () => [],
): Completions {
  const start = /[\p{L}\p{N}_.:\\$*-]*$/u.exec(text.slice(0, caret))?.index ?? caret
  const typed = text.slice(start, caret).toLowerCase()
  const expected = expectedAfter(text.slice(0, start))
  if (!expected) return { start, items: [] }
  const items = candidates(expected, dynamic).filter((item) => item.text.toLowerCase().includes(typed))
  // What begins with the typed text first, then what has it soon: `canc` finds STATUS_CANCELLED before its like.
  const rank = (item: Completion) => item.text.toLowerCase().indexOf(typed)
  return { start, items: items.sort((a, b) => rank(a) - rank(b)).slice(0, LIMIT) }
}

function expectedAfter(text: string): Expected | null {
  let parser: Parser
  try {
    parser = new Parser(lex(text), NO_CLOCK)
  } catch {
    return null // within a quoted text
  }
  try {
    parser.filter()
  } catch (error) {
    if (!(error instanceof FilterError)) throw error
  }
  return parser.expectedAtEnd
}

function candidates(expected: Expected, dynamic: (field: string) => readonly string[]): Completion[] {
  switch (expected.what) {
    case 'test':
      return fields.map((field) => ({ text: field.name, doc: field.doc }))
    case 'joiner':
      return ['&&', '||'].map((text) => ({ text, doc: '' }))
    case 'operator':
      return operatorsOf(expected.field).map((text) => ({ text, doc: '' }))
    case 'value': {
      const { field } = expected
      if (field.type === 'code') return ioctlNames().map((text) => ({ text, doc: '' }))
      if (field.type === 'status') return statusNames().map((text) => ({ text, doc: '' }))
      const seen = field.type === 'text' ? dynamic(field.name).map(quoted) : []
      return [...valueNames(field), ...seen].map((text) => ({ text, doc: '' }))
    }
  }
}
