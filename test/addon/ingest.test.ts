// The addon's ingest against the store's own: the same bytes leave the same memory, bit for bit, and the same errors.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { loadBinding } from '../../addon/load.ts'
import { PcapngReader } from '../../src/formats/pcapng-reader.ts'
import { Capture } from '../../src/model/capture.ts'
import { CHUNK_ROWS } from '../../src/model/chunk.ts'
import type { RowId, Ticks } from '../../src/protocol/ids.ts'
import {
  MAX_RECORD_SIZE,
  ProcessEvent,
  RecordHeader,
  RecordType,
  RequestEnd,
  RequestFlags,
  RequestStart,
} from '../../src/protocol/layout.ts'
import { checkRecord, encodeProcess, RecordError, recordWords } from '../../src/protocol/records.ts'
import { batches, countRowsFrom, traffic } from '../support/captures.ts'
import {
  concat,
  copies,
  end,
  endsAt,
  hooked,
  loss,
  numbers,
  setWide,
  start,
  startsAt,
} from '../support/records.ts'

const { ingest, loops } = loadBinding().store

/** A capture without the addon, one with it, and how many records the addon took in. */
class Pair {
  readonly plain: Capture
  readonly native: Capture
  taken = 0

  constructor(budgetBytes = 1 << 30) {
    const options = { budgetBytes, ticksPerSecond: 10_000_000, anchorTicks: 0 as Ticks, anchorUtcMs: 0 }
    this.plain = new Capture(options)
    this.native = new Capture({
      ...options,
      native: {
        loops,
        ingest: (records, at, captureParts, chunkParts) => {
          const next = ingest(records, at, captureParts, chunkParts)
          for (let from = at; from < next; this.taken++) from += checkRecord(records, from, records.length)
          return next
        },
      },
    })
  }

  each(action: (capture: Capture) => void): void {
    for (const capture of [this.plain, this.native]) action(capture)
  }

  ingest(batch: Uint8Array): void {
    const errors: unknown[] = []
    this.each((capture) => {
      try {
        capture.ingest(batch)
      } catch (error) {
        errors.push(error)
      }
    })
    if (errors.length > 0) expect(errors[1]).toEqual(errors[0])
    for (const error of errors) expect(error).toBeInstanceOf(RecordError)
    this.expectEqual()
  }

  expectEqual(): void {
    const { plain, native } = this
    expect(native.chunks.length).toBe(plain.chunks.length)
    expect(native.storeBytes).toBe(plain.storeBytes)
    expectParts(native.memory.parts, plain.memory.parts, 'capture')
    for (const [i, chunk] of plain.chunks.entries())
      expectParts(native.chunks[i].memory.parts, chunk.memory.parts, `chunk ${i}`)
  }

  /** What is beside the shared memory. */
  expectSameRows(): void {
    const { plain, native } = this
    this.expectEqual()
    expect(native.stats()).toEqual(plain.stats())
    expect(native.unpaired).toBe(plain.unpaired)
    expect(native.losses).toEqual(plain.losses)
    expect(native.processNames).toEqual(plain.processNames)
    expect(native.details).toEqual(plain.details)
    for (
      let row = plain.firstRow;
      row < plain.endRow;
      row = (row + 1 + ((row - plain.firstRow) >> 9)) as RowId
    )
      expect(native.detail(row)).toEqual(plain.detail(row))
  }
}

function expectParts(actual: readonly Uint32Array[], wanted: readonly Uint32Array[], whose: string): void {
  expect(actual.length).toBe(wanted.length)
  for (const [part, words] of wanted.entries()) {
    if (Buffer.compare(bytesOf(words), bytesOf(actual[part])) === 0) continue
    const word = words.findIndex((value, at) => value !== actual[part][at])
    expect.fail(`${whose}, part ${part}, word ${word}: ${actual[part][word]} instead of ${words[word]}`)
  }
}

function bytesOf(words: Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength)
}

/** Requests of a few processes, with the extras that are still ordinary: payload, offsets, and ends from elsewhere. */
function ordinary(ids: readonly number[], salt = 0): { starts: Uint8Array; ends: Uint8Array } {
  const payload = new Uint8Array(24).fill(salt + 1)
  const starts = copies(start({ id: 0, payload, offset: 4096n }), ids, (view, at, id) => {
    setWide(view, at + RecordHeader.timestamp, 10 * id)
    view.setUint32(at + RequestStart.processId, 4 * (id % 7), true)
    view.setUint32(at + RequestStart.threadId, id % 50, true)
    setWide(view, at + RequestStart.fileObject, 0x1000 * (id % 900))
    view.setUint32(at + RequestStart.inputLength, id % 5 === 0 ? 0x10000 * (id % 11) : id % 3000, true)
  })
  const ends = copies(end({ id: 0, payload: payload.subarray(0, 8) }), ids, (view, at, id) => {
    setWide(view, at + RecordHeader.timestamp, 10 * id + (id % 1000) ** 2)
    setWide(view, at + RequestEnd.arrivalTimestamp, 10 * id)
    setWide(view, at + RequestEnd.information, id % 9 === 0 ? 2 ** 40 + (id % 13) : id % 4000)
    view.setUint32(at + RequestEnd.status, id % 17 === 0 ? 0xc0000005 : id % 19 === 0 ? 0xc0000120 : 0, true)
    view.setUint32(at + RequestEnd.flags, id % 3 === 0 ? RequestFlags.Pended : 0, true)
  })
  return { starts, ends }
}

/** Flags that requests have now and then, and what they stand for. */
const rarities = fc.array(
  fc.constantFrom(0, 0, 0, RequestFlags.FellThrough, RequestFlags.Uncaptured, RequestFlags.PayloadIsName),
  { minLength: 1, maxLength: 20 },
)

function addRarity(record: Uint8Array, flag: number): void {
  const view = new DataView(record.buffer)
  const isStart = view.getUint8(RecordHeader.type) === RecordType.RequestStart
  const at = isStart ? RequestStart.flags : RequestEnd.flags
  view.setUint32(at, view.getUint32(at, true) | flag, true)
  if (isStart && flag === RequestFlags.FellThrough) view.setUint32(RequestStart.continues, 1000, true)
}

describe('the same memory', () => {
  test('any order, any loss, any value, any cut', () => {
    let taken = 0
    fc.assert(
      fc.property(traffic, rarities, ({ records, cuts }, rare) => {
        for (const [i, record] of records.entries()) addRarity(record, rare[i % rare.length])
        const pair = new Pair()
        for (const batch of batches(records, cuts)) pair.ingest(concat(batch))
        // The tables have grown and the processes are known: much of what stopped it before does not now.
        for (let again = 0; again < 3; again++) pair.ingest(concat(records))
        pair.expectSameRows()
        taken += pair.taken
      }),
      { numRuns: 200 },
    )
    expect(taken).toBeGreaterThan(500)
  })

  test('over many chunks, with ends that come late, never, and first', () => {
    const pair = new Pair()
    const rows = 5 * CHUNK_ROWS
    const late: number[] = []
    for (let first = 0; first < rows; first += 4096) {
      const ids = numbers(first, 4096)
      const { starts, ends } = ordinary(ids.filter((id) => id % 50 !== 0))
      const overtaking = ordinary(ids.filter((id) => id % 50 === 0))
      pair.ingest(concat([starts, overtaking.ends, overtaking.starts]))
      pair.ingest(ends.subarray(0, ends.length >> 1))
      late.push(...ids.filter((id) => id % 50 === 1))
    }
    pair.ingest(ordinary(late).ends)
    pair.ingest(ordinary(late, 1).starts)
    pair.expectSameRows()
    expect(pair.taken).toBeGreaterThan(rows)
  })

  test('while the oldest rows leave, with their ends outstanding, and after clear', () => {
    const pair = new Pair(8 << 20)
    const rows = 12 * CHUNK_ROWS
    for (let first = 0; first < rows; first += 4096) {
      const ids = numbers(first, 4096)
      const { starts, ends } = ordinary(ids)
      pair.ingest(starts)
      if (first % 8192 === 0) pair.ingest(ends)
      if (first > 4 * CHUNK_ROWS) pair.ingest(ordinary(numbers(first - 4 * CHUNK_ROWS, 500)).ends)
      if (first === 8 * CHUNK_ROWS) pair.each((capture) => capture.clear())
    }
    expect(pair.plain.evictedRows).toBeGreaterThan(CHUNK_ROWS)
    pair.each((capture) => capture.finish())
    expect(pair.plain.unpaired).toBeGreaterThan(pair.plain.inFlight + pair.plain.unpairedEnds)
    pair.expectSameRows()
    expect(pair.taken).toBeGreaterThan(rows / 2)
  })

  test('with chunks that are closed early, as their payload makes them heavy', () => {
    const pair = new Pair(24 << 20)
    for (let first = 0; first < 40_000; first += 1000) {
      const ids = numbers(first, 1000)
      pair.ingest(startsAt(ids, { payload: new Uint8Array(first % 3000 === 0 ? 5000 : 100).fill(first) }))
      pair.ingest(endsAt(ids.filter((id) => id % 10 !== 0)))
      pair.ingest(endsAt(numbers(first - 5000, 1000).filter((id) => id % 10 === 0)))
    }
    const { plain } = pair
    expect(plain.evictedRows).toBeGreaterThan(1000)
    expect(plain.chunks.map((chunk) => chunk.rows < CHUNK_ROWS)).toContain(true)
    pair.expectSameRows()
    expect(pair.taken).toBeGreaterThan(40_000)
  })

  test('after more rows than 32 bits can count', () => {
    const pair = new Pair()
    const before = 2 ** 33 + 5 * CHUNK_ROWS
    pair.each((capture) => countRowsFrom(capture, before))
    const { starts, ends } = ordinary(numbers(0, 2 * CHUNK_ROWS))
    pair.ingest(starts)
    pair.ingest(ends)
    pair.expectSameRows()
    expect([pair.plain.firstRow, pair.plain.rowCount, pair.plain.inFlight]).toEqual([
      before,
      2 * CHUNK_ROWS,
      0,
    ])
    expect(pair.plain.detail((before + CHUNK_ROWS + 7) as RowId)?.requestId).toBe(CHUNK_ROWS + 7)
    expect(pair.taken).toBeGreaterThan(3 * CHUNK_ROWS)
  })

  test('lost starts in masses, more than the table keeps', () => {
    const pair = new Pair()
    for (let first = 0; first < 100_000; first += 10_000) pair.ingest(endsAt(numbers(first, 10_000)))
    pair.ingest(startsAt(numbers(95_000, 4000), { pid: 4 }))
    pair.ingest(startsAt(numbers(0, 4000), { pid: 4 }))
    pair.expectSameRows()
    expect(pair.taken).toBeGreaterThan(90_000)
  })

  test('with names and drivers learned in between', () => {
    const pair = new Pair()
    const known = [{ processId: 4, parentProcessId: 0, name: 'System' }]
    pair.ingest(
      concat([
        hooked(1, '\\Driver\\AFD'),
        start({ id: 1, pid: 4, at: 10 }),
        start({ id: 2, pid: 8, at: 11 }),
      ]),
    )
    pair.each((capture) => capture.learnProcesses(known, 12 as Ticks))
    pair.ingest(concat([startsAt(numbers(20, 100), { pid: 4 }), loss([1], [2]), endsAt(numbers(20, 100))]))
    pair.ingest(startsAt(numbers(200, 100), { pid: 8 }))
    pair.expectSameRows()
    expect(pair.taken).toBeGreaterThan(150)
  })

  test('with processes that come and go, and tell their names or do not', () => {
    let taken = 0
    const notice = fc.record({
      at: fc.nat(1000).map((at) => at as Ticks),
      processId: fc.constantFrom(4, 8, 12),
      parentProcessId: fc.constant(4),
      event: fc.constantFrom(...Object.values(ProcessEvent)),
      name: fc.constantFrom('', 'a.exe', 'b.exe'),
    })
    const { starts, ends } = ordinary(numbers(0, 100))
    fc.assert(
      fc.property(fc.array(notice, { minLength: 5 }), (notices) => {
        const pair = new Pair()
        for (const each of notices) {
          pair.ingest(concat([encodeProcess(each), starts, ends]))
          expect(pair.native.unknownProcesses()).toEqual(pair.plain.unknownProcesses())
        }
        pair.expectSameRows()
        taken += pair.taken
      }),
      { numRuns: 50 },
    )
    expect(taken).toBeGreaterThan(50_000)
  })

  test.each(['afd-sim.pcapng', 'wine.pcapng'])('a capture from life: %s', (name) => {
    const reader = new PcapngReader()
    const records = reader.push(readFileSync(join(import.meta.dirname, '../golden', name))).slice()
    const pair = new Pair()
    pair.ingest(records)
    pair.expectSameRows()
    expect(pair.taken).toBeGreaterThan(30)
  })
})

describe('hostile bytes', () => {
  const spoil = fc.array(fc.tuple(fc.nat(), fc.nat(0xff)), { maxLength: 8 })

  test('spoiled records leave the same memory and the same error', () => {
    fc.assert(
      fc.property(traffic, spoil, fc.nat(), ({ records }, spoils, cut) => {
        const good = concat(records)
        const bad = good.slice(0, good.length - (cut % 200))
        for (const [at, value] of spoils) if (bad.length > 0) bad[at % bad.length] = value
        const pair = new Pair()
        pair.ingest(good)
        pair.ingest(bad)
        pair.expectSameRows()
      }),
      { numRuns: 300 },
    )
  })

  test.each([
    ['too short for its type', 104],
    ['longer than the batch', 120],
    ['no multiple of eight', 115],
    ['longer than any', MAX_RECORD_SIZE + 8],
  ])('a record that is %s', (_, size) => {
    const pair = new Pair()
    const words = recordWords(start({ id: 1, at: 5 }))
    pair.ingest(concat([start({ id: 2, at: 5 }), start({ id: 3, at: 6 })]))
    words[0] = size
    expect(() => pair.native.ingest(new Uint8Array(words.buffer))).toThrow(RecordError)
  })

  test('what is no store is not touched', () => {
    const records = recordWords(concat([start({ id: 1 }), end({ id: 1 })]))
    const some = [new Uint32Array(4), new Uint32Array(5)]
    expect(ingest(records, 0, [], [])).toBe(0)
    expect(ingest(records, 0, some, [some, []])).toBe(0)
    expect(ingest(records, 1000, some, [some])).toBe(1000)
    expect(() => ingest(records, 0, some, null as never)).toThrow(TypeError)
  })
})
