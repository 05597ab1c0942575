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
  PACKET_DRIVERS,
  PacketState,
  type WritePackets,
  writePacket,
  writePackets,
  writeStamp,
} from './packets.ts'
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
  readonly #writePackets: WritePackets
  #bytes = new Uint8Array(0)
  #words = new Uint32Array(0)
  #info: CaptureInfo
  /** What each file says before its first request: the last record of each driver and of each living process. */
  readonly #drivers = new Map<number, Uint32Array>()
  readonly #processes = new Map<number, Uint32Array>()
  /** PacketState. */
  readonly #state = new Float64Array(PacketState.width)

  // Of the file being written.
  /** NaN as long as there is no record. */
  #firstTicks = Number.NaN
  /** Number of each driver's interface; and, + 1, of the drivers that writePackets looks up. */
  readonly #interfaces = new Map<number, number>()
  readonly #packetInterfaces = new Uint32Array(PACKET_DRIVERS)
  #interfaceCount = 0
  /** By the interface's number, and room for more. */
  #received = new Float64Array(8)
  #losses = noLosses()

  /** `native` does what writePackets does. */
  constructor(info: CaptureInfo, sink: BlockSink, native: WritePackets | undefined) {
    this.#info = info
    this.#sink = sink
    this.#writePackets = native ?? writePackets
    const ms = Math.floor(info.anchorUtcMs)
    const units = BigInt(ms) * 10_000n + BigInt(Math.round((info.anchorUtcMs - ms) * 10_000))
    const state = this.#state
    state[PacketState.anchorTicks] = info.anchorTicks
    state[PacketState.ticksPerUnit] = info.ticksPerSecond / 1e7
    state[PacketState.anchorHigh] = Number(units >> 32n)
    state[PacketState.anchorLow] = Number(units & 0xffffffffn)
    state[PacketState.lastTicks] = info.anchorTicks
  }

  /** Records taken in by `write`, over all files; those that a later file says again are not among them. */
  get records(): number {
    return this.#state[PacketState.records]
  }

  /** Begins a file; `series` as in CaptureInfo. */
  begin(series = 0): void {
    this.#info = { ...this.#info, series }
    this.#state[PacketState.fileBytes] = 0
    this.#firstTicks = Number.NaN
    this.#interfaces.clear()
    this.#packetInterfaces.fill(0)
    this.#interfaceCount = 0
    this.#received.fill(0)
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
      const ticks = this.#state[PacketState.lastTicks]
      record[STAMP] = ticks % TWO_32
      record[STAMP + 1] = Math.floor(ticks / TWO_32)
      this.#packet(record, 0, record.length, ticks)
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
      this.#setLimit(limit)
      at = this.#writePackets(words, at, this.#words, this.#state, this.#packetInterfaces, this.#received)
      if (at >= words.length) break
      const length = words[at] >>> 2
      const ticks = recordTimestamp(words, at)
      if (this.#isFull(words, at, length, ticks, limit)) return at << 2
      const type = words[at + 1] & 0xff
      if (type !== RecordType.RequestStart && type !== RecordType.RequestEnd) this.#learn(words, at, type)
      this.#packet(words, at, length, ticks)
      this.#state[PacketState.records]++
      if (Number.isNaN(this.#firstTicks)) this.#firstTicks = ticks
      at += length
    }
    return batch.byteLength
  }

  /** What the file may hold of requests to drivers that have their interfaces. As `#isFull` says it. */
  #setLimit({ bytes, ticks }: FileLimit): void {
    const isEmpty = Number.isNaN(this.#firstTicks)
    this.#state[PacketState.mostFileBytes] = bytes - this.#statisticsBytes(0)
    // Not its first record.
    this.#state[PacketState.endTicks] = isEmpty ? Number.NEGATIVE_INFINITY : this.#firstTicks + ticks
  }

  /** Statistics so far (records per interface, drops): at the end of a file. */
  end(): void {
    for (let number = 0; number < this.#interfaceCount; number++) {
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
    const used = this.#state[PacketState.used]
    if (used === 0) return false
    const blocks = this.#bytes.subarray(0, used * 4)
    this.#bytes = new Uint8Array(0)
    this.#words = new Uint32Array(0)
    this.#state[PacketState.used] = 0
    this.#sink.full(blocks)
    return true
  }

  #isFull(words: Uint32Array, at: number, length: number, ticks: number, limit: FileLimit): boolean {
    if (Number.isNaN(this.#firstTicks)) return false
    if (ticks - this.#firstTicks >= limit.ticks) return true
    const isNew = this.#interfaceNumber(words, at) === undefined
    const packet = PACKET_OVERHEAD + TAG_BYTES + length * 4
    const description = isNew ? interfaceBytes(interfaceName(words, at)) : 0
    const bytes = this.#state[PacketState.fileBytes] + description + packet
    return bytes + this.#statisticsBytes(isNew ? 1 : 0) > limit.bytes
  }

  #statisticsBytes(moreInterfaces: number): number {
    return (this.#interfaceCount + moreInterfaces) * STATISTICS_BYTES + DROPPED_BYTES
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
      const driverId = recordDriverId(words, at)
      this.#interfaces.set(driverId, number)
      if (driverId < PACKET_DRIVERS) this.#packetInterfaces[driverId] = number + 1
    }
    return number
  }

  #statisticsBlock(number: number, options: { code: number; bytes: Uint8Array }[]): void {
    const head = new Uint32Array(3)
    head[0] = number
    writeStamp(head, 1, this.#state[PacketState.lastTicks], this.#state)
    this.#block(Block.InterfaceStatistics, new Uint8Array(head.buffer), options)
  }

  #packet(words: Uint32Array, from: number, length: number, ticks: number): void {
    const number = this.#interfaceOf(words, from)
    this.#reserve((PACKET_OVERHEAD + TAG_BYTES + length * 4) >> 2)
    writePacket(words, from, length, ticks, number, this.#words, this.#state)
    this.#received[number]++
  }

  #addInterface(name: string, description: string): number {
    const head = new Uint8Array(8)
    head[0] = LINKTYPE_UPPER_PDU
    this.#block(Block.InterfaceDescription, head, [
      text(Option.IfName, name),
      text(Option.IfDescription, description),
      { code: Option.IfTsResolution, bytes: Uint8Array.of(TIMESTAMP_RESOLUTION) },
    ])
    if (this.#interfaceCount === this.#received.length) {
      const received = new Float64Array(2 * this.#received.length)
      received.set(this.#received)
      this.#received = received
    }
    return this.#interfaceCount++
  }

  #block(type: number, body: Uint8Array, options: { code: number; bytes: Uint8Array }[]): void {
    const optionBytes = options.reduce((sum, option) => sum + 4 + padded(option.bytes.length), 4)
    const total = 12 + body.length + optionBytes
    this.#reserve(total >> 2)
    const start = this.#state[PacketState.used] * 4
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
    this.#state[PacketState.used] += total >> 2
    this.#state[PacketState.fileBytes] += total
  }

  #reserve(words: number): void {
    if (this.#state[PacketState.used] + words <= this.#words.length) return
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
