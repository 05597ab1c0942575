// capture.ts: a capture as the rest of the product sees it: records go in, rows come out.
//
// One row per request. A start makes a row in flight, its end completes it; an end whose start is not (yet) there
// makes a row of its own, which the start fills in should it still come: when two processors' records arrive out of
// order nothing has to wait, and when the start was lost nothing has to be given up. Rows are numbered in the order
// of their first record and never move. Memory is bounded: the oldest chunk leaves when the budget is used up, and one
// that payload makes heavy is closed before it has all its rows, so that none is more than a small part of the budget.
//
// Architecture invariant: no clock, no Node, no browser in here. The same bytes give the same rows, live or from a file.

import type { DriverId, RowId, Ticks } from '../protocol/ids.ts'
import {
  MAJOR_FUNCTION_COUNT,
  ProcessEvent,
  RecordHeader,
  RecordType,
  RequestEnd,
  RequestFlags,
  RequestStart,
} from '../protocol/layout.ts'
import {
  addLoss,
  checkRecord,
  decodeDriver,
  decodeProcess,
  type Losses,
  noLosses,
  RecordError,
  recordWords,
  utf16At,
} from '../protocol/records.ts'
import { type RowDetail, RowState, type Sort } from '../protocol/wire.ts'
import {
  Caller,
  CHUNK_ROWS,
  Chunk,
  ChunkState,
  Extra,
  Irp,
  Kind,
  OUTCOME_END_LOST,
  OUTCOME_IN_FLIGHT,
  Outcome,
  Place,
  placeOf,
  START_MISSING,
} from './chunk.ts'
import { RowStrings } from './dictionary.ts'
import { compileFilter } from './filter/compile.ts'
import { evaluate } from './filter/filter.ts'
import { type Loops, portableLoops } from './loops.ts'
import { type Account, Memory, Spares } from './memory.ts'
import type { NativeStore } from './native-store.ts'
import { PairingTable } from './pairing.ts'
import { ProcessNames } from './processes.ts'
import { Request } from './request.ts'
import { type FunctionStatistics, Statistics } from './statistics.ts'
import { View } from './view.ts'

export type { FunctionStatistics } from './statistics.ts'

export interface CaptureOptions {
  /** Memory for rows and payload; the oldest rows leave when it is used up. */
  budgetBytes: number
  ticksPerSecond: number
  anchorTicks: Ticks
  /** Milliseconds since 1970, UTC, at `anchorTicks`. */
  anchorUtcMs: number
  /** Does the same as the model itself, only quicker. */
  native?: NativeStore | undefined
}

export interface KnownProcess {
  processId: number
  parentProcessId: number
  name: string
}

const TWO_32 = 0x1_0000_0000
const MAX_CODE = 0xffff
/** More requests than any driver has in flight. */
const KEEP_IN_FLIGHT = 1 << 17
/** Records that are taken in at most until native code is asked again. */
const MOST_UNASKED = 64
/** A chunk gets no more rows when it takes up so small a part of the budget … */
const CHUNKS_IN_BUDGET = 8
/** … but for this much it is always good. */
const LIGHT_CHUNK_BYTES = 4 << 20
/** Chunks: how long a full one waits for the starts that were overtaken by their ends. */
const SEALED_AFTER = 2

// Words of the fields that the hot path reads.
const DRIVER = RecordHeader.driverId >> 2
const STAMP = RecordHeader.timestamp >> 2
const START_ID = RequestStart.requestId >> 2
const START_IRP = RequestStart.irp >> 2
const START_DEVICE = RequestStart.deviceObject >> 2
const START_FILE = RequestStart.fileObject >> 2
const START_PROCESS = RequestStart.processId >> 2
const START_THREAD = RequestStart.threadId >> 2
const START_REQUESTOR = RequestStart.requestorProcessId >> 2
const START_CALL = RequestStart.major >> 2
const START_FLAGS = RequestStart.flags >> 2
const START_IRP_FLAGS = RequestStart.irpFlags >> 2
const START_CODE = RequestStart.code >> 2
const START_INPUT = RequestStart.inputLength >> 2
const START_OUTPUT = RequestStart.outputLength >> 2
const START_PAYLOAD = RequestStart.payloadLength >> 2
const START_OFFSET = RequestStart.byteOffset >> 2
const START_CONTINUES = RequestStart.continues >> 2
const START_TOTAL = RequestStart.payloadTotal >> 2
const START_WORDS = RequestStart.bytes >> 2
const END_ID = RequestEnd.requestId >> 2
const END_ARRIVAL = RequestEnd.arrivalTimestamp >> 2
const END_INFORMATION = RequestEnd.information >> 2
const END_STATUS = RequestEnd.status >> 2
const END_FLAGS = RequestEnd.flags >> 2
const END_PROCESS = RequestEnd.processId >> 2
const END_THREAD = RequestEnd.threadId >> 2
const END_CALL = RequestEnd.major >> 2
const END_PAYLOAD = RequestEnd.payloadLength >> 2
const END_TOTAL = RequestEnd.payloadTotal >> 2
const END_WORDS = RequestEnd.bytes >> 2

/** Parts of the capture's own memory, by number. */
export const CapturePart = {
  counts: 0,
  pairing: 1,
  lost: 2,
  processes: 3,
  functions: 4,
  totals: 5,
} as const

/** Doubles of the part `counts`. */
export const Count = {
  endRow: 0,
  starts: 1,
  inFlight: 2,
  unpairedEnds: 3,
  endsLost: 4,
  fellThrough: 5,
  /** Made since the capture began: a number for the next. */
  chunks: 6,
  /** Grows with each batch: what a view has seen and what changed since. */
  stamp: 7,
  width: 8,
} as const

export class Capture {
  /** Oldest first. None is missing in between, and the rows of each follow on those of the one before. */
  readonly chunks: Chunk[] = []
  /** The parts of each chunk's memory. */
  readonly #chunkParts: Uint32Array[][] = []
  readonly losses: Losses = noLosses()
  readonly drivers = new Map<DriverId, string>()
  readonly processes: ProcessNames
  readonly #account: Account = { bytes: 0, spares: new Spares(), makeRoom: () => this.#makeRoom() }
  /** CapturePart. */
  readonly memory = new Memory(this.#account)
  readonly #details = new RowStrings(this.memory)
  readonly #counts: Float64Array
  readonly #pairing: PairingTable
  readonly #statistics: Statistics
  #budgetBytes: number
  /** The first row after the last `clear`, and its position. */
  #cleared = { row: 0, position: 0 }
  /**
   * Of the rows that have left for want of room since `clear`: those whose end had not come, nor has since as far as the
   * pairing table knows them. Where it had to forget ids, an end that comes after all is an unpaired one besides.
   */
  #evictedInFlight = 0
  #ended = false
  /** Walks through `requests` that are under way: they hold on to rows that have left, and to the names of those. */
  #readers = 0
  readonly loops: Loops

  constructor(readonly options: CaptureOptions) {
    this.#budgetBytes = options.budgetBytes
    this.loops = options.native?.loops ?? portableLoops
    const counts = this.memory.put(CapturePart.counts, 8 * Count.width)
    this.#counts = new Float64Array(counts.buffer)
    this.#counts[Count.stamp] = 1
    this.#pairing = new PairingTable(this.memory, CapturePart.pairing, CapturePart.lost)
    this.processes = new ProcessNames(options.budgetBytes / 8, this.memory, CapturePart.processes)
    this.#statistics = new Statistics(this.memory, CapturePart.functions, CapturePart.totals)
  }

  /** Rows at hand are `firstRow .. endRow`; a row keeps its number, evicted ones leave theirs unused. */
  get firstRow(): RowId {
    return (this.chunks[0]?.first ?? this.#counts[Count.endRow]) as RowId
  }

  get endRow(): RowId {
    return this.#counts[Count.endRow] as RowId
  }

  get rowCount(): number {
    return this.endRow - this.firstRow
  }

  /** Rows at hand whose end is awaited. */
  get inFlight(): number {
    return this.#counts[Count.inFlight]
  }

  /** Ends whose start never came; each made a row with the state StartLost. */
  get unpairedEnds(): number {
    return this.#counts[Count.unpairedEnds]
  }

  /**
   * Ends without a start and, after `finish`, starts without an end: of all rows since `clear`, whether or not they are
   * at hand.
   */
  get unpaired(): number {
    return this.unpairedEnds + (this.#ended ? this.inFlight + this.#evictedInFlight : 0)
  }

  /** Rows whose end the driver said it would not be able to record (RequestFlags.Uncaptured). */
  get endsLost(): number {
    return this.#counts[Count.endsLost]
  }

  /** Rows that have left for want of room. */
  get evictedRows(): number {
    return this.firstRow - this.#cleared.row
  }

  /** Starts since the capture began, cleared ones included. */
  get starts(): number {
    return this.#counts[Count.starts]
  }

  /** Of `starts`: fast-I/O calls that are known to have fallen through. They are no requests; their IRPs are. */
  get fellThrough(): number {
    return this.#counts[Count.fellThrough]
  }

  /** Views included. */
  get storeBytes(): number {
    return this.#account.bytes + this.processes.names.bytes
  }

  get budgetBytes(): number {
    return this.#budgetBytes
  }

  /** Rows that do not fit into less leave at once. */
  set budgetBytes(bytes: number) {
    this.#budgetBytes = bytes
    this.#counts[Count.stamp]++
    this.#keepBudget()
  }

  /** Grows whenever anything changed. */
  get stamp(): number {
    return this.#counts[Count.stamp]
  }

  /** Whether `finish` was called. */
  get ended(): boolean {
    return this.#ended
  }

  /** By the number that rows carry as `process`; append-only. Number 0 = not known. */
  get processNames(): readonly string[] {
    return this.processes.names.values
  }

  /** By the number that rows carry as `detail`: file names of CREATE, as long as such a row is there. Number 0 = none. */
  get details(): ReadonlyMap<number, string> {
    return this.#details.values
  }

  /** Takes in records back to back. Throws RecordError for a malformed one; the records before it are in. */
  ingest(batch: Uint8Array): void {
    const words = recordWords(batch)
    const end = words.length
    this.#counts[Count.stamp]++
    try {
      const { native } = this.options
      // Asked in vain, native code is asked again after 1, 2, 4, … records: a stream that is not for it costs little more.
      let pause = 1
      for (let at = 0, alone = pause; at < end; alone++) {
        if (native && alone >= pause) {
          const next = native.ingest(words, at, this.memory.parts, this.#chunkParts)
          pause = next > at ? 1 : Math.min(2 * pause, MOST_UNASKED)
          alone = 0
          at = next
          if (at >= end) break
        }
        const length = checkRecord(words, at, end)
        const type = words[at + 1] & 0xff
        if (type === RecordType.RequestStart) this.#start(words, at)
        else if (type === RecordType.RequestEnd) this.#end(words, at)
        else this.#rare(words, at, type)
        at += length
      }
      if ((batch.byteLength & 3) !== 0) throw new RecordError('a record is cut off within a word', end << 2)
    } finally {
      this.#keepBudget()
    }
  }

  #start(words: Uint32Array, at: number): void {
    const idLow = words[at + START_ID]
    const idHigh = words[at + START_ID + 1]
    const arrival = words[at + STAMP + 1] * TWO_32 + words[at + STAMP]
    const flags = words[at + START_FLAGS]
    const call = words[at + START_CALL]
    const major = call & 0xff
    const fn = (flags & RequestFlags.FastIo) !== 0 ? major + MAJOR_FUNCTION_COUNT : major
    const driverId = words[at + DRIVER]

    let position = this.#pairing.find(idLow, idHigh)
    let chunk = position >= 0 ? this.#chunkAt(position) : null
    const endSeen = chunk !== null && chunk.stateOf(position & (CHUNK_ROWS - 1)) === RowState.StartLost
    this.#counts[Count.starts]++
    if (position >= 0 && !chunk) {
      // Its end came first, and that row has left: nothing is left to fill in, nor to wait for.
      this.#pairing.delete(idLow, idHigh)
      if (position >= this.#cleared.position) this.#counts[Count.unpairedEnds]--
      return
    }
    if (endSeen) {
      this.#pairing.delete(idLow, idHigh)
      this.#counts[Count.unpairedEnds]--
      if (chunk?.fellThrough(position & (CHUNK_ROWS - 1))) this.#counts[Count.fellThrough]++
    } else {
      position = this.#newRow(arrival, idLow)
      chunk = this.chunks[this.chunks.length - 1]
    }
    const to = position & (CHUNK_ROWS - 1)
    if (!chunk) return
    const uncaptured = (flags & RequestFlags.Uncaptured) !== 0
    if (!endSeen) {
      if (uncaptured) {
        chunk.outcome[to] = OUTCOME_END_LOST
        this.#counts[Count.endsLost]++
      } else {
        this.#pairing.set(idLow, idHigh, position)
        chunk.addInFlight(1)
        this.#counts[Count.inFlight]++
      }
    }

    const payloadLength = words[at + START_PAYLOAD]
    const payloadTotal = words[at + START_TOTAL]
    let detail = 0
    if ((flags & RequestFlags.PayloadIsName) !== 0) {
      const name = utf16At(words, (at + START_WORDS) << 2, payloadLength)
      detail = this.#details.intern(name, chunk.position)
    }

    let key = chunk.kinds.key
    key[Kind.driver] = driverId
    key[Kind.call] = (fn & 0xff) | (call & 0xff00) | ((call >>> 24) << 16) | (((call >>> 16) & 1) << 24)
    key[Kind.code] = words[at + START_CODE]
    key[Kind.detail] = detail
    key[Kind.flags] = flags
    key[Kind.irpFlags] = words[at + START_IRP_FLAGS]
    chunk.kind[to] = chunk.kinds.intern()

    const processId = words[at + START_PROCESS]
    key = chunk.callers.key
    key[Caller.processId] = processId
    key[Caller.threadId] = words[at + START_THREAD]
    key[Caller.requestor] = words[at + START_REQUESTOR]
    key[Caller.process] = this.processes.at(processId, arrival)
    key[Caller.processor] = (words[at + 1] >>> 16) | (((words[at + 1] >>> 8) & 0xff) << 16)
    key[Caller.idHigh] = idHigh
    chunk.caller[to] = chunk.callers.intern()

    key = chunk.places.key
    key[Place.deviceLow] = words[at + START_DEVICE]
    key[Place.deviceHigh] = words[at + START_DEVICE + 1]
    key[Place.fileLow] = words[at + START_FILE]
    key[Place.fileHigh] = words[at + START_FILE + 1]
    chunk.place[to] = chunk.places.intern()

    key = chunk.irps.key
    key[Irp.low] = words[at + START_IRP]
    key[Irp.high] = words[at + START_IRP + 1]
    chunk.irp[to] = chunk.irps.intern()

    const inputLength = words[at + START_INPUT]
    chunk.inputLength.set(to, inputLength, 0)
    chunk.outputLength.set(to, words[at + START_OUTPUT], 0)
    const offsetLow = words[at + START_OFFSET]
    const offsetHigh = words[at + START_OFFSET + 1]
    if ((offsetLow | offsetHigh) !== 0) {
      chunk.addExtra(to, Extra.offset, offsetLow, offsetHigh, words, 0, 0)
    }
    const continues = words[at + START_CONTINUES]
    if (continues !== 0) chunk.addExtra(to, Extra.continues, continues, 0, words, 0, 0)
    if ((payloadLength | payloadTotal) !== 0) {
      chunk.addExtra(to, Extra.input, payloadLength, payloadTotal, words, at + START_WORDS, payloadLength)
    }
    chunk.touch(to, this.#counts[Count.stamp])
    this.#statistics.arrived(driverId, fn, inputLength, endSeen, !uncaptured)
  }

  #end(words: Uint32Array, at: number): void {
    const idLow = words[at + END_ID]
    const idHigh = words[at + END_ID + 1]
    const completion = words[at + STAMP + 1] * TWO_32 + words[at + STAMP]
    const arrival = words[at + END_ARRIVAL + 1] * TWO_32 + words[at + END_ARRIVAL]
    const flags = words[at + END_FLAGS]
    const call = words[at + END_CALL]
    const major = call & 0xff
    const fn = (flags & RequestFlags.FastIo) !== 0 ? major + MAJOR_FUNCTION_COUNT : major
    const driverId = words[at + DRIVER]
    const status = words[at + END_STATUS]
    const informationLow = words[at + END_INFORMATION]
    const informationHigh = words[at + END_INFORMATION + 1]
    const information = informationHigh * TWO_32 + informationLow

    let position = this.#pairing.find(idLow, idHigh)
    let chunk = position >= 0 ? this.#chunkAt(position) : null
    const startSeen =
      position >= 0 && (chunk === null || chunk.stateOf(position & (CHUNK_ROWS - 1)) === RowState.InFlight)
    this.#statistics.ended(driverId, fn, startSeen, status, flags, information, completion - arrival)
    if (startSeen) {
      this.#pairing.delete(idLow, idHigh)
      if ((flags & RequestFlags.FellThrough) !== 0) this.#counts[Count.fellThrough]++
      if (!chunk) {
        if (position >= this.#cleared.position) this.#evictedInFlight--
        return
      }
      chunk.addInFlight(-1)
      this.#counts[Count.inFlight]--
    } else {
      position = this.#newRow(arrival, idLow)
      chunk = this.chunks[this.chunks.length - 1]
      this.#startMissing(chunk, position & (CHUNK_ROWS - 1), idHigh, driverId, fn, call, flags)
      this.#pairing.setLost(idLow, idHigh, position)
      this.#counts[Count.unpairedEnds]++
    }
    if (!chunk) return
    const to = position & (CHUNK_ROWS - 1)

    const key = chunk.outcomes.key
    key[Outcome.state] = (flags & RequestFlags.Unseen) !== 0 ? RowState.Unseen : RowState.Done
    key[Outcome.status] = status
    key[Outcome.flags] = flags
    key[Outcome.processor] = (words[at + 1] >>> 16) | (((words[at + 1] >>> 8) & 0xff) << 16)
    key[Outcome.processId] = words[at + END_PROCESS]
    key[Outcome.threadId] = words[at + END_THREAD]
    chunk.outcome[to] = chunk.outcomes.intern()
    chunk.setLatency(to, completion - arrival)
    chunk.information.set(to, informationLow, informationHigh)
    const payloadLength = words[at + END_PAYLOAD]
    const payloadTotal = words[at + END_TOTAL]
    if ((payloadLength | payloadTotal) !== 0) {
      chunk.addExtra(to, Extra.output, payloadLength, payloadTotal, words, at + END_WORDS, payloadLength)
    }
    chunk.touch(to, this.#counts[Count.stamp])
  }

  /** What an end alone tells of its start. */
  #startMissing(
    chunk: Chunk,
    to: number,
    idHigh: number,
    driverId: number,
    fn: number,
    call: number,
    flags: number,
  ): void {
    let key = chunk.kinds.key
    key.fill(0)
    key[Kind.driver] = driverId
    key[Kind.call] = (fn & 0xff) | (call & 0xff00) | START_MISSING
    key[Kind.flags] = flags & RequestFlags.FastIo
    chunk.kind[to] = chunk.kinds.intern()
    key = chunk.callers.key
    key.fill(0)
    key[Caller.idHigh] = idHigh
    chunk.caller[to] = chunk.callers.intern()
    key = chunk.places.key
    key.fill(0)
    chunk.place[to] = chunk.places.intern()
    key = chunk.irps.key
    key.fill(0)
    chunk.irp[to] = chunk.irps.intern()
  }

  #rare(words: Uint32Array, at: number, type: number): void {
    if (type === RecordType.Loss) {
      addLoss(this.losses, words, at)
    } else if (type === RecordType.DriverHooked) {
      const driver = decodeDriver(words, at)
      if (this.drivers.get(driver.driverId) === driver.name) return
      this.drivers.set(driver.driverId, driver.name)
      this.#touchDriver(driver.driverId)
    } else if (type === RecordType.Process) {
      const notice = decodeProcess(words, at)
      // One that exits keeps its name: only then does Windows close its handles, by requests from within it.
      if (notice.event !== ProcessEvent.Exited) {
        const created = notice.event === ProcessEvent.Created
        if (this.processes.learn(notice.processId, notice.name, notice.at, created))
          this.#rename(notice.processId)
      }
    }
  }

  /** Rows can overtake the record that names their driver. */
  #touchDriver(driverId: DriverId): void {
    for (const chunk of this.chunks) {
      const codes = chunk.kinds.codesWhere((words, at) => words[at + Kind.driver] === driverId)
      if (codes.size > 0) chunk.touchAll(this.#counts[Count.stamp])
    }
  }

  /** The position of a new last row. */
  #newRow(arrival: number, idLow: number): number {
    let chunk = this.chunks.at(-1)
    if (!chunk || chunk.closed || chunk.rows === CHUNK_ROWS) {
      this.chunks.at(-SEALED_AFTER)?.seal()
      chunk = new Chunk(this.endRow, this.#counts[Count.chunks] * CHUNK_ROWS, arrival, this.#account, chunk)
      this.#counts[Count.chunks]++
      this.chunks.push(chunk)
      this.#chunkParts.push(chunk.memory.parts)
      this.#keepBudget()
    }
    this.#counts[Count.endRow]++
    return chunk.position + chunk.addRow(arrival, idLow)
  }

  /** The chunk that holds the row at a position; null if it has left. */
  #chunkAt(position: number): Chunk | null {
    if (this.chunks.length === 0) return null
    return this.chunks[Math.floor((position - this.chunks[0].position) / CHUNK_ROWS)] ?? null
  }

  /** The chunk that holds a row; null if it has left. */
  chunkOf(row: number): Chunk | null {
    return this.chunks[placeOf(this.chunks, row)] ?? null
  }

  /** Lets the oldest rows go until the budget holds. Of chunks that are not heavy the newest stays in any case. */
  #keepBudget(): void {
    const newest = this.chunks.at(-1)
    const most = Math.max(this.#budgetBytes / CHUNKS_IN_BUDGET, LIGHT_CHUNK_BYTES)
    if (newest && newest.memory.bytes > most) newest.close()
    while (this.storeBytes > this.#budgetBytes && this.chunks.length > 0) {
      if (this.chunks[0] === newest && !newest.closed) break
      this.#evictOldest()
    }
  }

  #evictOldest(): void {
    const oldest = this.chunks.shift()
    if (!oldest) return
    this.#chunkParts.shift()
    oldest.leave(this.#readers === 0)
    this.#counts[Count.inFlight] -= oldest.inFlight
    this.#evictedInFlight += oldest.inFlight
    if (this.#pairing.size > KEEP_IN_FLIGHT) this.#forgetInFlight(oldest)
    this.#forgetNames()
  }

  /** The machine has less memory than the budget says: as much as there was must do. */
  #makeRoom(): boolean {
    if (this.chunks.length < 2) return false
    this.#budgetBytes = Math.min(this.#budgetBytes, this.storeBytes)
    this.#evictOldest()
    return true
  }

  /** Names leave with the last rows that have them. */
  #forgetNames(): void {
    if (this.#readers > 0) return
    this.#details.forgetBefore(this.chunks[0]?.position ?? this.#counts[Count.chunks] * CHUNK_ROWS)
    let first = Number.POSITIVE_INFINITY
    for (const { state } of this.chunks) first = Math.min(first, state[ChunkState.minArrival])
    if (this.chunks.length > 0) this.processes.forgetBefore(first)
  }

  /** Forgets all rows. What is in flight stays known, so that its ends are no ends without a start. */
  clear(): void {
    this.#counts[Count.stamp]++
    for (const chunk of this.chunks) {
      chunk.leave(this.#readers === 0)
      if (this.#pairing.size > KEEP_IN_FLIGHT) this.#forgetInFlight(chunk)
    }
    this.chunks.length = 0
    this.#chunkParts.length = 0
    this.#cleared = { row: this.endRow, position: this.#counts[Count.chunks] * CHUNK_ROWS }
    this.#counts[Count.inFlight] = 0
    this.#evictedInFlight = 0
    this.#counts[Count.unpairedEnds] = 0
    this.#counts[Count.endsLost] = 0
    this.#forgetNames()
  }

  /**
   * Requests outlive their rows, so that a late end finds that its row has left. But where ends are lost in masses
   * (a ring that overflows) nothing else would ever take them out of the table.
   */
  #forgetInFlight(chunk: Chunk): void {
    for (let to = 0; to < chunk.rows && chunk.inFlight > 0; to++) {
      if (chunk.outcome[to] !== OUTCOME_IN_FLIGHT) continue
      const id = chunk.requestId(to)
      const high = Math.floor(id / TWO_32)
      const low = id - high * TWO_32
      if (this.#pairing.find(low, high) === chunk.position + to) this.#pairing.delete(low, high)
    }
  }

  /** Names from a snapshot of the system's processes, valid from `at` on unless a record says otherwise. */
  learnProcesses(list: readonly KnownProcess[], at: Ticks): void {
    this.#counts[Count.stamp]++
    for (const { processId, name } of list) {
      if (this.processes.learn(processId, name, at, false)) this.#rename(processId)
    }
  }

  /** Gives rows that came before their process's name the name of their time. */
  #rename(processId: number): void {
    for (const chunk of this.chunks) {
      const nameless = chunk.callers.codesWhere((words, at) => {
        return words[at + Caller.processId] === processId && words[at + Caller.process] === 0
      })
      if (nameless.size === 0) continue
      for (let to = 0; to < chunk.rows; to++) {
        const code = chunk.caller[to]
        if (!nameless.has(code)) continue
        const name = this.processes.at(processId, chunk.arrival(to))
        if (name === 0 || chunk.callers.size > MAX_CODE) continue
        const at = code * Caller.width
        chunk.callers.key.set(chunk.callers.entries.subarray(at, at + Caller.width))
        chunk.callers.key[Caller.process] = name
        chunk.caller[to] = chunk.callers.intern()
        chunk.touch(to, this.#counts[Count.stamp])
      }
    }
  }

  /** Process ids seen without a name; each is given out once. */
  unknownProcesses(): number[] {
    return this.processes.takeUnknown()
  }

  /** The capture has ended: no record will come, and what is in flight stays so. */
  finish(): void {
    this.#ended = true
  }

  /** One row while one looks at it; null if there is no such row (any more). */
  request(row: RowId): Request | null {
    const chunk = row < this.endRow && row >= 0 ? this.chunkOf(row) : null
    return chunk ? new Request(this, chunk, row - chunk.first) : null
  }

  detail(row: RowId): RowDetail | null {
    return this.request(row)?.detail() ?? null
  }

  /** Throws FilterError for a filter that cannot be understood or a field that cannot be sorted by. '' = all. */
  view(filterText: string, sort: Sort | null): View {
    return new View(this, filterText, sort)
  }

  /**
   * Goes through the rows that a filter lets through, in capture order. The object handed out is one and the same:
   * it is valid until the next is taken. Throws FilterError.
   */
  *requests(filterText: string): Generator<Request> {
    const filter = compileFilter(filterText, this)
    const bits = new Uint32Array(CHUNK_ROWS / 32)
    const chunks = [...this.chunks]
    this.#readers++
    try {
      for (let chunk = chunks.shift(); chunk; chunk = chunks.shift()) {
        evaluate(filter, filter.open(chunk), 0, chunk.rows, bits)
        const request = new Request(this, chunk, 0)
        for (let i = 0; i < chunk.rows; i++) {
          if (((bits[i >> 5] >>> (i & 31)) & 1) === 0) continue
          request.at = i
          yield request
        }
      }
    } finally {
      this.#readers--
      this.#forgetNames()
    }
  }

  /** Sums over the whole capture, by driver and function. */
  stats(): FunctionStatistics[] {
    return this.#statistics.list((id) => this.driverName(id))
  }

  driverName(id: DriverId): string {
    return this.drivers.get(id) ?? ''
  }
}
