// handover.ts: from a native thread to JavaScript, which reads ten fields of each record into columns: by the product's
// slots in shared memory, by ArrayBuffers over native memory, by a call per record.

import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { type PumpSource, SlotRing } from '../../src/session/slot-ring.ts'
import { type Figure, interleave } from './figure.ts'
import { makeTraffic } from './traffic.ts'

interface PlainRecord {
  type: number
  processor: number
  sequence: number
  timestamp: number
  requestId: number
  processId: number
  threadId: number
  major: number
  first: number
  second: number
}

interface HandoverAddon {
  slots(
    batches: Uint8Array[],
    times: number,
    memory: Uint8Array,
    count: number,
    bytes: number,
    bell: () => void,
  ): void
  released(): void
  ended(): boolean
  endSlots(): void
  external(batches: Uint8Array[], times: number, take: (batch: ArrayBuffer | null) => void): void
  calls(batches: Uint8Array[], times: number, take: (record: PlainRecord | null) => void): void
}

/** Round and round: how many there are does not matter, that they are written does. */
const ROWS = 1 << 20

export async function benchHandover(quick: boolean): Promise<Figure[]> {
  const folder = dirname(process.argv[1])
  const addon = createRequire(import.meta.url)(join(folder, 'bench_handover.node')) as HandoverAddon
  const traffic = makeTraffic(50_000, 0)
  const columns = Array.from({ length: 10 }, () => new Uint32Array(ROWS))
  const [c0, c1, c2, c3, c4, c5, c6, c7, c8, c9] = columns
  let taken = 0

  const decode = (words: Uint32Array) => {
    for (let at = 0; at < words.length; at += words[at] >> 2) {
      const row = taken++ & (ROWS - 1)
      c0[row] = words[at + 1] & 0xff
      c1[row] = words[at + 1] >>> 16
      c2[row] = words[at + 2]
      c3[row] = words[at + 4]
      c4[row] = words[at + 6]
      c5[row] = words[at + 12]
      c6[row] = words[at + 13]
      c7[row] = words[at + 16]
      c8[row] = words[at + 18]
      c9[row] = words[at + 19]
    }
  }
  const rate = async (times: number, run: (times: number) => Promise<unknown>) => {
    taken = 0
    const begin = performance.now()
    await run(times)
    const elapsed = performance.now() - begin
    if (taken !== times * traffic.records) {
      throw new Error(`${taken} records came, not ${times * traffic.records}`)
    }
    return taken / 1000 / elapsed
  }

  const bySlots = async (times: number) => {
    const source: PumpSource = {
      startPump: (memory, count, bytes, bell) =>
        addon.slots(traffic.batches, times, memory, count, bytes, () => bell(null)),
      released: addon.released,
      pumping: () => !addon.ended(),
    }
    const ring = new SlotRing(source, (batch) =>
      decode(new Uint32Array(batch.buffer, batch.byteOffset, batch.byteLength >> 2)),
    )
    const error = await ring.ended
    addon.endSlots()
    if (error) throw error
  }
  const byExternal = (times: number) =>
    new Promise<void>((resolve) => {
      addon.external(traffic.batches, times, (batch) => (batch ? decode(new Uint32Array(batch)) : resolve()))
    })
  const byCalls = (times: number) =>
    new Promise<void>((resolve) => {
      addon.calls(traffic.batches, times, (record) => {
        if (!record) return resolve()
        const row = taken++ & (ROWS - 1)
        c0[row] = record.type
        c1[row] = record.processor
        c2[row] = record.sequence
        c3[row] = record.timestamp
        c4[row] = record.requestId
        c5[row] = record.processId
        c6[row] = record.threadId
        c7[row] = record.major
        c8[row] = record.first
        c9[row] = record.second
      })
    })

  const many = quick ? 20 : 60
  const [ours, ...yardsticks] = await interleave(quick ? 3 : 7, [
    { name: 'ours', run: () => rate(many, bySlots) },
    {
      name: 'external ArrayBuffers of 128 KiB',
      run: () => rate(many, byExternal),
    },
    { name: 'a JavaScript call per record', run: () => rate(1, byCalls) },
  ])
  return [
    {
      name: 'handover: slots in shared memory, ten fields read into columns',
      unit: 'M records/s',
      better: 'higher',
      ours: ours.value,
      yardsticks,
      target: '≥ 10x a call per record',
      met: ours.value >= 10 * yardsticks[1].value,
      note: 'every record came, by each of the three',
    },
  ]
}
