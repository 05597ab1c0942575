// pcapng-writer.ts: turns batches of records into the bytes of a capture file (pcapng-blocks.ts says how they lie).
//
// It runs at the rate of the capture, so a batch costs one pass and no allocation: records are copied as words into
// a buffer that is reused. Where the bytes go is the caller's business, and so is when. After each call the file is
// whole; a file cut anywhere loses its last block only.

import { RecordType } from '../protocol/layout.ts'
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
  LINKTYPE_UPPER_PDU,
  Option,
  PACKET_OVERHEAD,
  TAG_BYTES,
  TAG_WORDS,
  TIMESTAMP_RESOLUTION,
} from './pcapng-blocks.ts'

const TWO_32 = 0x1_0000_0000

export class PcapngWriter {
  #bytes = new Uint8Array(1 << 16)
  #words = new Uint32Array(this.#bytes.buffer)
  /** Words in use. */
  #used = 0
  /** Number of each driver's interface. */
  readonly #interfaces = new Map<number, number>()
  readonly #received: number[] = []
  readonly #losses = noLosses()
  /** 100 ns since 1970 at the anchor, in two halves: a double cannot hold it. */
  readonly #anchorHigh: number
  readonly #anchorLow: number
  /** Ticks in 100 ns. */
  readonly #ticksPerUnit: number
  #lastTicks: number

  constructor(readonly info: CaptureInfo) {
    const ms = Math.floor(info.anchorUtcMs)
    const units = BigInt(ms) * 10_000n + BigInt(Math.round((info.anchorUtcMs - ms) * 10_000))
    this.#anchorHigh = Number(units >> 32n)
    this.#anchorLow = Number(units & 0xffffffffn)
    this.#ticksPerUnit = info.ticksPerSecond / 1e7
    this.#lastTicks = info.anchorTicks
  }

  /** The file's first blocks. */
  header(): Uint8Array {
    this.#used = 0
    this.#block(
      Block.SectionHeader,
      new Uint8Array(new Uint32Array([BYTE_ORDER_MAGIC, 1, 0xffffffff, 0xffffffff]).buffer),
      [
        text(Option.ShbOs, this.info.os),
        text(Option.ShbApplication, this.info.application),
        text(Option.Comment, encodeInfo(this.info)),
        ...(this.info.recordedOnly ? [text(Option.Comment, encodeRecordedOnly(this.info.recordedOnly))] : []),
      ],
    )
    this.#addInterface('DriverMon', 'Losses and processes')
    return this.#taken()
  }

  /**
   * The blocks for a batch of records. The bytes are the writer's own and are overwritten by the next call.
   * Throws RecordError for a malformed batch, of which then nothing is written.
   */
  write(batch: Uint8Array): Uint8Array {
    const words = recordWords(batch)
    this.#used = 0
    // All of it first: an interface that was promised in a batch that then fails would be missing from the file.
    for (let at = 0; at < words.length; ) at += checkRecord(words, at, words.length)
    for (let at = 0; at < words.length; ) {
      const length = words[at] >>> 2
      const type = words[at + 1] & 0xff
      const driverId = recordDriverId(words, at)
      let number = driverId === 0 ? 0 : this.#interfaces.get(driverId)
      if (number === undefined) {
        const name = type === RecordType.DriverHooked ? decodeDriver(words, at).name : `driver ${driverId}`
        number = this.#addInterface(name, `Requests to ${name}`)
        this.#interfaces.set(driverId, number)
      }
      if (type === RecordType.Loss) addLoss(this.#losses, words, at)
      this.#packet(number, words, at, length)
      at += length
    }
    return this.#taken()
  }

  /** Statistics so far (records per interface, drops): at the end, and as often as one likes before. */
  statistics(): Uint8Array {
    this.#used = 0
    for (let number = 0; number < this.#received.length; number++) {
      const counts = [counter(Option.IsbReceived, this.#received[number])]
      if (number === 0) counts.push(counter(Option.IsbDropped, lostRecords(this.#losses)))
      this.#statisticsBlock(number, counts)
    }
    return this.#taken()
  }

  /** From here on other requests are recorded: which, in words; '' = all. */
  recordedOnly(words: string): Uint8Array {
    this.#used = 0
    this.#statisticsBlock(0, [text(Option.Comment, encodeRecordedOnly(words))])
    return this.#taken()
  }

  #statisticsBlock(number: number, options: { code: number; bytes: Uint8Array }[]): void {
    const head = new Uint32Array(3)
    head[0] = number
    this.#stamp(head, 1, this.#lastTicks)
    this.#block(Block.InterfaceStatistics, new Uint8Array(head.buffer), options)
  }

  #packet(number: number, words: Uint32Array, from: number, length: number): void {
    const total = PACKET_OVERHEAD + TAG_BYTES + length * 4
    this.#reserve(total >> 2)
    const out = this.#words
    let at = this.#used
    out[at] = Block.EnhancedPacket
    out[at + 1] = total
    out[at + 2] = number
    const ticks = recordTimestamp(words, from)
    this.#lastTicks = ticks
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
    this.#received[number]++
  }

  /** Writes 100 ns since 1970, high word first. */
  #stamp(out: Uint32Array, at: number, ticks: number): void {
    const low = this.#anchorLow + Math.floor((ticks - this.info.anchorTicks) / this.#ticksPerUnit)
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
  }

  #reserve(words: number): void {
    if (this.#used + words <= this.#words.length) return
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, (this.#used + words) * 4))
    grown.set(this.#bytes.subarray(0, this.#used * 4))
    this.#bytes = grown
    this.#words = new Uint32Array(grown.buffer)
  }

  #taken(): Uint8Array {
    return this.#bytes.subarray(0, this.#used * 4)
  }
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
