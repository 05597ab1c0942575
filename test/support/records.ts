// records.ts: records as the driver writes them, for tests: every field has a plain default.

import {
  DriverRecord,
  LossRecord,
  RecordHeader,
  RecordType,
  RequestEnd,
  RequestStart,
} from '../../src/protocol/layout.ts'

interface Header {
  irql?: number
  processor?: number
  sequence?: number
  driverId?: number
  at?: number
}

export interface StartFields extends Header {
  id: number
  irp?: bigint
  device?: bigint
  file?: bigint
  pid?: number
  tid?: number
  requestor?: number
  major?: number
  minor?: number
  mode?: number
  stackLocation?: number
  flags?: number
  irpFlags?: number
  code?: number
  inputLength?: number
  outputLength?: number
  offset?: bigint
  continues?: number
  payload?: Uint8Array
  total?: number
}

export interface EndFields extends Header {
  id: number
  arrival?: number
  information?: bigint
  status?: number
  flags?: number
  pid?: number
  tid?: number
  major?: number
  minor?: number
  payload?: Uint8Array
  total?: number
}

function record(bytes: number, type: number, header: Header, payload: Uint8Array): DataView {
  const view = new DataView(new ArrayBuffer((bytes + payload.length + 7) & ~7))
  view.setUint32(RecordHeader.size, view.byteLength, true)
  view.setUint8(RecordHeader.type, type)
  view.setUint8(RecordHeader.irql, header.irql ?? 0)
  view.setUint16(RecordHeader.processor, header.processor ?? 0, true)
  view.setUint32(RecordHeader.sequence, header.sequence ?? 0, true)
  view.setUint32(RecordHeader.driverId, header.driverId ?? 1, true)
  view.setBigUint64(RecordHeader.timestamp, BigInt(header.at ?? 0), true)
  new Uint8Array(view.buffer).set(payload, bytes)
  return view
}

const none = new Uint8Array(0)

export function start(fields: StartFields): Uint8Array {
  const payload = fields.payload ?? none
  const view = record(RequestStart.bytes, RecordType.RequestStart, fields, payload)
  view.setBigUint64(RequestStart.requestId, BigInt(fields.id), true)
  view.setBigUint64(RequestStart.irp, fields.irp ?? 0n, true)
  view.setBigUint64(RequestStart.deviceObject, fields.device ?? 0n, true)
  view.setBigUint64(RequestStart.fileObject, fields.file ?? 0n, true)
  view.setUint32(RequestStart.processId, fields.pid ?? 100, true)
  view.setUint32(RequestStart.threadId, fields.tid ?? 101, true)
  view.setUint32(RequestStart.requestorProcessId, fields.requestor ?? 0, true)
  view.setUint8(RequestStart.major, fields.major ?? 14)
  view.setUint8(RequestStart.minor, fields.minor ?? 0)
  view.setUint8(RequestStart.requestorMode, fields.mode ?? 1)
  view.setUint8(RequestStart.stackLocation, fields.stackLocation ?? 1)
  view.setUint32(RequestStart.flags, fields.flags ?? 0, true)
  view.setUint32(RequestStart.irpFlags, fields.irpFlags ?? 0, true)
  view.setUint32(RequestStart.code, fields.code ?? 0, true)
  view.setUint32(RequestStart.inputLength, fields.inputLength ?? payload.length, true)
  view.setUint32(RequestStart.outputLength, fields.outputLength ?? 0, true)
  view.setUint32(RequestStart.payloadLength, payload.length, true)
  view.setBigUint64(RequestStart.byteOffset, fields.offset ?? 0n, true)
  view.setUint32(RequestStart.payloadTotal, fields.total ?? payload.length, true)
  view.setUint32(RequestStart.continues, fields.continues ?? 0, true)
  return new Uint8Array(view.buffer)
}

export function end(fields: EndFields): Uint8Array {
  const payload = fields.payload ?? none
  const view = record(RequestEnd.bytes, RecordType.RequestEnd, fields, payload)
  view.setBigUint64(RequestEnd.requestId, BigInt(fields.id), true)
  view.setBigUint64(RequestEnd.arrivalTimestamp, BigInt(fields.arrival ?? 0), true)
  view.setBigUint64(RequestEnd.information, fields.information ?? 0n, true)
  view.setUint32(RequestEnd.status, fields.status ?? 0, true)
  view.setUint32(RequestEnd.flags, fields.flags ?? 0, true)
  view.setUint32(RequestEnd.processId, fields.pid ?? 4, true)
  view.setUint32(RequestEnd.threadId, fields.tid ?? 8, true)
  view.setUint8(RequestEnd.major, fields.major ?? 14)
  view.setUint8(RequestEnd.minor, fields.minor ?? 0)
  view.setUint32(RequestEnd.payloadLength, payload.length, true)
  view.setUint32(RequestEnd.payloadTotal, fields.total ?? payload.length, true)
  return new Uint8Array(view.buffer)
}

export function loss(starts: number[], ends: number[], others = 0): Uint8Array {
  const view = record(LossRecord.bytes, RecordType.Loss, {}, none)
  for (const [reason, count] of starts.entries()) view.setUint32(LossRecord.starts + 4 * reason, count, true)
  for (const [reason, count] of ends.entries()) view.setUint32(LossRecord.ends + 4 * reason, count, true)
  view.setUint32(LossRecord.others, others, true)
  return new Uint8Array(view.buffer)
}

export function hooked(driverId: number, name: string, at = 0): Uint8Array {
  const payload = utf16(name)
  const view = record(DriverRecord.bytes, RecordType.DriverHooked, { driverId, at }, payload)
  view.setUint32(DriverRecord.functions, 0x0fffffff, true)
  view.setUint32(DriverRecord.nameLength, payload.length, true)
  return new Uint8Array(view.buffer)
}

export function utf16(text: string): Uint8Array {
  return new Uint8Array(Uint16Array.from({ length: text.length }, (_, i) => text.charCodeAt(i)).buffer)
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

/** Many copies of a record, each with its own id and times: building each by itself would take most of a test's time. */
export function copies(
  record: Uint8Array,
  ids: readonly number[],
  patch: (view: DataView, at: number, id: number) => void,
): Uint8Array {
  const out = new Uint8Array(record.length * ids.length)
  const view = new DataView(out.buffer)
  for (const [i, id] of ids.entries()) {
    const at = i * record.length
    out.set(record, at)
    setWide(view, at + RequestStart.requestId, id)
    patch(view, at, id)
  }
  return out
}

export function setWide(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % 2 ** 32, true)
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true)
}

/** Starts that arrive at the tick of their id, from a thread of that number. */
export function startsAt(ids: readonly number[], fields: Omit<StartFields, 'id'> = {}): Uint8Array {
  return copies(start({ ...fields, id: 0 }), ids, (view, at, id) => {
    setWide(view, at + RecordHeader.timestamp, id)
    view.setUint32(at + RequestStart.threadId, id, true)
  })
}

/** Ends of `startsAt`, some ticks later. */
export function endsAt(ids: readonly number[], latency = 1, fields: Omit<EndFields, 'id'> = {}): Uint8Array {
  return copies(end({ ...fields, id: 0 }), ids, (view, at, id) => {
    setWide(view, at + RecordHeader.timestamp, id + latency)
    setWide(view, at + RequestEnd.arrivalTimestamp, id)
  })
}

export function numbers(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => first + i)
}
