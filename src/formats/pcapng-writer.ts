// pcapng-writer.ts: turns batches of records into the bytes of capture files (pcapng-blocks.ts says how they lie).
//
// It runs at the rate of the capture, so a batch costs one pass and one copy: records are copied as words into memory
// that the sink gives, and full buffers go to the sink as they are. A block never lies in two of them. Where the bytes
// go is the sink's business, and so is when. A file cut anywhere loses its last block only.
//
// One writer may write a series of files, each complete in itself: what was said of drivers and processes is said
// again at the beginning of each, and statistics count the file's own records.

import { ProcessEvent, ProcessRecord, RecordHeader, RecordType } from '../protocol/layout.ts'
import {
  addLoss,
  checkRecord,
  decodeDriver,
  lostRecords,
  noLosses,
  recordDriverId,
  recordTimestamp,
  recordWords,
} from '../protocol/records.ts'
import type { CaptureInfo } from './capture-info.ts'
import {
  Block,
  BYTE_ORDER_MAGIC,
  encodeInfo,
  encodeRecordedOnly,
  encodeSeries,
  LINKTYPE_UPPER_PDU,
  Option,
  PACKET_OVERHEAD,
  TAG_BYTES,
  TAG_WORDS,
  TIMESTAMP_RESOLUTION,
} from './pcapng-blocks.ts'

const TWO_32 = 0x1_0000_0000
const STAMP = RecordHeader.timestamp >> 2
/** Of an interface's statistics, and what the drops add to those of interface 0. */
const STATISTICS_BYTES = 40
const DROPPED_BYTES = 12
/** An interface description without its texts. */
const INTERFACE_BYTES = 48

export interface BlockSink {
  /** An empty buffer for at least so many bytes, aligned to words; the writer's until it is `full`. */
  buffer(bytes: number): Uint8Array<ArrayBuffer>
  /** Whole blocks, in a buffer that `buffer` has given. */
  full(blocks: Uint8Array<ArrayBuffer>): void
}

/** How much one file may hold. */
export interface FileLimit {
  bytes: number
  /** Between its first record and its last. */
  ticks: number
}

export const NO_LIMIT: FileLimit = { bytes: Number.POSITIVE_INFINITY, ticks: Number.POSITIVE_INFINITY }

export class PcapngWriter {
  readonly #sink: BlockSink
  #bytes = new Uint8Array(0)
  #words = new Uint32Array(0)
  /** Words in use. */
  #used = 0
  #info: CaptureInfo
  /** What each file says before its first request: the last record of each driver and of each living process. */
  readonly #drivers = new Map<number, Uint32Array>()
  readonly #processes = new Map<number, Uint32Array>()
  /** 100 ns since 1970 at the anchor, in two halves: a double cannot hold it. */
  readonly #anchorHigh: number
  readonly #anchorLow: number
  /** Ticks in 100 ns. */
  readonly #ticksPerUnit: number
  #lastTicks: number
  #records = 0

  // Of the file being written.
  #fileBytes = 0
  /** NaN as long as there is no record. */
  #firstTicks = Number.NaN
  /** Number of each driver's interface. */
  readonly #interfaces = new Map<number, number>()
  #received: number[] = []
  #losses = noLosses()

  constructor(info: CaptureInfo, sink: BlockSink) {
    this.#info = info
    this.#sink = sink
    const ms = Math.floor(info.anchorUtcMs)
    const units = BigInt(ms) * 10_000n + BigInt(Math.round((info.anchorUtcMs - ms) * 10_000))
    this.#anchorHigh = Number(units >> 32n)
    this.#anchorLow = Number(units & 0xffffffffn)
    this.#ticksPerUnit = info.ticksPerSecond / 1e7
    this.#lastTicks = info.anchorTicks
  }

  /** Records taken in by `write`, over all files; those that a later file says again are not among them. */
  get records(): number {
    return this.#records
  }

  /** Begins a file; `series` as in CaptureInfo. */
  begin(series = 0): void {
    this.#info = { ...this.#info, series }
    this.#fileBytes = 0
    this.#firstTicks = Number.NaN
    this.#interfaces.clear()
    this.#received = []
    this.#losses = noLosses()
    const { os, application, recordedOnly } = this.#info
    this.#block(
      Block.SectionHeader,
      new Uint8Array(new Uint32Array([BYTE_ORDER_MAGIC, 1, 0xffffffff, 0xffffffff]).buffer),
      [
        text(Option.ShbOs, os),
        text(Option.ShbApplication, application),
        text(Option.Comment, encodeInfo(this.#info)),
        ...(series > 0 ? [text(Option.Comment, encodeSeries(series))] : []),
        ...(recordedOnly ? [text(Option.Comment, encodeRecordedOnly(recordedOnly))] : []),
      ],
    )
    this.#addInterface('DriverMon', 'Losses and processes')
    for (const record of [...this.#drivers.values(), ...this.#processes.values()]) {
      record[STAMP] = this.#lastTicks % TWO_32
      record[STAMP + 1] = Math.floor(this.#lastTicks / TWO_32)
      this.#packet(this.#interfaceOf(record, 0), record, 0, record.length, this.#lastTicks)
    }
  }

  /**
   * Writes a batch of records from byte `from` on, as many as the file may hold; returns the byte that it got to.
   * What is left belongs into the next file. A file takes one record at least, so each call gets further.
   * Throws RecordError for a malformed batch, of which then nothing is written.
   */
  write(batch: Uint8Array, from = 0, limit = NO_LIMIT): number {
    const words = recordWords(batch)
    // All of it first: an interface that was promised in a batch that then fails would be missing from the file.
    for (let at = from >> 2; at < words.length; ) at += checkRecord(words, at, words.length)
    for (let at = from >> 2; at < words.length; ) {
      const length = words[at] >>> 2
      const ticks = recordTimestamp(words, at)
      if (this.#isFull(words, at, length, ticks, limit)) return at << 2
      const type = words[at + 1] & 0xff
      if (type !== RecordType.RequestStart && type !== RecordType.RequestEnd) this.#learn(words, at, type)
      this.#lastTicks = ticks
      this.#packet(this.#interfaceOf(words, at), words, at, length, ticks)
      this.#records++
      if (Number.isNaN(this.#firstTicks)) this.#firstTicks = ticks
      at += length
    }
    return batch.byteLength
  }

  /** Statistics so far (records per interface, drops): at the end of a file. */
  end(): void {
    for (let number = 0; number < this.#received.length; number++) {
      const counts = [counter(Option.IsbReceived, this.#received[number])]
      if (number === 0) counts.push(counter(Option.IsbDropped, lostRecords(this.#losses)))
      this.#statisticsBlock(number, counts)
    }
  }

  /** From here on other requests are recorded: which, in words; '' = all. */
  recordedOnly(words: string): void {
    this.#info = { ...this.#info, recordedOnly: words }
    this.#statisticsBlock(0, [text(Option.Comment, encodeRecordedOnly(words))])
  }

  /** Hands on what lies in a buffer that is not full; returns whether there was any. */
  flush(): boolean {
    if (this.#used === 0) return false
    const blocks = this.#bytes.subarray(0, this.#used * 4)
    this.#bytes = new Uint8Array(0)
    this.#words = new Uint32Array(0)
    this.#used = 0
    this.#sink.full(blocks)
    return true
  }

  #isFull(words: Uint32Array, at: number, length: number, ticks: number, limit: FileLimit): boolean {
    if (Number.isNaN(this.#firstTicks)) return false
    if (ticks - this.#firstTicks >= limit.ticks) return true
    const isNew = this.#interfaceNumber(words, at) === undefined
    const statistics = (this.#received.length + (isNew ? 1 : 0)) * STATISTICS_BYTES + DROPPED_BYTES
    const packet = PACKET_OVERHEAD + TAG_BYTES + length * 4
    const description = isNew ? interfaceBytes(interfaceName(words, at)) : 0
    return this.#fileBytes + description + packet + statistics > limit.bytes
  }

  #learn(words: Uint32Array, at: number, type: number): void {
    if (type === RecordType.Loss) addLoss(this.#losses, words, at)
    else if (type === RecordType.DriverHooked) {
      this.#drivers.set(recordDriverId(words, at), words.slice(at, at + (words[at] >>> 2)))
    } else if (type === RecordType.Process) {
      const processId = words[at + (ProcessRecord.processId >> 2)]
      if (words[at + (ProcessRecord.event >> 2)] === ProcessEvent.Exited) this.#processes.delete(processId)
      else {
        const record = words.slice(at, at + (words[at] >>> 2))
        // In a later file it is one that was there before.
        record[ProcessRecord.event >> 2] = ProcessEvent.Snapshot
        this.#processes.set(processId, record)
      }
    }
  }

  #interfaceNumber(words: Uint32Array, at: number): number | undefined {
    const driverId = recordDriverId(words, at)
    return driverId === 0 ? 0 : this.#interfaces.get(driverId)
  }

  #interfaceOf(words: Uint32Array, at: number): number {
    let number = this.#interfaceNumber(words, at)
    if (number === undefined) {
      const name = interfaceName(words, at)
      number = this.#addInterface(name, `Requests to ${name}`)
      this.#interfaces.set(recordDriverId(words, at), number)
    }
    return number
  }

  #statisticsBlock(number: number, options: { code: number; bytes: Uint8Array }[]): void {
    const head = new Uint32Array(3)
    head[0] = number
    this.#stamp(head, 1, this.#lastTicks)
    this.#block(Block.InterfaceStatistics, new Uint8Array(head.buffer), options)
  }

  #packet(number: number, words: Uint32Array, from: number, length: number, ticks: number): void {
    const total = PACKET_OVERHEAD + TAG_BYTES + length * 4
    this.#reserve(total >> 2)
    const out = this.#words
    let at = this.#used
    out[at] = Block.EnhancedPacket
    out[at + 1] = total
    out[at + 2] = number
    this.#stamp(out, at + 3, ticks)
    out[at + 5] = TAG_BYTES + length * 4
    out[at + 6] = TAG_BYTES + length * 4
    out[at + 7] = TAG_WORDS[0]
    out[at + 8] = TAG_WORDS[1]
    out[at + 9] = TAG_WORDS[2]
    out[at + 10] = TAG_WORDS[3]
    at += 11
    if (length > 128) out.set(words.subarray(from, from + length), at)
    else for (let i = 0; i < length; i++) out[at + i] = words[from + i]
    at += length
    out[at] = total
    this.#used = at + 1
    this.#fileBytes += total
    this.#received[number]++
  }

  /** Writes 100 ns since 1970, high word first. */
  #stamp(out: Uint32Array, at: number, ticks: number): void {
    const low = this.#anchorLow + Math.floor((ticks - this.#info.anchorTicks) / this.#ticksPerUnit)
    const carry = Math.floor(low / TWO_32)
    out[at] = this.#anchorHigh + carry
    out[at + 1] = low - carry * TWO_32
  }

  #addInterface(name: string, description: string): number {
    const head = new Uint8Array(8)
    head[0] = LINKTYPE_UPPER_PDU
    this.#block(Block.InterfaceDescription, head, [
      text(Option.IfName, name),
      text(Option.IfDescription, description),
      { code: Option.IfTsResolution, bytes: Uint8Array.of(TIMESTAMP_RESOLUTION) },
    ])
    return this.#received.push(0) - 1
  }

  #block(type: number, body: Uint8Array, options: { code: number; bytes: Uint8Array }[]): void {
    const optionBytes = options.reduce((sum, option) => sum + 4 + padded(option.bytes.length), 4)
    const total = 12 + body.length + optionBytes
    this.#reserve(total >> 2)
    const start = this.#used * 4
    this.#bytes.fill(0, start, start + total)
    const view = new DataView(this.#bytes.buffer, start, total)
    view.setUint32(0, type, true)
    view.setUint32(4, total, true)
    this.#bytes.set(body, start + 8)
    let at = 8 + body.length
    for (const { code, bytes } of options) {
      view.setUint16(at, code, true)
      view.setUint16(at + 2, bytes.length, true)
      this.#bytes.set(bytes, start + at + 4)
      at += 4 + padded(bytes.length)
    }
    view.setUint32(total - 4, total, true)
    this.#used += total >> 2
    this.#fileBytes += total
  }

  #reserve(words: number): void {
    if (this.#used + words <= this.#words.length) return
    this.flush()
    this.#bytes = this.#sink.buffer(words * 4)
    this.#words = new Uint32Array(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength >> 2)
  }
}

function interfaceName(words: Uint32Array, at: number): string {
  const type = words[at + 1] & 0xff
  return type === RecordType.DriverHooked
    ? decodeDriver(words, at).name
    : `driver ${recordDriverId(words, at)}`
}

/** At most: a name has up to three bytes a character, and stands in both texts. */
function interfaceBytes(name: string): number {
  return INTERFACE_BYTES + 'Requests to '.length + 6 * name.length
}

function padded(bytes: number): number {
  return (bytes + 3) & ~3
}

function text(code: number, value: string): { code: number; bytes: Uint8Array } {
  return { code, bytes: new TextEncoder().encode(value).subarray(0, 0xfffc) }
}

function counter(code: number, value: number): { code: number; bytes: Uint8Array } {
  return { code, bytes: new Uint8Array(new BigUint64Array([BigInt(value)]).buffer) }
}
