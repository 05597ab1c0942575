// captures.ts: captures for tests: an empty one, and requests made up by fast-check together with their truth.

import fc from 'fast-check'
import { Capture, CapturePart, Count } from '../../src/model/capture.ts'
import { CHUNK_ROWS } from '../../src/model/chunk.ts'
import type { Ticks } from '../../src/protocol/ids.ts'
import { RequestFlags } from '../../src/protocol/layout.ts'
import { type EndFields, end, type StartFields, start } from './records.ts'

export function emptyCapture(budgetBytes = 1 << 30): Capture {
  return new Capture({
    budgetBytes,
    ticksPerSecond: 10_000_000,
    anchorTicks: 1_000_000_000 as Ticks,
    anchorUtcMs: Date.UTC(2026, 10, 22, 14, 0, 0),
  })
}

/** Lets an empty capture go on as if so many rows had come before: whole chunks of them. */
export function countRowsFrom({ memory }: Capture, row: number): void {
  const counts = new Float64Array(memory.parts[CapturePart.counts].buffer)
  counts[Count.endRow] = row
  counts[Count.chunks] = row / CHUNK_ROWS
}

/** A request as it happened, and which of its records were lost. */
export interface Happened {
  start: StartFields
  end: EndFields
  startLost: boolean
  endLost: boolean
}

const address = fc.bigInt(0n, 2n ** 64n - 1n)
const word = fc.nat(0xffffffff)
const few = fc.constantFrom(0, 1, 2, 3, 9, 14, 27)
const payload = fc.uint8Array({ maxLength: 40 })

/** Small values and few of them where rows should have something in common; the extremes where they may not. */
export const happened: fc.Arbitrary<Happened> = fc
  .record({
    irp: fc.oneof(fc.constant(0xffff8000_00001000n), address),
    device: fc.constantFrom(0xffff8000_00002000n, 0xffff8000_00003000n),
    file: fc.oneof(fc.constant(0n), address),
    pid: fc.constantFrom(4, 100, 200, 0xfffffffc),
    tid: fc.constantFrom(8, 104, 0xfffffff8),
    requestor: fc.constantFrom(0, 100, 200),
    major: few,
    minor: fc.constantFrom(0, 1, 7),
    mode: fc.constantFrom(0, 1),
    stackLocation: fc.constantFrom(1, 5),
    fastIo: fc.boolean(),
    irpFlags: fc.constantFrom(0, 0x43),
    code: fc.oneof(fc.constantFrom(0x12017, 0x1201f, 0x222004), word),
    inputLength: fc.oneof(fc.nat(5000), word),
    outputLength: fc.oneof(fc.nat(5000), word),
    offset: fc.oneof(fc.constant(0n), fc.constant(4096n), address),
    continues: fc.constantFrom(0, 0, 5, 0xffffffff), // nobody's id
    input: payload,
    output: payload,
    driverId: fc.constantFrom(1, 2),
    irql: fc.constantFrom(0, 2),
    processor: fc.constantFrom(0, 1, 65535),
    at: fc.nat(2 ** 40),
    latency: fc.oneof(fc.nat(100_000), fc.constantFrom(0xfffffffe, 0xffffffff, 2 ** 32, 2 ** 40)),
    information: fc.oneof(fc.bigInt(0n, 5000n), fc.constantFrom(0xffffffffn, 2n ** 32n), address),
    status: fc.constantFrom(0, 0x103, 0x80000005, 0xc0000120, 0xc0000005, 0xe0001234),
    endFlags: fc.constantFrom(0, RequestFlags.Pended, RequestFlags.Cancelled | RequestFlags.Pended),
    unseen: fc.boolean(),
    startLost: fc.constantFrom(false, false, false, true),
    endLost: fc.constantFrom(false, false, false, true),
  })
  .map((drawn) => {
    const fast = drawn.fastIo ? RequestFlags.FastIo : 0
    const shared = { id: 0, driverId: drawn.driverId, major: drawn.major, minor: drawn.minor }
    return {
      start: {
        ...shared,
        ...pick(drawn, START),
        flags: fast | RequestFlags.Synchronous,
        payload: drawn.input,
      },
      end: {
        ...shared,
        irql: drawn.irql,
        processor: drawn.processor ^ 1,
        at: drawn.at + drawn.latency,
        arrival: drawn.at,
        information: drawn.information,
        status: drawn.status,
        flags: fast | drawn.endFlags | (drawn.unseen ? RequestFlags.Unseen : 0),
        pid: 4,
        tid: drawn.tid,
        payload: drawn.output,
        total: drawn.output.length + 3,
      },
      startLost: drawn.startLost,
      endLost: drawn.endLost,
    }
  })

const START = [
  'irql',
  'processor',
  'at',
  'irp',
  'device',
  'file',
  'pid',
  'tid',
  'requestor',
  'mode',
  'stackLocation',
  'irpFlags',
  'code',
  'inputLength',
  'outputLength',
  'offset',
  'continues',
] as const

function pick<T, K extends keyof T>(from: T, keys: readonly K[]): Pick<T, K> {
  return Object.fromEntries(keys.map((key) => [key, from[key]])) as Pick<T, K>
}

const span = fc.constantFrom(2 ** 20, 2 ** 40)

/** Requests with ids of their own, within a short or a long time, and their records in any order at all. */
export const traffic = fc.tuple(fc.array(happened, { maxLength: 60 }), span).chain(([drawn, within]) => {
  const requests = drawn.map((request, i) => {
    const id = i % 7 === 6 ? 2 ** 40 + i : 1000 + i
    const at = (request.start.at ?? 0) % within
    const ended = (request.end.at ?? 0) - (request.start.at ?? 0) + at
    return {
      ...request,
      start: { ...request.start, id, at },
      end: { ...request.end, id, at: ended, arrival: at },
    }
  })
  const records = requests.flatMap((request) => [
    ...(request.startLost ? [] : [start(request.start)]),
    ...(request.endLost ? [] : [end(request.end)]),
  ])
  return fc.record({
    requests: fc.constant(requests),
    records: fc.shuffledSubarray(records, { minLength: records.length }),
    /** Where the batches are cut. */
    cuts: fc.array(fc.nat(records.length), { maxLength: 5 }),
  })
})

export function batches(records: readonly Uint8Array[], cuts: readonly number[]): Uint8Array[][] {
  const places = [0, ...[...cuts].sort((a, b) => a - b), records.length]
  return places.slice(1).map((to, i) => records.slice(places[i], to))
}
