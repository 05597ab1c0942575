// pcapng-reader.ts: reads a capture file in pieces of any size and gives its records back, in batches.
//
// Nothing is taken on trust: each block's two lengths must agree, each record must fill its packet. What is damaged
// is refused with its place in the file. What is merely unknown (blocks of others, packets of other dissectors) is
// skipped, and a file that ends within a block is whole up to there: it may still be growing.

import { ABI_VERSION } from '../protocol/layout.ts'
import type { CaptureInfo } from './capture-info.ts'
import {
  addRecordedOnly,
  Block,
  BYTE_ORDER_MAGIC,
  decodeInfo,
  decodeRecordedOnly,
  decodeSeries,
  encodeInfo,
  LINKTYPE_UPPER_PDU,
  MAX_BLOCK_BYTES,
  Option,
  PACKET_OVERHEAD,
  TAG_BYTES,
  TAG_WORDS,
} from './pcapng-blocks.ts'

/** The file is no pcapng, not ours, or damaged. `offset` is in bytes from its start. */
export class PcapngError extends Error {
  override readonly name = 'PcapngError'
  constructor(
    message: string,
    readonly offset: number,
  ) {
    super(`${message} (at byte ${offset})`)
  }
}

/** It is whole, perhaps, but nothing that this program could read. */
export class ForeignFileError extends PcapngError {}

const NO_BYTES = new Uint8Array(0)

export class PcapngReader {
  #info: CaptureInfo | null = null
  #recordedOnly: string[] = []
  /** Of an unfinished block. */
  #rest: Uint8Array = NO_BYTES
  /** Of the file, where `#rest` begins. */
  #offset = 0
  /** What was damaged behind records that have been given back: told at the next call. */
  #fault: PcapngError | null = null
  /** Of the section's interfaces: whether each carries upper PDUs. */
  #interfaces: boolean[] = []

  /** null until the file's head has been read. Never null once `push` has returned records. */
  get info(): CaptureInfo | null {
    return this.#info
  }

  /** Which requests were recorded, in words as CaptureInfo has them, one after the other; as far as it was read. */
  get recordedOnly(): readonly string[] {
    return this.#recordedOnly
  }

  /**
   * Takes the file's next bytes; returns the records that are whole now, back to back (often none). Records before a
   * damaged block are given back first, and the next call throws.
   */
  push(chunk: Uint8Array): Uint8Array {
    if (this.#fault !== null) throw this.#fault
    const bytes = joined(this.#rest, chunk)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const records = new Uint8Array(bytes.length)
    let written = 0
    let at = 0
    try {
      for (let total = this.#blockAt(bytes, view, at); total > 0; total = this.#blockAt(bytes, view, at)) {
        const type = view.getUint32(at, true)
        if (type === Block.EnhancedPacket) written = this.#packet(bytes, view, at, total, records, written)
        else if (type === Block.InterfaceDescription) this.#interface(view, at, total)
        else if (type === Block.SectionHeader) this.#section(view, at, total)
        else if (type === Block.InterfaceStatistics) this.#statistics(view, at, total)
        at += total
      }
    } catch (error) {
      if (!(error instanceof PcapngError) || written === 0) throw error
      this.#fault = error
    }
    this.#rest = bytes.slice(at)
    this.#offset += at
    return records.subarray(0, written)
  }

  /** The length of the block at `at`; 0 when it is not whole yet. */
  #blockAt(bytes: Uint8Array, view: DataView, at: number): number {
    if (bytes.length - at < 8) return 0
    const type = view.getUint32(at, true)
    if (this.#info === null) this.#expectSection(type, bytes, at)
    if (type === Block.SectionHeader) {
      // It says how its own length is to be read.
      if (bytes.length - at < 12) return 0
      this.#expectLittleEndian(view, at)
    }
    const total = view.getUint32(at + 4, true)
    if (total < 12 || (total & 3) !== 0 || total > MAX_BLOCK_BYTES) {
      throw new PcapngError(`a block cannot be ${total} bytes long`, this.#offset + at)
    }
    if (bytes.length - at < total) return 0
    if (view.getUint32(at + total - 4, true) !== total) {
      throw new PcapngError('a block’s two lengths differ', this.#offset + at)
    }
    return total
  }

  /** The file has ended: bytes of an unfinished last block, 0 for a clean end. Throws if not even the head was there. */
  end(): { tornBytes: number } {
    if (this.#fault !== null) throw this.#fault
    if (this.#info === null) throw new PcapngError('the file ends before its first block does', this.#offset)
    return { tornBytes: this.#rest.length }
  }

  #expectSection(type: number, bytes: Uint8Array, at: number): void {
    if (type === Block.SectionHeader) return
    const gzip = bytes[at] === 0x1f && bytes[at + 1] === 0x8b ? ': it is compressed with gzip' : ''
    // A file that was begun when the machine died may have zeros where its head was to be.
    const Fault = type === 0 ? PcapngError : ForeignFileError
    throw new Fault(`this is no pcapng file${gzip}`, this.#offset + at)
  }

  #expectLittleEndian(view: DataView, at: number): void {
    if (view.getUint32(at + 8, true) === BYTE_ORDER_MAGIC) return
    const isBigEndian = view.getUint32(at + 8) === BYTE_ORDER_MAGIC
    if (isBigEndian)
      throw new ForeignFileError('the file is big-endian; DriverMon writes little-endian', this.#offset + at)
    throw new PcapngError('the section header’s byte-order magic is damaged', this.#offset + at)
  }

  #section(view: DataView, at: number, total: number): void {
    const where = this.#offset + at
    if (total < 28) throw new PcapngError('the section header is too short', where)
    if (view.getUint16(at + 12, true) !== 1) throw new ForeignFileError('an unknown version of pcapng', where)
    const texts = new Map<number, string>()
    let recordedOnly = ''
    let series = 0
    forEachOption(view, at + 24, at + total - 4, (code, from, length) => {
      if (texts.has(code) && code !== Option.Comment) return
      const text = decodeText(view, from, length)
      if (code === Option.Comment) {
        recordedOnly = decodeRecordedOnly(text) ?? recordedOnly
        series = decodeSeries(text) ?? series
      }
      // There may be several comments: Wireshark lets people add theirs.
      if (code !== Option.Comment || decodeInfo(text, '', '') !== null) texts.set(code, text)
    })
    const info = decodeInfo(
      texts.get(Option.Comment) ?? '',
      texts.get(Option.ShbOs) ?? '',
      texts.get(Option.ShbApplication) ?? '',
    )
    if (info === null) throw new ForeignFileError('this is a pcapng file, but no capture of DriverMon', where)
    if (info.abiVersion !== ABI_VERSION) {
      const age = info.abiVersion > ABI_VERSION ? 'a newer' : 'an older'
      throw new ForeignFileError(
        `the capture was made by ${age} DriverMon (ABI version ${info.abiVersion})`,
        where,
      )
    }
    if (this.#info !== null && encodeInfo(this.#info) !== encodeInfo(info)) {
      throw new PcapngError('a second capture with another clock follows: split the file', where)
    }
    this.#info = { ...info, series, recordedOnly }
    addRecordedOnly(this.#recordedOnly, recordedOnly)
    this.#interfaces = []
  }

  #statistics(view: DataView, at: number, total: number): void {
    forEachOption(view, at + 20, at + total - 4, (code, from, length) => {
      const words = code === Option.Comment ? decodeRecordedOnly(decodeText(view, from, length)) : null
      if (words !== null) addRecordedOnly(this.#recordedOnly, words)
    })
  }

  #interface(view: DataView, at: number, total: number): void {
    if (total < 20) throw new PcapngError('an interface description is too short', this.#offset + at)
    this.#interfaces.push(view.getUint16(at + 8, true) === LINKTYPE_UPPER_PDU)
  }

  #packet(
    bytes: Uint8Array,
    view: DataView,
    at: number,
    total: number,
    records: Uint8Array,
    written: number,
  ): number {
    const where = this.#offset + at
    if (total < PACKET_OVERHEAD) throw new PcapngError('a packet block is too short', where)
    const number = view.getUint32(at + 8, true)
    const captured = view.getUint32(at + 20, true)
    if (captured > total - PACKET_OVERHEAD) throw new PcapngError('a packet does not fit its block', where)
    if (number >= this.#interfaces.length) throw new PcapngError(`there is no interface ${number}`, where)
    const from = at + 28
    if (!this.#interfaces[number] || captured < TAG_BYTES || !isOurs(view, from)) return written
    const length = captured - TAG_BYTES
    if (length < 8 || view.getUint32(from + TAG_BYTES, true) !== length || (length & 7) !== 0) {
      throw new PcapngError('a packet holds no whole record', where)
    }
    records.set(bytes.subarray(from + TAG_BYTES, from + captured), written)
    return written + length
  }
}

function isOurs(view: DataView, at: number): boolean {
  for (let i = 0; i < TAG_WORDS.length; i++)
    if (view.getUint32(at + 4 * i, true) !== TAG_WORDS[i]) return false
  return true
}

function forEachOption(
  view: DataView,
  start: number,
  end: number,
  visit: (code: number, from: number, length: number) => void,
): void {
  for (let at = start; at + 4 <= end; ) {
    const code = view.getUint16(at, true)
    const length = view.getUint16(at + 2, true)
    if (code === Option.End || at + 4 + length > end) return
    visit(code, at + 4, length)
    at += 4 + ((length + 3) & ~3)
  }
}

function decodeText(view: DataView, from: number, length: number): string {
  return new TextDecoder().decode(new Uint8Array(view.buffer, view.byteOffset + from, length))
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length === 0) return b
  const out = new Uint8Array(a.length + b.length)
  out.set(a)
  out.set(b, a.length)
  return out
}
