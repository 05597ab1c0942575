// statistics.ts: sums per driver and function over the whole capture, rows that have left included.
//
// Latencies go into a histogram of 32 steps per power of two, so that a percentile is within 1.6 % at any magnitude,
// with memory that does not grow; the maximum is kept exactly. Errors are counted as the driver's own counters count
// them: cancelled requests apart, requests without a visible completion not at all.

import { functionMajors, Major } from '../formats/irp-names.ts'
import { isError, STATUS_CANCELLED } from '../formats/ntstatus.ts'
import type { DriverId, FunctionIndex } from '../protocol/ids.ts'
import { RequestFlags } from '../protocol/layout.ts'
import { TupleDictionary } from './dictionary.ts'
import type { Memory } from './memory.ts'

const STEPS_LOG2 = 5
const STEPS = 1 << STEPS_LOG2
const OCTAVES = 48
const BUCKETS = OCTAVES * STEPS

/** By FunctionIndex: whether Information is a count of bytes given, as for READ, IOCTL, FSCTL and their fast-I/O forms. */
const GIVES_BYTES = functionMajors.map(
  (major) => major === Major.READ || major === Major.DEVICE_CONTROL || major === Major.FILE_SYSTEM_CONTROL,
)

/** Doubles of a block; the histogram, words, follows them. */
export const Total = {
  count: 0,
  inFlight: 1,
  unseen: 2,
  errors: 3,
  cancelled: 4,
  pended: 5,
  fellThrough: 6,
  bytesIn: 7,
  bytesOut: 8,
  latencies: 9,
  maxLatency: 10,
  /** 1 where Information is a count of bytes given. */
  givesBytes: 11,
  width: 12,
} as const
const BLOCK_DOUBLES = Total.width + BUCKETS / 2
const LEAST_BLOCKS = 8

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

/** Words of an entry in `#keys`; its code is the number of the block. */
const Key = { driver: 0, fn: 1, width: 2 } as const

export class Statistics {
  readonly #keys: TupleDictionary
  readonly #memory: Memory
  readonly #part: number
  /** The blocks, as doubles and as words. */
  #doubles: Float64Array
  #words: Uint32Array

  constructor(memory: Memory, keysPart: number, blocksPart: number) {
    this.#keys = new TupleDictionary(Key.width, memory, keysPart)
    this.#memory = memory
    this.#part = blocksPart
    this.#words = memory.put(blocksPart, LEAST_BLOCKS * BLOCK_DOUBLES * 8)
    this.#doubles = new Float64Array(this.#words.buffer)
  }

  arrived(driverId: number, fn: number, bytesIn: number, endSeen: boolean, endExpected: boolean): void {
    const at = this.#block(driverId, fn)
    const sums = this.#doubles
    sums[at + Total.bytesIn] += bytesIn
    if (endSeen) return
    sums[at + Total.count]++
    if (endExpected) sums[at + Total.inFlight]++
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
    const at = this.#block(driverId, fn)
    const sums = this.#doubles
    if (startSeen) sums[at + Total.inFlight]--
    else sums[at + Total.count]++
    if ((flags & RequestFlags.Pended) !== 0) sums[at + Total.pended]++
    if ((flags & RequestFlags.Unseen) !== 0) {
      sums[at + Total.unseen]++
      return
    }
    if (sums[at + Total.latencies] === 0 || latency > sums[at + Total.maxLatency])
      sums[at + Total.maxLatency] = latency
    sums[at + Total.latencies]++
    this.#words[((at + Total.width) << 1) + bucketOf(latency)]++
    if ((flags & RequestFlags.FellThrough) !== 0) sums[at + Total.fellThrough]++
    else if (status === STATUS_CANCELLED) sums[at + Total.cancelled]++
    else if (isError(status)) sums[at + Total.errors]++
    else if (sums[at + Total.givesBytes] !== 0) sums[at + Total.bytesOut] += information
  }

  list(nameOf: (driverId: DriverId) => string): FunctionStatistics[] {
    const out: FunctionStatistics[] = []
    const sums = this.#doubles
    for (let code = 0; code < this.#keys.size; code++) {
      const at = code * BLOCK_DOUBLES
      const driverId = this.#keys.entries[code * Key.width + Key.driver] as DriverId
      out.push({
        driverId,
        driverName: nameOf(driverId),
        function: this.#keys.entries[code * Key.width + Key.fn] as FunctionIndex,
        count: sums[at + Total.count],
        inFlight: sums[at + Total.inFlight],
        unseen: sums[at + Total.unseen],
        errors: sums[at + Total.errors],
        cancelled: sums[at + Total.cancelled],
        pended: sums[at + Total.pended],
        fellThrough: sums[at + Total.fellThrough],
        bytesIn: sums[at + Total.bytesIn],
        bytesOut: sums[at + Total.bytesOut],
        p50: this.#percentile(at, 0.5),
        p99: this.#percentile(at, 0.99),
        max: sums[at + Total.latencies] > 0 ? sums[at + Total.maxLatency] : Number.NaN,
      })
    }
    return out.sort((a, b) => a.driverId - b.driverId || a.function - b.function)
  }

  /** Ticks below which a share of a block's latencies lies; NaN if there are none. */
  #percentile(at: number, share: number): number {
    const latencies = this.#doubles[at + Total.latencies]
    if (latencies === 0) return Number.NaN
    const max = this.#doubles[at + Total.maxLatency]
    const histogram = (at + Total.width) << 1
    let left = Math.max(1, Math.ceil(latencies * share))
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      left -= this.#words[histogram + bucket]
      if (left <= 0) return Math.min(middleOf(bucket), max)
    }
    return max
  }

  /** The first double of the block of a driver's function. */
  #block(driverId: number, fn: number): number {
    this.#keys.key[Key.driver] = driverId
    this.#keys.key[Key.fn] = fn
    const code = this.#keys.find()
    return code >= 0 ? code * BLOCK_DOUBLES : this.#newBlock(fn)
  }

  #newBlock(fn: number): number {
    const at = this.#keys.intern() * BLOCK_DOUBLES
    if (at >= this.#doubles.length) {
      const words = this.#words
      this.#words = this.#memory.put(this.#part, words.byteLength * 2)
      this.#words.set(words)
      this.#doubles = new Float64Array(this.#words.buffer)
    }
    if (GIVES_BYTES[fn]) this.#doubles[at + Total.givesBytes] = 1
    return at
  }
}
