// What arrives from the driver is read word by word; what no driver would write must end in an error, never in a loop.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Ticks } from '../../src/protocol/ids.ts'
import { MAX_RECORD_SIZE, ProcessEvent, RecordType } from '../../src/protocol/layout.ts'
import {
  addLoss,
  decodeDriver,
  decodeProcess,
  encodeProcess,
  forEachRecord,
  lostRecords,
  noLosses,
  RecordError,
} from '../../src/protocol/records.ts'
import { concat, end, hooked, loss, start } from '../support/records.ts'

function typesIn(batch: Uint8Array): number[] {
  const types: number[] = []
  forEachRecord(batch, (_words, _at, type) => types.push(type))
  return types
}

describe('a stream of records', () => {
  test('is walked by size, whatever the types', () => {
    const unknown = start({ id: 1 })
    unknown[4] = 99
    const batch = concat([
      hooked(1, 'x'),
      start({ id: 1, payload: new Uint8Array(13) }),
      unknown,
      end({ id: 1 }),
    ])
    expect(typesIn(batch)).toEqual([
      RecordType.DriverHooked,
      RecordType.RequestStart,
      99,
      RecordType.RequestEnd,
    ])
  })

  test('may lie at any address, and in shared memory', () => {
    const record = hooked(7, '\\Driver\\é𝄞')
    for (const shift of [0, 1, 3, 4, 8]) {
      const shared = new Uint8Array(new SharedArrayBuffer(record.length + shift)).subarray(shift)
      shared.set(record)
      forEachRecord(shared, (words, at) => {
        expect(decodeDriver(words, at)).toMatchObject({
          driverId: 7,
          name: '\\Driver\\é𝄞',
          functions: 0x0fffffff,
        })
      })
    }
  })

  test.each([
    ['size 0', 0],
    ['a size that is no multiple of 8', 116],
    ['less than its type needs', 104],
    ['more than there is', 120],
    ['more than any record', MAX_RECORD_SIZE + 8],
    ['a size close to 2^32', 0xfffffff8],
  ])('is refused for %s, with the place', (_what, size) => {
    const bad = start({ id: 2 })
    new DataView(bad.buffer).setUint32(0, size, true)
    const good = end({ id: 1 })
    expect(() => typesIn(concat([good, bad]))).toThrow(RecordError)
    try {
      typesIn(concat([good, bad]))
    } catch (error) {
      expect((error as RecordError).offset).toBe(good.length)
    }
  })

  test('is refused for a payload longer than its record', () => {
    const bad = start({ id: 2, payload: new Uint8Array(16) })
    new DataView(bad.buffer).setUint32(92, 17, true)
    expect(() => typesIn(bad)).toThrow(/payload of 17 bytes/)
  })

  test('either is read to its end or refused: random bytes never hang or read outside', () => {
    const batch = concat([
      hooked(1, 'name'),
      start({ id: 1, payload: new Uint8Array(9) }),
      loss([1], [2]),
      end({ id: 1 }),
    ])
    const damage = fc.array(fc.tuple(fc.nat(batch.length - 1), fc.integer({ min: 0, max: 255 })), {
      maxLength: 6,
    })
    fc.assert(
      fc.property(damage, fc.nat(batch.length), (changes, cut) => {
        const bytes = batch.slice(0, cut)
        for (const [at, value] of changes) if (at < cut) bytes[at] = value
        let walked = 0
        try {
          forEachRecord(bytes, (words, at, type) => {
            walked++
            if (type === RecordType.DriverHooked) decodeDriver(words, at)
            if (type === RecordType.Process) decodeProcess(words, at)
            if (type === RecordType.Loss) addLoss(noLosses(), words, at)
          })
        } catch (error) {
          expect(error).toBeInstanceOf(RecordError)
        }
        expect(walked).toBeLessThanOrEqual(bytes.length / 24)
      }),
      { numRuns: 2000 },
    )
  })
})

test('a process record survives being written and read', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), fc.nat(), (name, processId) => {
      const notice = {
        at: 12345678901234 as Ticks,
        processId,
        parentProcessId: 4,
        event: ProcessEvent.Snapshot,
        name,
      }
      const seen: unknown[] = []
      forEachRecord(encodeProcess(notice), (words, at) => seen.push(decodeProcess(words, at)))
      expect(seen).toEqual([notice])
    }),
  )
})

test('losses add up, and only some of them are missing records', () => {
  const losses = noLosses()
  forEachRecord(
    concat([loss([1, 2, 4, 8, 16], [1, 0, 0, 0, 0], 3), loss([1, 0, 0, 0, 0], [5, 7, 0, 0, 0], 4)]),
    (words, at) => addLoss(losses, words, at),
  )
  expect(losses).toEqual({ starts: [2, 2, 4, 8, 16], ends: [6, 7, 0, 0, 0], others: 7 })
  expect(lostRecords(losses)).toBe(2 + 2 + 6 + 7 + 7)
})
