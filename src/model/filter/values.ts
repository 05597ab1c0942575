// values.ts: what may stand beside a field of each type, and how it is read.
//
// Numbers become ranges of what the row holds (ticks, bytes, codes), so that every comparison is one question:
// is the row's number in one of these ranges? Open bounds become the neighbouring number.

import { parseHex } from '../../formats/hex.ts'
import { ioctlByName } from '../../formats/ioctl.ts'
import { functionByName, functionNames, majorByName } from '../../formats/irp-names.ts'
import { statusByName } from '../../formats/ntstatus.ts'
import { type Clock, DURATION_UNITS, parseTimestamp, SIZE_UNITS } from '../../formats/values.ts'
import { type Field, STATE_NAMES } from '../fields.ts'
import { FilterError } from './error.ts'
import type { Token } from './lexer.ts'

/** Fields that have an order: `<` and ranges make sense. */
export function isOrdered(field: Field): boolean {
  return ['integer', 'size', 'duration', 'instant', 'address', 'code', 'status'].includes(field.type)
}

export function describeValue(field: Field): string {
  switch (field.type) {
    case 'integer':
      return 'a number'
    case 'size':
      return 'a size, such as 512 or 64KB'
    case 'duration':
      return 'a duration with its unit, such as 1.5ms'
    case 'instant':
      return 'a time in quotes, such as "2026-11-22T14:00:00"'
    case 'address':
      return 'an address, such as 0xFFFF8000DEADBEEF'
    case 'code':
      return 'a control code by number or name, such as IOCTL_AFD_RECV'
    case 'status':
      return 'an NTSTATUS by number or name, such as STATUS_CANCELLED'
    case 'function':
      return 'a function, such as IRP_MJ_READ or FAST_IO_READ'
    case 'major':
      return 'a major function, such as DEVICE_CONTROL'
    case 'state':
      return `one of ${STATE_NAMES.join(', ')}`
    case 'flag':
      return 'true or false'
    case 'bytes':
      return 'bytes, such as de:ad:be:ef, or text in quotes'
    case 'text':
      return 'a text'
  }
}

const INTEGER = /^-?(?:0x[0-9a-f]+|\d+)$/i
const QUANTITY = /^(-?\d+(?:\.\d+)?)([\p{L}]*)$/u

/** The number that a token means for a field; with durations and instants in ticks. */
export function readNumber(token: Token, field: Field, clock: Clock): number | bigint {
  const value = tryNumber(token, field, clock)
  if (value === undefined) {
    throw new FilterError(`${field.name} is compared with ${describeValue(field)}`, token.start, token.end)
  }
  return value
}

function tryNumber(token: Token, field: Field, clock: Clock): number | bigint | undefined {
  const { text } = token
  if (field.type === 'instant') return token.kind === 'string' ? parseTimestamp(text, clock) : undefined
  if (token.kind === 'string') return undefined
  switch (field.type) {
    case 'duration': {
      const [, amount, unit] = QUANTITY.exec(text) ?? []
      const ns = DURATION_UNITS[unit?.toLowerCase()]
      if (Number(amount) === 0 && unit === '') return 0
      return ns === undefined ? undefined : wholeIfNear((Number(amount) * ns * clock.ticksPerSecond) / 1e9)
    }
    case 'size': {
      if (INTEGER.test(text)) return integer(text)
      const [, amount, unit] = QUANTITY.exec(text) ?? []
      const bytes = SIZE_UNITS[unit?.toLowerCase()]
      return bytes === undefined ? undefined : Number(amount) * bytes
    }
    case 'status':
      return INTEGER.test(text) ? unsigned32(integer(text)) : statusByName(text)
    case 'code':
      return INTEGER.test(text) ? integer(text) : ioctlByName(text)
    case 'function':
      return INTEGER.test(text) ? integer(text) : functionByName(text)
    case 'major':
      return INTEGER.test(text) ? integer(text) : majorByName(text)
    case 'state': {
      const state = STATE_NAMES.indexOf(text.toLowerCase() as (typeof STATE_NAMES)[number])
      return state < 0 ? undefined : state
    }
    default:
      return INTEGER.test(text) ? integer(text) : undefined
  }
}

/** A whole number that rounding on the way to it has missed: 16.1us at 10 MHz would be 161.00000000000003 ticks. */
function wholeIfNear(ticks: number): number {
  const whole = Math.round(ticks)
  return Math.abs(ticks - whole) <= 1e-12 * Math.abs(whole) ? whole : ticks
}

function integer(text: string): number | bigint {
  const negative = text.startsWith('-')
  const exact = BigInt(negative ? text.slice(1) : text)
  const value = negative ? -exact : exact
  return value <= Number.MAX_SAFE_INTEGER && value >= Number.MIN_SAFE_INTEGER ? Number(value) : value
}

/** Debuggers print an NTSTATUS as a negative number, too. */
function unsigned32(value: number | bigint): number | bigint {
  return typeof value === 'number' && value < 0 ? value >>> 0 : value
}

/** The byte strings that a token means: one for hexadecimal, and a quoted text in both encodings Windows uses. */
export function readBytes(token: Token, field: Field): Uint8Array[] {
  if (token.kind === 'word') {
    const bytes = parseHex(token.text.replace(/^0x/i, ''))
    if (bytes) return [bytes]
  } else if (token.kind === 'string' && token.text !== '') {
    const wide = new Uint8Array(token.text.length * 2)
    for (let i = 0; i < token.text.length; i++) {
      wide[2 * i] = token.text.charCodeAt(i) & 0xff
      wide[2 * i + 1] = token.text.charCodeAt(i) >> 8
    }
    return [new TextEncoder().encode(token.text), wide]
  }
  throw new FilterError(`${field.name} is compared with ${describeValue(field)}`, token.start, token.end)
}

/** Names that make sense as values of a field, for completion. */
export function valueNames(field: Field): readonly string[] {
  switch (field.type) {
    case 'function':
    case 'major':
      return functionNames.filter((name) => field.type === 'function' || !name.startsWith('FAST_IO_'))
    case 'state':
      return STATE_NAMES
    case 'flag':
      return ['true', 'false']
    default:
      return []
  }
}

const bits = new DataView(new ArrayBuffer(8))

/** The next number above (or below) that a double, or an integer beyond them, can be. */
export function neighbour(value: number | bigint, direction: 1 | -1): number | bigint {
  if (typeof value === 'bigint') return value + BigInt(direction)
  if (value === 0) return direction * Number.MIN_VALUE
  bits.setFloat64(0, value)
  const step = value > 0 === direction > 0 ? 1n : -1n
  bits.setBigInt64(0, bits.getBigInt64(0) + step)
  return bits.getFloat64(0)
}
