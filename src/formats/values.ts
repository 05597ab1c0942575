// values.ts: quantities as a person reads and writes them: durations, sizes, counts, hexadecimal, times of day.
//
// A number on the screen has a unit and about three significant digits; the exact value is in the row. Reading is
// the reverse, and takes what the filter language takes: `1.5ms`, `64KB`, `0x12007`.

/** By name, and nothing else: `constructor`, which every object inherits, is no unit. */
type Units = Readonly<Record<string, number>>

function units(amounts: Units): Units {
  return Object.assign(Object.create(null) as Units, amounts)
}

/** Nanoseconds in one of each unit. `µs` may be written with either micro sign. */
export const DURATION_UNITS = units({
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  min: 60e9,
  h: 3600e9,
})

/** Bytes in one of each unit: powers of two, as Windows counts. */
export const SIZE_UNITS = units({
  b: 1,
  kb: 2 ** 10,
  mb: 2 ** 20,
  gb: 2 ** 30,
  tb: 2 ** 40,
})

/** Bytes of `64KB`, `1.5 GB`; undefined for what is no size. A number alone is none: of what? */
export function parseSize(text: string): number | undefined {
  const [, amount, unit = ''] = /^(\d*\.?\d+)\s*(\p{L}+)$/u.exec(text.trim()) ?? []
  const bytes = SIZE_UNITS[unit.toLowerCase()]
  return amount === undefined || bytes === undefined ? undefined : Math.round(Number(amount) * bytes)
}

/** Three significant digits, without an exponent: `1.25`, `12.5`, `125`. */
function threeDigits(value: number): string {
  if (value >= 99.95) return value.toFixed(0)
  return value >= 9.995 ? value.toFixed(1) : value.toFixed(2)
}

/** `840 ns`, `1.25 ms`, `12.0 s`, `3 min 05 s`. */
export function formatDuration(ns: number): string {
  if (Number.isNaN(ns)) return ''
  if (ns < 0) return `-${formatDuration(-ns)}`
  if (ns < 999.5) return `${ns.toFixed(0)} ns`
  if (ns < 999.5e3) return `${threeDigits(ns / 1e3)} µs`
  if (ns < 999.5e6) return `${threeDigits(ns / 1e6)} ms`
  const seconds = Math.round(ns / 1e9)
  if (seconds < 100) return `${threeDigits(ns / 1e9)} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`
  return `${Math.floor(seconds / 3600)} h ${two(Math.floor(seconds / 60) % 60)} min`
}

/** `0 B`, `512 B`, `1.50 KB`, `2.00 GB`. */
export function formatBytes(bytes: number): string {
  if (Number.isNaN(bytes)) return ''
  if (bytes < 1024) return `${bytes} B`
  let value = bytes
  for (const unit of ['KB', 'MB', 'GB']) {
    value /= 1024
    if (value < 1023.5) return `${threeDigits(value)} ${unit}`
  }
  return `${threeDigits(value / 1024)} TB`
}

const THOUSANDS = /\B(?=(\d{3})+$)/g

/** `1,234,567`. */
export function formatCount(count: number): string {
  return count.toFixed(0).replace(THOUSANDS, ',')
}

/** `999/s`, `12.5 k/s`, `1.05 M/s`. */
export function formatRate(perSecond: number): string {
  if (perSecond < 999.5) return `${perSecond.toFixed(0)}/s`
  if (perSecond < 999.5e3) return `${threeDigits(perSecond / 1e3)} k/s`
  return `${threeDigits(perSecond / 1e6)} M/s`
}

/** `0x0012007B`: at least `digits` digits. */
export function formatHex(value: number | bigint, digits = 0): string {
  return `0x${value.toString(16).toUpperCase().padStart(digits, '0')}`
}

/** How to turn ticks into time: the driver's frequency, and one moment in both. */
export interface Clock {
  ticksPerSecond: number
  anchorTicks: number
  /** Milliseconds since 1970, UTC, at `anchorTicks`. */
  anchorUtcMs: number
}

/** Exact where a tick is whole nanoseconds: 77 ticks at 10 MHz are 7700 and not 7700.000000000001. */
export function ticksToNs(ticks: number, ticksPerSecond: number): number {
  const nsPerTick = 1e9 / ticksPerSecond
  return Number.isInteger(nsPerTick) ? ticks * nsPerTick : (ticks * 1e9) / ticksPerSecond
}

/**
 * `14:03:07.1234567`: UTC moved by `offsetMinutes`, to 100 ns. Whole milliseconds and the rest are kept apart until
 * the end, since a double cannot hold 100 ns since 1970.
 */
export function formatTime(ticks: number, clock: Clock, offsetMinutes = 0): string {
  const { ms, rest } = split(ticks, clock)
  const time = new Date(ms + offsetMinutes * 60_000)
  return `${two(time.getUTCHours())}:${two(time.getUTCMinutes())}:${two(time.getUTCSeconds())}.${fraction(ms, rest)}`
}

/** `2026-11-22T14:03:07.1234567Z`. */
export function formatTimestamp(ticks: number, clock: Clock): string {
  const { ms, rest } = split(ticks, clock)
  const time = new Date(ms)
  if (Number.isNaN(time.getTime())) return ''
  return `${time.toISOString().slice(0, 19)}.${fraction(ms, rest)}Z`
}

/** Seven digits of a second's fraction. */
function fraction(ms: number, rest: number): string {
  return `${(((ms % 1000) + 1000) % 1000).toString().padStart(3, '0')}${rest.toString().padStart(4, '0')}`
}

/** Whole milliseconds since 1970 and the 100 ns units beyond them. */
function split(ticks: number, clock: Clock): { ms: number; rest: number } {
  const anchorMs = Math.floor(clock.anchorUtcMs)
  const anchorRest = Math.round((clock.anchorUtcMs - anchorMs) * 1e4)
  const units = Math.floor((ticks - clock.anchorTicks) / (clock.ticksPerSecond / 1e7)) + anchorRest
  const ms = Math.floor(units / 1e4)
  return { ms: anchorMs + ms, rest: units - ms * 1e4 }
}

function two(value: number): string {
  return value.toString().padStart(2, '0')
}

const TIMESTAMP = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?Z?$/

/** Ticks at `2026-11-22T14:03:07.1234567Z`, which is UTC; undefined for what is no time. */
export function parseTimestamp(text: string, clock: Clock): number | undefined {
  const [, day, time, digits = ''] = TIMESTAMP.exec(text.trim()) ?? []
  if (day === undefined) return undefined
  const ms = Date.parse(`${day}T${time}Z`)
  if (Number.isNaN(ms)) return undefined
  // Two differences, since neither a time since 1970 in ticks nor one with a fraction fits a double exactly.
  const wholeMs = Math.floor(clock.anchorUtcMs)
  const restMs = Number(`0.${digits || '0'}`) * 1e3 - (clock.anchorUtcMs - wholeMs)
  const ticksPerMs = clock.ticksPerSecond / 1e3
  return Math.round(clock.anchorTicks + (ms - wholeMs) * ticksPerMs + restMs * ticksPerMs)
}
