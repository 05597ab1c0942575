// statistics.ts: sums per driver and function over the whole capture, rows that have left included.
//
// Latencies go into a histogram of 32 steps per power of two, so that a percentile is within 1.6 % at any magnitude,
// with memory that does not grow; the maximum is kept exactly. Errors are counted as the driver's own counters count
// them: cancelled requests apart, requests without a visible completion not at all.

import { functionMajors, Major } from '../formats/irp-names.ts'
import { isError, STATUS_CANCELLED } from '../formats/ntstatus.ts'
import type { DriverId, FunctionIndex } from '../protocol/ids.ts'
import { RequestFlags } from '../protocol/layout.ts'

const STEPS_LOG2 = 5
const STEPS = 1 << STEPS_LOG2
const OCTAVES = 48
const BUCKETS = OCTAVES * STEPS

/** By FunctionIndex: whether Information is a count of bytes given, as for READ, IOCTL, FSCTL and their fast-I/O forms. */
const GIVES_BYTES = functionMajors.map(
  (major) => major === Major.READ || major === Major.DEVICE_CONTROL || major === Major.FILE_SYSTEM_CONTROL,
)

class FunctionTotals {
  count = 0
  inFlight = 0
  unseen = 0
  errors = 0
  cancelled = 0
  pended = 0
  fellThrough = 0
  bytesIn = 0
  bytesOut = 0
  latencies = 0
  maxLatency = Number.NaN
  readonly histogram = new Uint32Array(BUCKETS)

  constructor(
    readonly driverId: DriverId,
    readonly fn: FunctionIndex,
  ) {}

  latency(ticks: number): void {
    this.latencies++
    this.histogram[bucketOf(ticks)]++
    if (!(ticks <= this.maxLatency)) this.maxLatency = ticks
  }

  /** Ticks below which a share of the latencies lies; NaN if there are none. */
  percentile(share: number): number {
    let left = Math.max(1, Math.ceil(this.latencies * share))
    if (this.latencies === 0) return Number.NaN
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      left -= this.histogram[bucket]
      if (left <= 0) return Math.min(middleOf(bucket), this.maxLatency)
    }
    return this.maxLatency
  }
}

/** 0 to 31 have a bucket each; from there on 32 equal steps per power of two. */
function bucketOf(ticks: number): number {
  if (ticks < STEPS) return Math.max(0, Math.floor(ticks))
  if (ticks < 2 ** 31) {
    const octave = 31 - Math.clz32(ticks)
    return (octave - STEPS_LOG2 + 1) * STEPS + ((ticks >>> (octave - STEPS_LOG2)) & (STEPS - 1))
  }
  const octave = Math.floor(Math.log2(ticks))
  const step = Math.min(STEPS - 1, Math.floor((ticks / 2 ** octave - 1) * STEPS))
  return Math.min(BUCKETS - 1, (octave - STEPS_LOG2 + 1) * STEPS + Math.max(0, step))
}

function middleOf(bucket: number): number {
  if (bucket < STEPS) return bucket
  const octave = Math.floor(bucket / STEPS) + STEPS_LOG2 - 1
  return 2 ** octave * (1 + ((bucket % STEPS) + 0.5) / STEPS)
}

/** What one function of one driver did. Latencies in ticks, NaN if none. */
export interface FunctionStatistics {
  driverId: DriverId
  driverName: string
  function: FunctionIndex
  /** Requests seen: starts, and ends whose start was lost. */
  count: number
  inFlight: number
  unseen: number
  /** NTSTATUS 0xC…, cancelled ones left out. */
  errors: number
  cancelled: number
  pended: number
  /** Fast I/O that was answered by an IRP after all; in `count` too. */
  fellThrough: number
  bytesIn: number
  bytesOut: number
  /** Within 1.6 %. */
  p50: number
  p99: number
  /** Exact. */
  max: number
}

export class Statistics {
  /** By driver, then by function. */
  readonly #drivers = new Map<number, (FunctionTotals | undefined)[]>()
  #lastDriver = -1
  #lastTotals: (FunctionTotals | undefined)[] = []

  arrived(driverId: number, fn: number, bytesIn: number, endSeen: boolean, endExpected: boolean): void {
    const totals = this.#totals(driverId, fn)
    totals.bytesIn += bytesIn
    if (endSeen) return
    totals.count++
    if (endExpected) totals.inFlight++
  }

  ended(
    driverId: number,
    fn: number,
    startSeen: boolean,
    status: number,
    flags: number,
    information: number,
    latency: number,
  ): void {
    const totals = this.#totals(driverId, fn)
    if (startSeen) totals.inFlight--
    else totals.count++
    if ((flags & RequestFlags.Pended) !== 0) totals.pended++
    if ((flags & RequestFlags.Unseen) !== 0) {
      totals.unseen++
      return
    }
    totals.latency(latency)
    if ((flags & RequestFlags.FellThrough) !== 0) totals.fellThrough++
    else if (status === STATUS_CANCELLED) totals.cancelled++
    else if (isError(status)) totals.errors++
    else if (GIVES_BYTES[fn]) totals.bytesOut += information
  }

  list(nameOf: (driverId: DriverId) => string): FunctionStatistics[] {
    const out: FunctionStatistics[] = []
    for (const functions of this.#drivers.values()) {
      for (const totals of functions) {
        if (!totals) continue
        out.push({
          driverId: totals.driverId,
          driverName: nameOf(totals.driverId),
          function: totals.fn,
          count: totals.count,
          inFlight: totals.inFlight,
          unseen: totals.unseen,
          errors: totals.errors,
          cancelled: totals.cancelled,
          pended: totals.pended,
          fellThrough: totals.fellThrough,
          bytesIn: totals.bytesIn,
          bytesOut: totals.bytesOut,
          p50: totals.percentile(0.5),
          p99: totals.percentile(0.99),
          max: totals.maxLatency,
        })
      }
    }
    return out.sort((a, b) => a.driverId - b.driverId || a.function - b.function)
  }

  #totals(driverId: number, fn: number): FunctionTotals {
    if (driverId !== this.#lastDriver) {
      this.#lastDriver = driverId
      let functions = this.#drivers.get(driverId)
      if (!functions) {
        functions = new Array(256).fill(undefined)
        this.#drivers.set(driverId, functions)
      }
      this.#lastTotals = functions
    }
    const known = this.#lastTotals[fn]
    if (known) return known
    const totals = new FunctionTotals(driverId as DriverId, fn as FunctionIndex)
    this.#lastTotals[fn] = totals
    return totals
  }
}
