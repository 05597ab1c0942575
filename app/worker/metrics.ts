// metrics.ts: the core's ticks become the charts: rates per function, the latency map, the top lists.
//
// Counters are exact and cumulative, so a tick that never came costs nothing: the next one carries its counts.

import type { DriverId, FunctionIndex } from '../../src/protocol/ids.ts'
import { FUNCTION_COUNT, LATENCY_BUCKETS } from '../../src/protocol/layout.ts'
import type { Tick } from '../../src/protocol/wire.ts'
import { Bins } from './bins.ts'
import type { ChartsFrame, Series, TopEntry } from './frames.ts'
import { percentile } from './latency.ts'
import { SteadyOrder } from './steady-order.ts'

const SECONDS_PER_BIN = 0.25
/** One minute, and the bin that is still filling. */
const BINS = 241
const SERIES = 7
/** "Now" is the mean of this many bins: one second. */
const RECENT_BINS = 4

/** What is counted per function, in the order of a tick's tuple. */
const Measure = { Arrivals: 0, Errors: 1, Pended: 2, BytesIn: 3, BytesOut: 4 } as const
const MEASURES = 5

export class Metrics {
  private readonly functions: Bins
  private readonly latency: Bins
  private readonly drivers = new Map<DriverId, Bins>()
  private readonly binTicks: number
  private previous: Tick | null = null
  /** Cumulative arrivals per function, over all drivers. */
  private readonly totals = new Float64Array(FUNCTION_COUNT)
  private drawnStamp = -1
  private readonly functionOrder = new SteadyOrder()
  private readonly driverOrder = new SteadyOrder()

  constructor(ticksPerSecond: number) {
    this.binTicks = SECONDS_PER_BIN * ticksPerSecond
    this.functions = new Bins(FUNCTION_COUNT * MEASURES, BINS, this.binTicks)
    this.latency = new Bins(LATENCY_BUCKETS, BINS, this.binTicks)
  }

  /** Takes in a tick of the capture that the ticks before were of. */
  take(tick: Tick): void {
    const { previous } = this
    this.previous = tick
    // The first reading only says where counting stands; what came before it has no place on the time axis.
    if (!previous) {
      this.advance(tick.at)
      for (const [, fn, arrivals] of tick.functions) this.totals[fn]! += arrivals
      return
    }
    const before = new Map(previous.functions.map((entry) => [entryKey(entry), entry]))
    for (const entry of tick.functions) {
      const [driver, fn] = entry
      const old = before.get(entryKey(entry))
      const driverBins = this.driverBins(driver)
      for (let measure = 0; measure < MEASURES; measure++) {
        const amount = entry[2 + measure]! - (old?.[2 + measure] ?? 0)
        if (measure === Measure.Arrivals) this.totals[fn]! += amount
        this.functions.add(previous.at, tick.at, fn * MEASURES + measure, amount)
        driverBins.add(previous.at, tick.at, measure, amount)
      }
    }
    for (let bucket = 0; bucket < LATENCY_BUCKETS; bucket++) {
      const amount = (tick.latency[bucket] ?? 0) - (previous.latency[bucket] ?? 0)
      this.latency.add(previous.at, tick.at, bucket, amount)
    }
    this.advance(tick.at)
  }

  /** A new picture, or null while no further bin is full. */
  picture(): ChartsFrame | null {
    if (this.functions.stamp === this.drawnStamp) return null
    this.drawnStamp = this.functions.stamp
    const seen: FunctionIndex[] = []
    this.totals.forEach((total, fn) => {
      if (total > 0) seen.push(fn as FunctionIndex)
    })
    // By what was counted since Start: that order hardly ever changes, so bands do not swap places while one looks.
    seen.sort((a, b) => this.totals[b]! - this.totals[a]!)
    const series: Series[] = seen
      .slice(0, SERIES)
      .map((fn) => ({ functionIndex: fn, rates: this.rates([fn]) }))
    const rest = seen.slice(SERIES)
    if (rest.length > 0) series.push({ functionIndex: null, rates: this.rates(rest) })
    const functions = seen.map((fn) => topEntry(fn, this.functions, fn * MEASURES))
    return {
      type: 'charts',
      secondsPerBin: SECONDS_PER_BIN,
      series,
      rate: functions.reduce((sum, entry) => sum + entry.requests, 0),
      functions: this.functionOrder.sorted(functions),
      drivers: this.driverOrder.sorted([...this.drivers].map(([driver, bins]) => topEntry(driver, bins, 0))),
      ...this.heat(),
    }
  }

  private advance(at: number): void {
    this.functions.advance(at)
    this.latency.advance(at)
    for (const bins of this.drivers.values()) bins.advance(at)
  }

  private driverBins(driver: DriverId): Bins {
    let bins = this.drivers.get(driver)
    if (!bins) {
      bins = new Bins(MEASURES, RECENT_BINS + 1, this.binTicks)
      this.drivers.set(driver, bins)
    }
    return bins
  }

  private rates(functions: FunctionIndex[]): Float64Array {
    const sum = new Float64Array(BINS - 1)
    for (const fn of functions) {
      const lane = this.functions.lane(fn * MEASURES + Measure.Arrivals)
      for (let bin = 0; bin < sum.length; bin++) sum[bin]! += lane[bin]! / SECONDS_PER_BIN
    }
    return sum
  }

  private heat(): Pick<ChartsFrame, 'heat' | 'buckets' | 'percentiles'> {
    const heat = new Float32Array((BINS - 1) * LATENCY_BUCKETS)
    const sums = new Float64Array(LATENCY_BUCKETS)
    for (let bucket = 0; bucket < LATENCY_BUCKETS; bucket++) {
      this.latency.lane(bucket).forEach((value, bin) => {
        heat[bin * LATENCY_BUCKETS + bucket] = value
        sums[bucket]! += value
      })
    }
    const percentiles = {
      p50: percentile(sums, 0.5),
      p99: percentile(sums, 0.99),
      p999: percentile(sums, 0.999),
    }
    return { heat, buckets: LATENCY_BUCKETS, percentiles }
  }
}

function entryKey(entry: Tick['functions'][number]): number {
  return entry[0] * FUNCTION_COUNT + entry[1]
}

function topEntry(key: number, bins: Bins, lane: number): TopEntry {
  const perSecond = (measure: number) =>
    bins.recent(lane + measure, RECENT_BINS) / (RECENT_BINS * SECONDS_PER_BIN)
  return {
    key,
    requests: perSecond(Measure.Arrivals),
    errors: perSecond(Measure.Errors),
    pended: perSecond(Measure.Pended),
    bytes: perSecond(Measure.BytesIn) + perSecond(Measure.BytesOut),
  }
}
