// options.ts: the options that several commands share, and how their texts become values.

import { InvalidArgumentError, Option } from 'commander'
import type { SimOptions } from '../../addon/binding.ts'
import { PredicateError } from '../formats/predicates.ts'
import { formatBytes, parseSize } from '../formats/values.ts'
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
    .argParser(size(MIN_BUDGET_BYTES, availableBytes()))
    .default(defaultBytes, words)
}

export function ringOption(): Option {
  return new Option(
    '--ring <size>',
    "the driver's buffer per processor, in nonpaged memory, such as 32MB: a larger one bridges longer stalls",
  )
    .argParser(powerOfTwo(size(MIN_RING_BYTES, MAX_RING_BYTES)))
    .default(undefined, `up to ${formatBytes(defaultRingBytes())} here`)
}

/** Bytes. */
export function size(least: number, most: number): (text: string) => number {
  return (text) => {
    const bytes = parseSize(text)
    if (bytes === undefined || bytes < least || bytes > most) {
      throw new InvalidArgumentError(
        `It should be a size from ${formatBytes(least)} to ${formatBytes(most)}, written with its unit: 64MB.`,
      )
    }
    return bytes
  }
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

function powerOfTwo(read: (text: string) => number): (text: string) => number {
  return (text) => {
    const value = read(text)
    if (!Number.isInteger(Math.log2(value))) throw new InvalidArgumentError('It should be a power of two.')
    return value
  }
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
      if (!(error instanceof PredicateError)) throw error
      throw new InvalidArgumentError(`${error.message[0].toUpperCase()}${error.message.slice(1)}.`)
    }
  }
}
