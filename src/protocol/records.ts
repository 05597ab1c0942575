// records.ts: reads a stream of the driver's records, and nothing of it on trust.
//
// A batch is records back to back (driver/protocol/record.h). It arrives in shared memory at some hundred megabytes
// a second, so reading is words out of one Uint32Array, not objects: `recordWords` gives the view, `checkRecord`
// proves that the record at a word lies within the batch, and after that the WORD_* offsets may be read plainly.
// A malformed record is a RecordError that says where; there is no way to go on behind it, since its size was the
// way.

import type { DriverId, Ticks } from './ids.ts'
import {
  DriverRecord,
  LOSS_REASON_COUNT,
  LossReason,
  LossRecord,
  MAX_RECORD_SIZE,
  ProcessRecord,
  RecordHeader,
  RecordType,
  RequestEnd,
  RequestStart,
} from './layout.ts'

/** The stream of records is not what the driver writes. `offset` is in bytes from the start of the batch. */
export class RecordError extends Error {
  override readonly name = 'RecordError'
  constructor(
    message: string,
    readonly offset: number,
  ) {
    super(`${message} (at byte ${offset})`)
  }
}

const TWO_32 = 0x1_0000_0000

/** The batch as little-endian words, without a copy where it is 8-aligned, as its records are to each other. */
export function recordWords(batch: Uint8Array): Uint32Array {
  const length = batch.byteLength >>> 2
  if ((batch.byteOffset & 7) === 0) return new Uint32Array(batch.buffer, batch.byteOffset, length)
  return new Uint32Array(batch.slice().buffer, 0, length)
}

/** The 64-bit field at word `at` as a double: exact below 2^53, as ticks and request ids are. */
export function wide(words: Uint32Array, at: number): number {
  return words[at + 1] * TWO_32 + words[at]
}

/** The 64-bit field at word `at`, exactly. */
export function wideExact(words: Uint32Array, at: number): bigint {
  return (BigInt(words[at + 1]) << 32n) | BigInt(words[at])
}

/** Smallest size of a record of each type, and the word that holds the length of what follows it (0 = none). */
const smallest = new Uint32Array(256).fill(RecordHeader.bytes)
const tailWord = new Uint8Array(256)
smallest[RecordType.RequestStart] = RequestStart.bytes
tailWord[RecordType.RequestStart] = RequestStart.payloadLength >> 2
smallest[RecordType.RequestEnd] = RequestEnd.bytes
tailWord[RecordType.RequestEnd] = RequestEnd.payloadLength >> 2
smallest[RecordType.Loss] = LossRecord.bytes
smallest[RecordType.DriverHooked] = DriverRecord.bytes
tailWord[RecordType.DriverHooked] = DriverRecord.nameLength >> 2
smallest[RecordType.DriverUnhooked] = DriverRecord.bytes
tailWord[RecordType.DriverUnhooked] = DriverRecord.nameLength >> 2
smallest[RecordType.Process] = ProcessRecord.bytes
tailWord[RecordType.Process] = ProcessRecord.nameLength >> 2

/**
 * Proves that a whole record lies at word `at` of a batch that ends at word `end`; returns its length in words.
 * Types that are not known are held to the header's rules alone and may be skipped.
 */
export function checkRecord(words: Uint32Array, at: number, end: number): number {
  const left = (end - at) << 2
  if (left < RecordHeader.bytes)
    throw new RecordError(`a record's header is cut off after ${left} bytes`, at << 2)
  const size = words[at]
  if (size < RecordHeader.bytes || size > MAX_RECORD_SIZE || (size & 7) !== 0) {
    throw new RecordError(`a record cannot be ${size} bytes long`, at << 2)
  }
  if (size > left) throw new RecordError(`a record of ${size} bytes is cut off after ${left}`, at << 2)
  const type = words[at + 1] & 0xff
  const tail = tailWord[type]
  if (size < smallest[type])
    throw new RecordError(`a record of type ${type} cannot be ${size} bytes long`, at << 2)
  if (tail !== 0 && words[at + tail] > size - smallest[type]) {
    throw new RecordError(
      `a payload of ${words[at + tail]} bytes does not fit its record of ${size}`,
      at << 2,
    )
  }
  return size >> 2
}

/** Calls `visit` with the word of each record; for those who look at few (files, tests). The store has its own loop. */
export function forEachRecord(
  batch: Uint8Array,
  visit: (words: Uint32Array, at: number, type: number) => void,
): void {
  const words = recordWords(batch)
  if ((batch.byteLength & 3) !== 0) throw new RecordError('the batch ends within a word', words.length << 2)
  for (let at = 0; at < words.length; ) {
    const length = checkRecord(words, at, words.length)
    visit(words, at, words[at + 1] & 0xff)
    at += length
  }
}

export function recordDriverId(words: Uint32Array, at: number): DriverId {
  return words[at + (RecordHeader.driverId >> 2)] as DriverId
}

export function recordTimestamp(words: Uint32Array, at: number): Ticks {
  return wide(words, at + (RecordHeader.timestamp >> 2)) as Ticks
}

/** UTF-16LE text of `byteLength` bytes at byte `from` of the words. Lone surrogates stay as they are. */
export function utf16At(words: Uint32Array, from: number, byteLength: number): string {
  const units = byteLength >> 1
  if (units === 0) return ''
  const text = new Uint16Array(words.buffer as ArrayBuffer, words.byteOffset + from, units)
  let out = ''
  for (let i = 0; i < units; i += 4096) {
    out += String.fromCharCode.apply(null, text.subarray(i, i + 4096) as unknown as number[])
  }
  return out
}

export interface DriverEvent {
  driverId: DriverId
  driverObject: bigint
  functions: number
  fastIo: number
  reason: number
  name: string
}

/** A DriverHooked or DriverUnhooked record that has been checked. */
export function decodeDriver(words: Uint32Array, at: number): DriverEvent {
  return {
    driverId: recordDriverId(words, at),
    driverObject: wideExact(words, at + (DriverRecord.driverObject >> 2)),
    functions: words[at + (DriverRecord.functions >> 2)],
    fastIo: words[at + (DriverRecord.fastIo >> 2)],
    reason: words[at + (DriverRecord.reason >> 2)],
    name: utf16At(words, (at << 2) + DriverRecord.bytes, words[at + (DriverRecord.nameLength >> 2)]),
  }
}

export interface ProcessNotice {
  at: Ticks
  processId: number
  parentProcessId: number
  event: number
  name: string
}

/** A Process record that has been checked. */
export function decodeProcess(words: Uint32Array, at: number): ProcessNotice {
  return {
    at: recordTimestamp(words, at),
    processId: words[at + (ProcessRecord.processId >> 2)],
    parentProcessId: words[at + (ProcessRecord.parentProcessId >> 2)],
    event: words[at + (ProcessRecord.event >> 2)],
    name: utf16At(words, (at << 2) + ProcessRecord.bytes, words[at + (ProcessRecord.nameLength >> 2)]),
  }
}

/**
 * A Process record as the driver would write it: names that user mode found out are kept in the stream too,
 * so that a capture file needs nothing beside its records.
 */
export function encodeProcess(notice: ProcessNotice): Uint8Array {
  const nameBytes = Math.min(notice.name.length, 32767) * 2
  const bytes = new Uint8Array((ProcessRecord.bytes + nameBytes + 7) & ~7)
  const view = new DataView(bytes.buffer)
  view.setUint32(RecordHeader.size, bytes.length, true)
  view.setUint8(RecordHeader.type, RecordType.Process)
  view.setBigUint64(RecordHeader.timestamp, BigInt(notice.at), true)
  view.setUint32(ProcessRecord.processId, notice.processId, true)
  view.setUint32(ProcessRecord.parentProcessId, notice.parentProcessId, true)
  view.setUint32(ProcessRecord.event, notice.event, true)
  view.setUint32(ProcessRecord.nameLength, nameBytes, true)
  for (let i = 0; i < nameBytes / 2; i++)
    view.setUint16(ProcessRecord.bytes + 2 * i, notice.name.charCodeAt(i), true)
  return bytes
}

/** A DriverHooked record as the driver would write it: for a stream that begins after the driver was hooked. */
export function encodeDriverHooked(event: Omit<DriverEvent, 'reason'>, at: Ticks): Uint8Array {
  const nameBytes = event.name.length * 2
  const bytes = new Uint8Array((DriverRecord.bytes + nameBytes + 7) & ~7)
  const view = new DataView(bytes.buffer)
  view.setUint32(RecordHeader.size, bytes.length, true)
  view.setUint8(RecordHeader.type, RecordType.DriverHooked)
  view.setUint32(RecordHeader.driverId, event.driverId, true)
  view.setBigUint64(RecordHeader.timestamp, BigInt(at), true)
  view.setBigUint64(DriverRecord.driverObject, event.driverObject, true)
  view.setUint32(DriverRecord.functions, event.functions, true)
  view.setUint32(DriverRecord.fastIo, event.fastIo, true)
  view.setUint32(DriverRecord.nameLength, nameBytes, true)
  for (let i = 0; i < event.name.length; i++)
    view.setUint16(DriverRecord.bytes + 2 * i, event.name.charCodeAt(i), true)
  return bytes
}

/** Records lost, by LossReason. Starts and ends are counted apart, since they leave different gaps. */
export interface Losses {
  starts: number[]
  ends: number[]
  others: number
}

export function noLosses(): Losses {
  return {
    starts: new Array(LOSS_REASON_COUNT).fill(0),
    ends: new Array(LOSS_REASON_COUNT).fill(0),
    others: 0,
  }
}

/** Adds a Loss record that has been checked: each counts since the one before. */
export function addLoss(losses: Losses, words: Uint32Array, at: number): void {
  for (let reason = 0; reason < LOSS_REASON_COUNT; reason++) {
    losses.starts[reason] += words[at + (LossRecord.starts >> 2) + reason]
    losses.ends[reason] += words[at + (LossRecord.ends >> 2) + reason]
  }
  losses.others += words[at + (LossRecord.others >> 2)]
}

/**
 * Records that are missing. The other reasons count what is missing from records that are there: their payload, or
 * a completion that will not be recorded.
 */
export function lostRecords(losses: Losses): number {
  return (
    losses.starts[LossReason.RingFull] +
    losses.starts[LossReason.RecordTooLarge] +
    losses.ends[LossReason.RingFull] +
    losses.ends[LossReason.RecordTooLarge] +
    losses.others
  )
}
