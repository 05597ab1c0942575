// predicates.ts: which requests are recorded, as people write it and read it: `READ, FAST_IO`, `IOCTL_AFD_RECV`, `1ms`.

import type { CapturePredicates, Choice } from '../protocol/capture-settings.ts'
import { narrows } from '../protocol/capture-settings.ts'
import type { FunctionIndex } from '../protocol/ids.ts'
import { FUNCTION_COUNT, MAX_PREDICATE_ENTRIES } from '../protocol/layout.ts'
import { describeIoctl, ioctlByName } from './ioctl.ts'
import { functionByName, functionName, isFastIo } from './irp-names.ts'
import { TextError } from './text-error.ts'
import { DURATION_UNITS, formatCount, formatDuration } from './values.ts'

/** One word that stands for every fast-I/O routine. */
const ALL_FAST_IO = 'FAST_IO'

const ALL_FUNCTIONS = Array.from({ length: FUNCTION_COUNT }, (_, index) => index as FunctionIndex)

function words(text: string): string[] {
  return text.split(/[\s,]+/).filter((word) => word !== '')
}

/** `READ, IRP_MJ_WRITE, FAST_IO_DEVICE_CONTROL, FAST_IO`. */
export function parseFunctions(text: string): FunctionIndex[] {
  const found = words(text).flatMap((word) => {
    if (word.toUpperCase() === ALL_FAST_IO) return ALL_FUNCTIONS.filter(isFastIo)
    const index = functionByName(word)
    if (index === undefined) {
      throw new TextError(
        `there is no function "${word}"; one is called READ, DEVICE_CONTROL or FAST_IO_WRITE`,
      )
    }
    return index
  })
  return [...new Set(found)]
}

export function parseProcessIds(text: string): number[] {
  return entries(
    text,
    (word) => (/^\d+$/.test(word) ? Number(word) : undefined),
    'process id, a whole number',
  )
}

/** `IOCTL_AFD_RECV, AFD_SEND, 0x12017`. */
export function parseCodes(text: string): number[] {
  return entries(
    text,
    (word) => (/^(?:0x[0-9a-f]+|\d+)$/i.test(word) ? Number(word) : ioctlByName(word)),
    'control code: a name such as IOCTL_AFD_RECV, or a number such as 0x12017',
  )
}

function entries(text: string, parse: (word: string) => number | undefined, what: string): number[] {
  const values = words(text).map((word) => {
    const value = parse(word)
    if (value === undefined || value > 0xffffffff) throw new TextError(`"${word}" is no ${what}`)
    return value
  })
  if (values.length > MAX_PREDICATE_ENTRIES) {
    throw new TextError(`at most ${MAX_PREDICATE_ENTRIES} can be named, these are ${values.length}`)
  }
  return [...new Set(values)]
}

/** Nanoseconds of `1ms`, `2.5 s`, `0`. */
export function parseDuration(text: string): number {
  const [, amount, unit = ''] = /^(\d*\.?\d+)\s*(\p{L}*)$/u.exec(text.trim()) ?? []
  const ns = Number(amount) === 0 && unit === '' ? 1 : DURATION_UNITS[unit.toLowerCase()]
  if (amount === undefined || ns === undefined) {
    throw new TextError(`"${text}" is no duration; one is written 250us, 1ms, 2s or 10min`)
  }
  return Number(amount) * ns
}

/** Names, so that they read back as the same functions. */
export function formatFunctions(values: readonly FunctionIndex[]): string {
  const fastIo = ALL_FUNCTIONS.filter(isFastIo)
  const all = fastIo.every((index) => values.includes(index))
  const named = values.filter((index) => !all || !isFastIo(index)).map(functionName)
  return [...named, ...(all ? [ALL_FAST_IO] : [])].join(', ')
}

export function formatCodes(values: readonly number[]): string {
  return values.map((code) => describeIoctl(code).split(' ')[0]).join(', ')
}

/** `errors only; latency ≥ 1.00 ms; 1 in 10`; '' where rows are all requests. */
export function describePredicates(predicates: CapturePredicates): string {
  if (!narrows(predicates)) return ''
  const { drivers, functions, processes, codes, errorsOnly, minimumLatencyNs, sampleEvery } = predicates
  const parts = [
    choice(drivers, '', (names) => names.join(', ')),
    choice(functions, '', formatFunctions),
    choice(processes, 'PID ', (ids) => ids.join(', ')),
    choice(codes, 'code ', formatCodes),
  ]
  if (errorsOnly) parts.push('errors')
  if (minimumLatencyNs > 0) parts.push(`latency ≥ ${formatDuration(minimumLatencyNs)}`)
  if (sampleEvery > 1) parts.push(`1 in ${formatCount(sampleEvery)}`)
  return parts.filter((part) => part !== '').join('; ')
}

function choice<T>(
  { mode, values }: Choice<T>,
  noun: string,
  name: (values: readonly T[]) => string,
): string {
  if (mode === 'any') return ''
  return `${mode === 'allBut' ? 'not ' : ''}${noun}${values.length === 0 ? 'none' : name(values)}`
}
