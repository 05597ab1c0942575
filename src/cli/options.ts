// options.ts: the options that several commands share, and how their texts become values.

import { InvalidArgumentError, Option } from 'commander'
import type { SimOptions } from '../../addon/binding.ts'
import { parseQuota } from '../formats/quotas.ts'
import { TextError } from '../formats/text-error.ts'
import { formatBytes } from '../formats/values.ts'
import { MAX_RING_BYTES, MIN_RING_BYTES } from '../protocol/layout.ts'
import { MIN_BUDGET_BYTES } from '../protocol/wire.ts'
import { availableBytes, defaultRingBytes } from '../session/memory-budget.ts'
import type { Io, SourceKind } from './io.ts'

/** Requests per second that the simulated callers issue unless told otherwise: lively, and easy to follow. */
const DEFAULT_RATE = 3000

export interface SourceOptions {
  source?: SourceKind
}

export interface TrafficOptions extends SourceOptions {
  seed: number
  rate: number
}

export function sourceOption(): Option {
  return new Option(
    '--source <kind>',
    'where the requests come from (default: the device on Windows, else sim)',
  ).choices(['device', 'sim'])
}

export function sourceKind(options: SourceOptions, io: Io): SourceKind {
  return options.source ?? (io.platform === 'win32' ? 'device' : 'sim')
}

export function driverOption(): Option {
  return new Option('--driver <name...>', 'drivers to watch: \\Driver\\AFD, or AFD for short')
}

export function seedOption(): Option {
  return new Option('--seed <n>', 'sim: the same seed gives the same traffic')
    .argParser(wholeNumber(0, Number.MAX_SAFE_INTEGER))
    .default(1)
}

export function rateOption(): Option {
  return new Option('--rate <n>', 'sim: requests per second, or max')
    .argParser((text) => (text === 'max' ? 0 : wholeNumber(1, 1e9)(text)))
    .default(DEFAULT_RATE)
}

export function trafficOf(kind: SourceKind, options: TrafficOptions, count: number): SimOptions | null {
  return kind === 'sim' ? { seed: options.seed, rate: options.rate, count } : null
}

export function memoryOption(defaultBytes: number, words = formatBytes(defaultBytes)): Option {
  return new Option('--memory <size>', 'memory that rows may take, such as 2GB; the oldest leave first')
    .argParser(understood((text) => parseQuota(text, MIN_BUDGET_BYTES, availableBytes())))
    .default(defaultBytes, words)
}

export function ringOption(): Option {
  return new Option(
    '--ring <size>',
    "the driver's buffer per processor, in nonpaged memory, such as 32MB: a larger one bridges longer stalls",
  )
    .argParser(understood(parseRingSize))
    .default(undefined, `up to ${formatBytes(defaultRingBytes())} here`)
}

export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || value < least || value > most) {
      throw new InvalidArgumentError(`It should be a whole number from ${least} to ${most}.`)
    }
    return value
  }
}

function parseRingSize(text: string): number {
  const bytes = parseQuota(text, MIN_RING_BYTES, MAX_RING_BYTES)
  if (Number.isInteger(Math.log2(bytes))) return bytes
  throw new TextError(`"${text}" is no power of two; "16MB" is one, or "32MB"`)
}

/** Seconds, fractions allowed. */
export function seconds(text: string): number {
  const value = Number(text)
  if (!/^\d*\.?\d+$/.test(text) || !(value > 0) || value > 1e6) {
    throw new InvalidArgumentError('It should be a number of seconds.')
  }
  return value
}

/** A reader of texts that says itself what is wrong with one. */
export function understood<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text)
    } catch (error) {
      throw error instanceof TextError ? new InvalidArgumentError(error.sentence) : error
    }
  }
}
