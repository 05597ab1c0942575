// handover.ts: from a native thread to JavaScript, which reads ten fields of each record into columns: by the product's
// slots in shared memory, by an ArrayBuffer per batch, over native memory or copied, and by a call per record.

import { createHash } from 'node:crypto'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { RecordHeader, RecordType, RequestEnd, RequestStart } from '../../src/protocol/layout.ts'
import { type PumpSource, SlotRing } from '../../src/session/slot-ring.ts'
import { type Figure, interleave } from './figure.ts'
import { makeTraffic } from './traffic.ts'

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
  copied(batches: Uint8Array[], times: number, take: (batch: ArrayBuffer | null) => void): void
  calls(batches: Uint8Array[], times: number, take: (...fields: number[]) => void): void
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
      const isStart = (words[at + 1] & 0xff) === RecordType.RequestStart
      c0[row] = words[at + 1] & 0xff
      c1[row] = words[at + 1] >>> 16
      c2[row] = words[at + (RecordHeader.sequence >> 2)]
      c3[row] = words[at + (RecordHeader.timestamp >> 2)]
      c4[row] = words[at + (RequestStart.requestId >> 2)]
      c5[row] = words[at + (RequestStart.processId >> 2)]
      c6[row] = words[at + (RequestStart.threadId >> 2)]
      c7[row] = words[at + ((isStart ? RequestStart.major : RequestEnd.major) >> 2)] & 0xff
      c8[row] = words[at + ((isStart ? RequestStart.code : RequestEnd.status) >> 2)]
      c9[row] = words[at + ((isStart ? RequestStart.inputLength : RequestEnd.information) >> 2)]
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
  const byBuffers = (send: HandoverAddon['external']) => (times: number) =>
    new Promise<void>((resolve) => {
      send(traffic.batches, times, (batch) => (batch ? decode(new Uint32Array(batch)) : resolve()))
    })
  const byCalls = (times: number) =>
    new Promise<void>((resolve) => {
      addon.calls(traffic.batches, times, (...fields) => {
        if (fields.length === 0) return resolve()
        const row = taken++ & (ROWS - 1)
        ;[c0[row], c1[row], c2[row], c3[row], c4[row]] = fields
        ;[, , , , , c5[row], c6[row], c7[row], c8[row], c9[row]] = fields
      })
    })
  const ways = [bySlots, byBuffers(addon.external), byBuffers(addon.copied), byCalls]

  let answer = ''
  for (const way of ways) {
    for (const column of columns) column.fill(0)
    await rate(1, way)
    const hash = createHash('sha256')
    for (const column of columns) hash.update(column)
    const columnsNow = hash.digest('hex')
    answer ||= columnsNow
    if (columnsNow !== answer) throw new Error('the columns are not the same, each way')
  }

  const many = quick ? 20 : 60
  const [slots, external, copied, calls] = ways
  const [ours, ...yardsticks] = await interleave(quick ? 3 : 7, [
    { name: 'ours', run: () => rate(many, slots) },
    { name: 'a call per record, with ten numbers', run: () => rate(1, calls) },
    { name: 'a copied ArrayBuffer per 128 KiB', run: () => rate(many, copied) },
    { name: 'an external ArrayBuffer per 128 KiB', run: () => rate(many, external) },
  ])
  return [
    {
      name: 'handover: slots in shared memory, ten fields read into columns',
      unit: 'M records/s',
      better: 'higher',
      ours: ours.value,
      yardsticks,
      target: '≥ 10x a call per record',
      met: ours.value >= 10 * yardsticks[0].value,
      note: 'every record came, and the columns were the same, each way',
    },
  ]
}
