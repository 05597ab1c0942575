// traffic.ts: prefilled batches of records, as two processors of a busy socket driver would write them.
//
// What recurs in life recurs here: few processes, some dozen threads, hundreds of sockets, IRPs from a look-aside list,
// a dozen control codes. Requests overlap; an end in fifty overtakes its start, because another processor wrote it.

import {
  RecordHeader,
  RecordType,
  RequestEnd,
  RequestFlags,
  RequestStart,
} from '../../src/protocol/layout.ts'
import { setWide } from '../support/records.ts'

export const TICKS_PER_SECOND = 10_000_000
export const PROCESSES = [1208, 4312, 880, 7020, 1444, 5196, 4, 2300]
const CODES = [0x12017, 0x1201f, 0x12003, 0x12007, 0x1202b, 0x12024, 0x12047, 0x12083]
const STATUSES = [0, 0, 0, 0, 0, 0, 0, 0xc0000120, 0xc000020d, 0x80000005]
const BATCH_BYTES = 128 * 1024
const MAX_SHARDS = 2048

export interface Traffic {
  batches: Uint8Array[]
  requests: number
  records: number
  bytes: number
}

/** xorshift32: the same numbers in every run. */
export function random(seed: number): () => number {
  let state = seed
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
}

/** About `requests` requests, complete, each record in time's order but for the ends that overtook. */
export function makeTraffic(requests: number, payloadBytes: number): Traffic {
  const next = random(0x9e3779b9)
  const records: { at: number; bytes: Uint8Array }[] = []
  const payload = new Uint8Array(payloadBytes).map(() => next() & 0xff)
  for (let i = 0; i < requests; i++) {
    const arrival = 1000 + i * 10 + (next() % 10)
    const latency = latencyTicks(next)
    const isControl = next() % 4 !== 0
    const isFast = next() % 3 === 0
    const thread = next() % 40
    const processor = next() % 2
    const id = (i >> 1) * MAX_SHARDS + (i & 1) + 1
    const major = isFast ? 9 : isControl ? 14 : 3 + (next() % 2)
    const flags = isFast ? RequestFlags.FastIo : 0
    const input = next() % 2 === 0 ? payload : payload.subarray(0, 0)

    const start = record(RecordType.RequestStart, RequestStart.bytes, input)
    header(start, processor, arrival)
    setWide(start, RequestStart.requestId, id)
    if (!isFast) setWide(start, RequestStart.irp, 0x1000 + (next() % 256) * 0x200)
    setWide(start, RequestStart.deviceObject, 0x20000 + (next() % 2) * 0x400)
    setWide(start, RequestStart.fileObject, 0x80000 + (next() % 300) * 0x100)
    start.setUint32(RequestStart.processId, PROCESSES[thread % PROCESSES.length], true)
    start.setUint32(RequestStart.threadId, 4 * thread + 100, true)
    start.setUint32(RequestStart.requestorProcessId, PROCESSES[thread % PROCESSES.length], true)
    start.setUint8(RequestStart.major, major)
    start.setUint8(RequestStart.requestorMode, 1)
    start.setUint8(RequestStart.stackLocation, 1)
    start.setUint32(RequestStart.flags, flags, true)
    start.setUint32(RequestStart.code, isControl ? CODES[next() % CODES.length] : 0, true)
    start.setUint32(RequestStart.inputLength, next() % 1500, true)
    start.setUint32(RequestStart.outputLength, next() % 1500, true)
    start.setUint32(RequestStart.payloadLength, input.length, true)
    start.setUint32(RequestStart.payloadTotal, input.length, true)

    const end = record(RecordType.RequestEnd, RequestEnd.bytes, new Uint8Array(0))
    header(end, next() % 4 === 0 ? processor ^ 1 : processor, arrival + latency)
    setWide(end, RequestEnd.requestId, id)
    setWide(end, RequestEnd.arrivalTimestamp, arrival)
    setWide(end, RequestEnd.information, next() % 1500)
    end.setUint32(RequestEnd.status, STATUSES[next() % STATUSES.length], true)
    end.setUint32(RequestEnd.flags, flags | (next() % 3 === 0 ? RequestFlags.Pended : 0), true)
    end.setUint32(RequestEnd.processId, PROCESSES[thread % PROCESSES.length], true)
    end.setUint32(RequestEnd.threadId, 4 * thread + 100, true)
    end.setUint8(RequestEnd.major, major)

    const overtakes = next() % 50 === 0
    records.push({ at: arrival, bytes: new Uint8Array(start.buffer) })
    records.push({
      at: overtakes ? arrival - 20 : arrival + latency,
      bytes: new Uint8Array(end.buffer),
    })
  }
  records.sort((a, b) => a.at - b.at)
  return packed(
    records.map(({ bytes }) => bytes),
    requests,
  )
}

/** Mostly microseconds, now and then milliseconds. */
function latencyTicks(next: () => number): number {
  const magnitude = 3 + (next() % 8) + (next() % 8)
  return (1 << magnitude) + (next() % (1 << magnitude))
}

function packed(records: Uint8Array[], requests: number): Traffic {
  const batches: Uint8Array[] = []
  let batch = new Uint8Array(new SharedArrayBuffer(BATCH_BYTES))
  let used = 0
  let bytes = 0
  for (const each of records) {
    if (used + each.length > BATCH_BYTES) {
      batches.push(batch.subarray(0, used))
      batch = new Uint8Array(new SharedArrayBuffer(BATCH_BYTES))
      used = 0
    }
    batch.set(each, used)
    used += each.length
    bytes += each.length
  }
  batches.push(batch.subarray(0, used))
  return { batches, requests, records: records.length, bytes }
}

/** The same requests anew, later and with ids of their own. */
export function advance(traffic: Traffic): void {
  const ticks = traffic.requests * 10 + 40_000
  const ids = (traffic.requests + 2) * MAX_SHARDS
  for (const batch of traffic.batches) {
    const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength)
    for (let at = 0; at < batch.byteLength; at += view.getUint32(at, true)) {
      addWide(view, at + RecordHeader.timestamp, ticks)
      addWide(view, at + RequestStart.requestId, ids)
      if (view.getUint8(at + RecordHeader.type) === RecordType.RequestEnd)
        addWide(view, at + RequestEnd.arrivalTimestamp, ticks)
    }
  }
}

function addWide(view: DataView, at: number, amount: number): void {
  setWide(view, at, view.getUint32(at, true) + 2 ** 32 * view.getUint32(at + 4, true) + amount)
}

function record(type: number, structBytes: number, payload: Uint8Array): DataView {
  const bytes = new Uint8Array((structBytes + payload.length + 7) & ~7)
  bytes.set(payload, structBytes)
  const view = new DataView(bytes.buffer)
  view.setUint32(RecordHeader.size, bytes.length, true)
  view.setUint8(RecordHeader.type, type)
  return view
}

function header(view: DataView, processor: number, at: number): void {
  view.setUint16(RecordHeader.processor, processor, true)
  view.setUint32(RecordHeader.driverId, 1, true)
  setWide(view, RecordHeader.timestamp, at)
}
