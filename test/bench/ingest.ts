// ingest.ts: batches that are there already, into rows: decode, pair, store. On one thread, nothing else running.

import { loadBinding } from '../../addon/load.ts'
import { Capture } from '../../src/model/capture.ts'
import type { NativeStore } from '../../src/model/native-store.ts'
import type { Ticks } from '../../src/protocol/ids.ts'
import { RecordHeader, RecordType, RequestEnd, RequestStart } from '../../src/protocol/layout.ts'
import { type Figure, interleave, timed } from './figure.ts'
import { advance, makeTraffic, PROCESSES, TICKS_PER_SECOND, type Traffic } from './traffic.ts'

export function newCapture(budgetBytes: number, native?: NativeStore): Capture {
  const capture = new Capture({
    native,
    budgetBytes,
    ticksPerSecond: TICKS_PER_SECOND,
    anchorTicks: 0 as Ticks,
    anchorUtcMs: 0,
  })
  const known = PROCESSES.map((processId) => ({ processId, parentProcessId: 4, name: `${processId}.exe` }))
  capture.learnProcesses(known, 0 as Ticks)
  return capture
}

export async function benchIngest(quick: boolean): Promise<Figure[]> {
  return [
    await ingest('ingest of prefilled batches', quick, 0, '≥ 30 M records/s'),
    await ingest('ingest, every other request with 64 bytes of input', quick, 64, null),
  ]
}

async function ingest(name: string, quick: boolean, payload: number, target: string | null): Promise<Figure> {
  const traffic = makeTraffic(quick ? 100_000 : 300_000, payload)
  const rate = (action: (batch: Uint8Array) => void) => {
    advance(traffic)
    return traffic.records / 1000 / timed(() => traffic.batches.forEach(action))
  }
  const capture = newCapture(256 << 20, loadBinding().store)
  const withoutAddon = newCapture(256 << 20)
  const [ours, ...yardsticks] = await interleave(quick ? 5 : 9, [
    { name: 'ours', run: () => rate((batch) => capture.ingest(batch)) },
    { name: 'ours without the addon', run: () => rate((batch) => withoutAddon.ingest(batch)) },
    columnsOnly(traffic, rate),
    objects(rate),
  ])
  const { rowCount, inFlight, unpairedEnds, firstRow } = capture
  const whole = inFlight === 0 && unpairedEnds === 0
  return {
    name,
    unit: 'M records/s',
    better: 'higher',
    ours: ours.value,
    yardsticks,
    target,
    met: target === null ? null : ours.value >= 30,
    note: `${rowCount + firstRow} rows made, ${whole ? 'each of them paired' : `${inFlight} in flight, ${unpairedEnds} unpaired`}`,
  }
}

type Rate = (action: (batch: Uint8Array) => void) => number

/** What decoding alone costs: ten fields of each record into plain columns; no pairing, no check, no memory bound. */
function columnsOnly(traffic: Traffic, rate: Rate) {
  const columns = Array.from({ length: 10 }, () => new Uint32Array(traffic.records))
  const [low, high, first, second, third, fourth, fifth, sixth, seventh, eighth] = columns
  return {
    name: 'ten fields of each record into typed arrays, unpaired',
    run() {
      let row = 0
      return rate((batch) => {
        const words = new Uint32Array(batch.buffer, batch.byteOffset, batch.byteLength >> 2)
        for (let at = 0; at < words.length; at += words[at] >> 2) {
          low[row] = words[at + 4]
          high[row] = words[at + 5]
          first[row] = words[at + 6]
          second[row] = words[at + 7]
          third[row] = words[at + 1]
          fourth[row] = words[at + 12]
          fifth[row] = words[at + 13]
          sixth[row] = words[at + 14]
          seventh[row] = words[at + 16]
          eighth[row] = words[at + 18]
          row++
        }
      })
    },
  }
}

interface PlainRequest {
  arrival: number
  latency: number
  processId: number
  threadId: number
  major: number
  code: number
  inputLength: number
  outputLength: number
  status: number
  information: number
}

/** The obvious program: an object per request, a Map from its id. */
function objects(rate: Rate) {
  return {
    name: 'an object per request, paired by a Map',
    run() {
      const rows: PlainRequest[] = []
      const waiting = new Map<number, PlainRequest>()
      return rate((batch) => {
        const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength)
        for (let at = 0; at < batch.byteLength; at += view.getUint32(at, true)) {
          const id = view.getUint32(at + RequestStart.requestId, true)
          let request = waiting.get(id)
          if (request === undefined) {
            request = {
              arrival: 0,
              latency: 0,
              processId: 0,
              threadId: 0,
              major: 0,
              code: 0,
              inputLength: 0,
              outputLength: 0,
              status: 0,
              information: 0,
            }
            rows.push(request)
            waiting.set(id, request)
          } else {
            waiting.delete(id)
          }
          if (view.getUint8(at + RecordHeader.type) === RecordType.RequestStart) {
            request.arrival = Number(view.getBigUint64(at + RecordHeader.timestamp, true))
            request.processId = view.getUint32(at + RequestStart.processId, true)
            request.threadId = view.getUint32(at + RequestStart.threadId, true)
            request.major = view.getUint8(at + RequestStart.major)
            request.code = view.getUint32(at + RequestStart.code, true)
            request.inputLength = view.getUint32(at + RequestStart.inputLength, true)
            request.outputLength = view.getUint32(at + RequestStart.outputLength, true)
          } else {
            const arrival = view.getBigUint64(at + RequestEnd.arrivalTimestamp, true)
            request.latency = Number(view.getBigUint64(at + RecordHeader.timestamp, true) - arrival)
            request.status = view.getUint32(at + RequestEnd.status, true)
            request.information = Number(view.getBigUint64(at + RequestEnd.information, true))
          }
        }
      })
    },
  }
}
