// chunk.ts: some ten thousand rows as columns, and everything that belongs to them.
//
//   per row, 38 bytes                                      per chunk
//   arrival      32 bits of ticks since `base`             kinds      what was asked: driver, function, minor, code, …
//   latency      32 bits of ticks                          callers    by whom, and on which processor
//   information  32                                        places     of which device and file object
//   inputLength  32   outputLength  32                     irps       IRP addresses
//   requestId    32, the lower half                        outcomes   how it ended, and where
//   extra        32, into the arena                        arena      payload, byte offsets
//   kind, caller, place, irp, outcome: 16 each             wide       the rare value that does not fit its column
//
// What recurs is a tuple in a dictionary, what does not is a column; nothing is rounded. A chunk is the unit of
// eviction, so all that it refers to goes with it. Its columns lie in one shared buffer: native code may scan them.

import { RequestFlags } from '../protocol/layout.ts'
import { RowState } from '../protocol/wire.ts'
import { TupleDictionary } from './dictionary.ts'

export const CHUNK_SHIFT = 15
/** So that no dictionary can exceed 65,536 entries: a row makes at most two in any of them. */
export const CHUNK_ROWS = 1 << CHUNK_SHIFT
export const BLOCK_SHIFT = 10
/** Rows that are marked as changed, and evaluated by a view, together. */
export const BLOCK_ROWS = 1 << BLOCK_SHIFT

/** Words of an entry in `kinds`. */
export const Kind = { driver: 0, call: 1, code: 2, detail: 3, flags: 4, irpFlags: 5, width: 6 } as const
/** Bits of Kind.call: function 0–7, minor 8–15, stack location 16–23, requestor mode 24, and: */
export const START_MISSING = 1 << 31
/**
 * Words of an entry in `callers`. The upper half of the request id is among them because each processor counts its
 * own: it changes once in millions of requests.
 */
export const Caller = {
  processId: 0,
  threadId: 1,
  requestor: 2,
  process: 3,
  processor: 4,
  idHigh: 5,
  width: 6,
} as const
/** Words of an entry in `places`. */
export const Place = { deviceLow: 0, deviceHigh: 1, fileLow: 2, fileHigh: 3, width: 4 } as const
/** Words of an entry in `irps`. */
export const Irp = { low: 0, high: 1, width: 2 } as const
/** Words of an entry in `outcomes`. `processor` here and in Caller: processor 0–15, IRQL 16–23. */
export const Outcome = {
  state: 0,
  status: 1,
  flags: 2,
  processor: 3,
  processId: 4,
  threadId: 5,
  width: 6,
} as const
/** Codes that every chunk's `outcomes` begins with. */
export const OUTCOME_IN_FLIGHT = 0
export const OUTCOME_END_LOST = 1

/** In a 32-bit column: the value is in the map beside it (or, for a latency in flight, nowhere). */
export const WIDE = 0xffffffff

const ROW_BYTES = 38
const TWO_32 = 0x1_0000_0000

/** Kinds of entries in the arena, each a link in its row's list. */
export const Extra = { input: 1, output: 2, offset: 3 } as const
const EXTRA_HEADER_WORDS = 4
const SEGMENT_BYTES = 128 * 1024
const SEGMENT_SHIFT = 14 // 8-byte units

function allocate(bytes: number): ArrayBuffer | SharedArrayBuffer {
  return typeof SharedArrayBuffer === 'undefined' ? new ArrayBuffer(bytes) : new SharedArrayBuffer(bytes)
}

export class Chunk {
  rows = 0
  /** Memory held, as of the last `recount`. */
  counted = 0
  /** Rows without an end. */
  inFlight = 0
  /** Stamp of the last change to each block; stamps come from the capture and only grow. */
  readonly changed = new Float64Array(CHUNK_ROWS / BLOCK_ROWS)
  lastChange = 0

  readonly information: Uint32Array
  readonly inputLength: Uint32Array
  readonly outputLength: Uint32Array
  readonly latency: Uint32Array
  readonly extra: Uint32Array
  readonly kind: Uint16Array
  readonly caller: Uint16Array
  readonly place: Uint16Array
  readonly irp: Uint16Array
  readonly outcome: Uint16Array
  readonly #arrivalLow: Uint32Array
  /** Only where the chunk spans more than 2^32 ticks, which a busy one does not. */
  #arrivalHigh: Int16Array | null = null
  readonly #base: number
  readonly idLow: Uint32Array

  readonly kinds = new TupleDictionary(Kind.width)
  readonly callers = new TupleDictionary(Caller.width)
  readonly places = new TupleDictionary(Place.width)
  readonly irps = new TupleDictionary(Irp.width)
  readonly outcomes = new TupleDictionary(Outcome.width)

  readonly wideLatency = new Map<number, number>()
  readonly wideInformation = new Map<number, bigint>()

  readonly #segments: Uint32Array[] = []
  /** Next free word of the last segment. */
  #free = SEGMENT_BYTES >> 2

  constructor(
    /** Number of its first row. */
    readonly first: number,
    /** Arrival of its first row: other processors' rows may be a little earlier. */
    firstArrival: number,
  ) {
    this.#base = firstArrival - TWO_32 / 2
    const memory = allocate(CHUNK_ROWS * ROW_BYTES)
    let at = 0
    const take = (bytesPerRow: number) => {
      at += bytesPerRow * CHUNK_ROWS
      return at - bytesPerRow * CHUNK_ROWS
    }
    const words = () => new Uint32Array(memory, take(4), CHUNK_ROWS)
    const halves = () => new Uint16Array(memory, take(2), CHUNK_ROWS)
    this.#arrivalLow = words()
    this.latency = words()
    this.information = words()
    this.inputLength = words()
    this.outputLength = words()
    this.idLow = words()
    this.extra = words()
    this.kind = halves()
    this.caller = halves()
    this.place = halves()
    this.irp = halves()
    this.outcome = halves()
    // Codes OUTCOME_IN_FLIGHT and OUTCOME_END_LOST.
    this.outcomes.intern()
    this.outcomes.key[Outcome.state] = RowState.EndLost
    this.outcomes.intern()
  }

  /** Counts its memory anew; returns by how much it grew since. */
  recount(): number {
    const before = this.counted
    this.counted =
      CHUNK_ROWS * ROW_BYTES +
      this.#segments.length * SEGMENT_BYTES +
      this.kinds.bytes +
      this.callers.bytes +
      this.places.bytes +
      this.irps.bytes +
      this.outcomes.bytes +
      (this.#arrivalHigh?.byteLength ?? 0) +
      64 * (this.wideLatency.size + this.wideInformation.size)
    return this.counted - before
  }

  /** RowState. */
  state(row: number): number {
    const start = this.kinds.entries[this.kind[row] * Kind.width + Kind.call]
    if ((start & START_MISSING) !== 0) return RowState.StartLost
    return this.outcomes.entries[this.outcome[row] * Outcome.width + Outcome.state]
  }

  /** Whether it is a fast-I/O call that is known to have fallen through. */
  fellThrough(row: number): boolean {
    const flags = this.outcomes.entries[this.outcome[row] * Outcome.width + Outcome.flags]
    return (flags & RequestFlags.FellThrough) !== 0
  }

  touch(row: number, stamp: number): void {
    this.changed[row >> BLOCK_SHIFT] = stamp
    this.lastChange = stamp
  }

  touchAll(stamp: number): void {
    this.changed.fill(stamp)
    this.lastChange = stamp
  }

  setArrival(row: number, ticks: number): void {
    const delta = ticks - this.#base
    const high = Math.floor(delta / TWO_32)
    this.#arrivalLow[row] = delta - high * TWO_32
    if (high !== 0) this.#arrivalHigh ??= new Int16Array(CHUNK_ROWS)
    if (this.#arrivalHigh) this.#arrivalHigh[row] = high
  }

  arrival(row: number): number {
    const low = this.#base + this.#arrivalLow[row]
    return this.#arrivalHigh ? low + this.#arrivalHigh[row] * TWO_32 : low
  }

  requestId(row: number): number {
    return this.callers.entries[this.caller[row] * Caller.width + Caller.idHigh] * TWO_32 + this.idLow[row]
  }

  setLatency(row: number, ticks: number): void {
    if (ticks >= 0 && ticks < WIDE) {
      this.latency[row] = ticks
    } else {
      this.latency[row] = WIDE
      this.wideLatency.set(row, ticks)
    }
  }

  /** Ticks; NaN while in flight. */
  latencyOf(row: number): number {
    const ticks = this.latency[row]
    return ticks === WIDE ? (this.wideLatency.get(row) ?? Number.NaN) : ticks
  }

  setInformation(row: number, low: number, high: number): void {
    if (high === 0 && low !== WIDE) {
      this.information[row] = low
    } else {
      this.information[row] = WIDE
      this.wideInformation.set(row, (BigInt(high) << 32n) | BigInt(low))
    }
  }

  informationOf(row: number): bigint | number {
    const value = this.information[row]
    return value === WIDE ? this.wideInformation.get(row)! : value
  }

  /** Links an entry of two words and `byteLength` bytes of payload, taken from word `from`, to its row. */
  addExtra(
    row: number,
    kind: number,
    second: number,
    third: number,
    words: Uint32Array,
    from: number,
    byteLength: number,
  ): void {
    const payloadWords = ((byteLength + 7) & ~7) >> 2
    const length = EXTRA_HEADER_WORDS + payloadWords
    if (this.#free + length > SEGMENT_BYTES >> 2) {
      this.#segments.push(new Uint32Array(allocate(SEGMENT_BYTES)))
      this.#free = 0
    }
    const number = this.#segments.length - 1
    const segment = this.#segments[number]
    let at = this.#free
    this.#free += length
    const link = this.extra[row]
    this.extra[row] = ((number << SEGMENT_SHIFT) | (at >> 1)) + 1
    segment[at++] = link
    segment[at++] = kind
    segment[at++] = second
    segment[at++] = third
    if (payloadWords > 64) {
      segment.set(words.subarray(from, from + payloadWords), at)
    } else {
      for (let end = from + payloadWords; from < end; ) segment[at++] = words[from++]
    }
  }

  /** Calls for the entry of a kind that a row has: where it lies. Word 2 and 3 are its own, payload from word 4 on. */
  findExtra(row: number, kind: number): { segment: Uint32Array; at: number } | null {
    for (let link = this.extra[row]; link !== 0; ) {
      const segment = this.#segments[(link - 1) >>> SEGMENT_SHIFT]
      const at = ((link - 1) & ((1 << SEGMENT_SHIFT) - 1)) << 1
      if (segment[at + 1] === kind) return { segment, at }
      link = segment[at]
    }
    return null
  }

  /** Payload of a row: a view, or null if there was nothing to capture. */
  payload(row: number, kind: number): { bytes: Uint8Array; total: number } | null {
    const entry = this.findExtra(row, kind)
    if (!entry) return null
    const { segment, at } = entry
    const from = segment.byteOffset + ((at + EXTRA_HEADER_WORDS) << 2)
    return { bytes: new Uint8Array(segment.buffer, from, segment[at + 2]), total: segment[at + 3] }
  }

  /** READ/WRITE: the offset; CREATE: desired access and share access. */
  offset(row: number): bigint {
    const entry = this.findExtra(row, Extra.offset)
    if (!entry) return 0n
    return (BigInt(entry.segment[entry.at + 3]) << 32n) | BigInt(entry.segment[entry.at + 2])
  }
}
