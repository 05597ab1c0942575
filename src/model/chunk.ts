// chunk.ts: some ten thousand rows as columns, and everything that belongs to them.
//
//   per row, 32 bytes                                      per chunk
//   arrival      32 bits of ticks since `base`             kinds      what was asked: driver, function, minor, code, …
//   latency      32 bits of ticks                          callers    by whom, and on which processor
//   requestId    32, the lower half                        places     of which device and file object
//   extra        32, into the arena                        irps       IRP addresses
//   kind, caller, place, irp, outcome: 16 each             outcomes   how it ended, and where
//   inputLength, outputLength, information: 16 each        one each of the values above 32,767
//                                                          arena      payload, byte offsets
//
// What recurs is a tuple in a dictionary, what does not is a column; nothing is rounded. The rare latency or spread of
// arrivals that does not fit lies beside the column. A chunk is the unit of eviction, so all that it refers to goes
// with it. All but those rarities are parts of shared memory (ChunkPart) that native code may read and write.

import { RequestFlags } from '../protocol/layout.ts'
import { RowState } from '../protocol/wire.ts'
import { QuantityColumn } from './column.ts'
import { capacityFor, TupleDictionary } from './dictionary.ts'
import { type Account, Memory } from './memory.ts'

/** So that no dictionary can exceed 65,536 entries: a row makes at most two in any of them. */
export const CHUNK_ROWS = 1 << 15
export const BLOCK_SHIFT = 10
/** Rows that are marked as changed, and evaluated by a view, together. */
export const BLOCK_ROWS = 1 << BLOCK_SHIFT

/** Which of these, oldest first, a row is in: the last that does not begin behind it; -1 if it has left. */
export function placeOf(chunks: readonly { readonly first: number }[], row: number): number {
  let low = -1
  let high = chunks.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (chunks[middle].first <= row) low = middle
    else high = middle - 1
  }
  return low
}

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

/** In `latency`: the value is in the map beside it; of a row in flight there is none. */
export const WIDE = 0xffffffff

/** Parts of a chunk's memory, by number. `columns` is the state, then the columns. `segment` is the arena's last. */
export const ChunkPart = {
  columns: 0,
  kinds: 1,
  callers: 2,
  places: 3,
  irps: 4,
  outcomes: 5,
  inputLengths: 6,
  outputLengths: 7,
  informations: 8,
  segment: 9,
} as const

/** Doubles at the beginning of `columns`. `changed` is one for each block. */
export const ChunkState = {
  rows: 0,
  first: 1,
  /** Ticks that arrivals are counted from. */
  base: 2,
  /** Rows without an end. */
  inFlight: 3,
  /** Stamp of the last change; stamps come from the capture and only grow. */
  lastChange: 4,
  minArrival: 5,
  maxArrival: 6,
  minLatency: 7,
  maxLatency: 8,
  /** Next free word of the last segment. */
  free: 9,
  segments: 10,
  /** 1 where arrivals lie too far apart for 32 bits. */
  spread: 11,
  /**
   * Of its first row. A row's position, by which a request in flight finds it, is the number of its chunk since the
   * capture began, times CHUNK_ROWS, and its number there: unlike row numbers, those of a chunk are known without a look
   * at the others.
   */
  position: 12,
  /** 1 when no row may be added, though there is room. */
  closed: 13,
  changed: 32,
  width: 64,
} as const

/** Byte offsets in `columns`. */
const STATE_BYTES = 8 * ChunkState.width
const ROW_BYTES = 32
const TWO_32 = 0x1_0000_0000

/** Kinds of entries in the arena, each a link in its row's list. */
export const Extra = { input: 1, output: 2, offset: 3, continues: 4 } as const
const EXTRA_HEADER_WORDS = 4
const SEGMENT_BYTES = 128 * 1024
/** For what would leave much of a smaller one empty. */
const LARGE_SEGMENT_BYTES = 1024 * 1024
const SEGMENT_SHIFT = 17 // 8-byte units
/** Estimate of what a Map takes for a number. */
const MAP_ENTRY_BYTES = 64

export class Chunk {
  readonly memory: Memory
  /** ChunkState. */
  state: Float64Array
  /** Stamp of the last change to each block. */
  readonly changed: Float64Array

  /** Ticks since `base`, the lower half. */
  readonly arrivalLow: Uint32Array
  readonly latency: Uint32Array
  readonly idLow: Uint32Array
  readonly extra: Uint32Array
  readonly kind: Uint16Array
  readonly caller: Uint16Array
  readonly place: Uint16Array
  readonly irp: Uint16Array
  readonly outcome: Uint16Array
  readonly inputLength: QuantityColumn
  readonly outputLength: QuantityColumn
  readonly information: QuantityColumn
  /** Only where the chunk spans more than 2^32 ticks, which a busy one does not. */
  #arrivalHigh: Int32Array | null = null
  readonly #base: number

  readonly kinds: TupleDictionary
  readonly callers: TupleDictionary
  readonly places: TupleDictionary
  readonly irps: TupleDictionary
  readonly outcomes: TupleDictionary

  #startsMissing = false
  /** Entries of `kinds` that `startsMissing` has looked at. */
  #kindsSeen = 0

  readonly wideLatency = new Map<number, number>()
  readonly #segments: Uint32Array[] = []

  constructor(
    /** Number of its first row. */
    readonly first: number,
    /** ChunkState.position. */
    readonly position: number,
    /** Arrival of its first row: other processors' rows may be a little earlier. */
    firstArrival: number,
    /** What counts its memory. */
    account: Account,
    /** The chunk before: as many distinct values are expected. */
    before?: Chunk,
  ) {
    this.memory = new Memory(account)
    const columns = this.memory.put(ChunkPart.columns, STATE_BYTES + CHUNK_ROWS * ROW_BYTES).buffer
    this.state = new Float64Array(columns, 0, ChunkState.width)
    this.changed = this.state.subarray(ChunkState.changed)
    this.#base = firstArrival - TWO_32 / 2
    this.state[ChunkState.first] = first
    this.state[ChunkState.position] = position
    this.state[ChunkState.base] = this.#base
    this.state[ChunkState.minArrival] = Number.POSITIVE_INFINITY
    this.state[ChunkState.maxArrival] = Number.NEGATIVE_INFINITY
    this.state[ChunkState.minLatency] = Number.POSITIVE_INFINITY
    this.state[ChunkState.maxLatency] = Number.NEGATIVE_INFINITY

    let at = STATE_BYTES
    const take = (bytesPerRow: number) => {
      at += bytesPerRow * CHUNK_ROWS
      return at - bytesPerRow * CHUNK_ROWS
    }
    const words = () => new Uint32Array(columns, take(4), CHUNK_ROWS)
    const halves = () => new Uint16Array(columns, take(2), CHUNK_ROWS)
    const dictionary = (width: number, part: number, former: TupleDictionary | undefined) =>
      new TupleDictionary(width, this.memory, part, capacityFor(former?.size ?? 0))
    const quantities = (part: number) => new QuantityColumn(halves(), this.memory, part)
    this.arrivalLow = words()
    this.latency = words()
    this.idLow = words()
    this.extra = words()
    this.kind = halves()
    this.caller = halves()
    this.place = halves()
    this.irp = halves()
    this.outcome = halves()
    this.inputLength = quantities(ChunkPart.inputLengths)
    this.outputLength = quantities(ChunkPart.outputLengths)
    this.information = quantities(ChunkPart.informations)
    this.kinds = dictionary(Kind.width, ChunkPart.kinds, before?.kinds)
    this.callers = dictionary(Caller.width, ChunkPart.callers, before?.callers)
    this.places = dictionary(Place.width, ChunkPart.places, before?.places)
    this.irps = dictionary(Irp.width, ChunkPart.irps, before?.irps)
    this.outcomes = dictionary(Outcome.width, ChunkPart.outcomes, before?.outcomes)
    this.memory.put(ChunkPart.segment, 0)
    // Codes OUTCOME_IN_FLIGHT and OUTCOME_END_LOST.
    this.outcomes.intern()
    this.outcomes.key[Outcome.state] = RowState.EndLost
    this.outcomes.intern()
  }

  get rows(): number {
    return this.state[ChunkState.rows]
  }

  /** Rows without an end. */
  get inFlight(): number {
    return this.state[ChunkState.inFlight]
  }

  /** Whether no row may be added, though there is room. */
  get closed(): boolean {
    return this.state[ChunkState.closed] !== 0
  }

  close(): void {
    this.state[ChunkState.closed] = 1
  }

  /**
   * Has no place in the capture any more. `isFree`: nobody looks at its rows, so that their memory can serve again; what
   * `state` says of them stays.
   */
  leave(isFree: boolean): void {
    this.memory.leave()
    if (!isFree) return
    this.state = this.state.slice()
    for (const each of [this.memory.parts[ChunkPart.columns], ...this.#segments])
      this.memory.account.spares.give(each)
  }

  get lastChange(): number {
    return this.state[ChunkState.lastChange]
  }

  /** No new row will come: gives back what only new entries of the dictionaries need. */
  seal(): void {
    for (const each of [this.kinds, this.callers, this.places, this.irps, this.outcomes]) each.seal()
    for (const each of [this.inputLength, this.outputLength, this.information]) each.large.seal()
  }

  /** Makes its next row; returns its number in the chunk. In flight, with no latency, until an end says otherwise. */
  addRow(arrival: number, idLow: number): number {
    const row = this.state[ChunkState.rows]++
    this.#setArrival(row, arrival)
    this.idLow[row] = idLow
    this.outcome[row] = OUTCOME_IN_FLIGHT
    this.latency[row] = WIDE
    return row
  }

  addInFlight(change: 1 | -1): void {
    this.state[ChunkState.inFlight] += change
  }

  /** Whether there are rows without a start, or were: entries of dictionaries stay. */
  get startsMissing(): boolean {
    const { entries, size } = this.kinds
    for (; !this.#startsMissing && this.#kindsSeen < size; this.#kindsSeen++)
      this.#startsMissing = (entries[this.#kindsSeen * Kind.width + Kind.call] & START_MISSING) !== 0
    return this.#startsMissing
  }

  /** RowState. */
  stateOf(row: number): number {
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
    this.state[ChunkState.lastChange] = stamp
  }

  touchAll(stamp: number): void {
    this.changed.fill(stamp)
    this.state[ChunkState.lastChange] = stamp
  }

  #setArrival(row: number, ticks: number): void {
    const { state } = this
    const delta = ticks - this.#base
    const high = Math.floor(delta / TWO_32)
    this.arrivalLow[row] = delta - high * TWO_32
    if (high !== 0 && !this.#arrivalHigh) {
      this.#arrivalHigh = new Int32Array(CHUNK_ROWS)
      this.memory.add(this.#arrivalHigh.byteLength)
      state[ChunkState.spread] = 1
    }
    if (this.#arrivalHigh) this.#arrivalHigh[row] = high
    if (ticks < state[ChunkState.minArrival]) state[ChunkState.minArrival] = ticks
    if (ticks > state[ChunkState.maxArrival]) state[ChunkState.maxArrival] = ticks
  }

  arrival(row: number): number {
    const low = this.#base + this.arrivalLow[row]
    return this.#arrivalHigh ? low + this.#arrivalHigh[row] * TWO_32 : low
  }

  requestId(row: number): number {
    return this.callers.entries[this.caller[row] * Caller.width + Caller.idHigh] * TWO_32 + this.idLow[row]
  }

  setLatency(row: number, ticks: number): void {
    const { state } = this
    if (ticks >= 0 && ticks < WIDE) {
      this.latency[row] = ticks
    } else {
      this.latency[row] = WIDE
      this.wideLatency.set(row, ticks)
      this.memory.add(MAP_ENTRY_BYTES)
    }
    if (ticks < state[ChunkState.minLatency]) state[ChunkState.minLatency] = ticks
    if (ticks > state[ChunkState.maxLatency]) state[ChunkState.maxLatency] = ticks
  }

  /** Ticks; NaN while in flight. */
  latencyOf(row: number): number {
    const ticks = this.latency[row]
    return ticks === WIDE ? (this.wideLatency.get(row) ?? Number.NaN) : ticks
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
    const { state } = this
    if (state[ChunkState.free] + length > this.memory.parts[ChunkPart.segment].length) {
      const bytes = 4 * (length << 2) > SEGMENT_BYTES ? LARGE_SEGMENT_BYTES : SEGMENT_BYTES
      this.#segments.push(this.memory.append(ChunkPart.segment, bytes))
      state[ChunkState.segments] = this.#segments.length
      state[ChunkState.free] = 0
    }
    const number = this.#segments.length - 1
    const segment = this.#segments[number]
    let at = state[ChunkState.free]
    state[ChunkState.free] += length
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

  /** The lower half of the id of the fast-I/O call that a row's IRP continues; 0 = none known. */
  continues(row: number): number {
    const entry = this.findExtra(row, Extra.continues)
    return entry ? entry.segment[entry.at + 2] : 0
  }
}
