// The addon's packets against those of the writer itself: the same bytes, and the same record left to the caller.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { loadBinding } from '../../addon/load.ts'
import type { CaptureInfo } from '../../src/formats/capture-info.ts'
import { PACKET_DRIVERS, PacketState, writePackets } from '../../src/formats/packets.ts'
import type { Ticks } from '../../src/protocol/ids.ts'
import { recordWords } from '../../src/protocol/records.ts'
import { captureFile } from '../support/capture-file.ts'
import { concat, end, hooked, loss, start } from '../support/records.ts'

const INFO: CaptureInfo = {
  abiVersion: 1,
  ticksPerSecond: 10_000_000,
  anchorTicks: 1000 as Ticks,
  anchorUtcMs: Date.UTC(2026, 10, 27),
  source: 'sim',
  os: 'none',
  application: 'test',
  series: 0,
  recordedOnly: '',
}

const native = loadBinding().store.writePackets

const record = fc
  .record({
    kind: fc.constantFrom('start' as const, 'end' as const, 'start' as const, 'loss' as const),
    driverId: fc.constantFrom(1, 1, 2, 3, PACKET_DRIVERS - 1, PACKET_DRIVERS, 0xffffffff),
    at: fc.oneof(fc.nat(1000), fc.nat(2 ** 31), fc.maxSafeNat()),
    payload: fc.uint8Array({ maxLength: 700 }),
  })
  .map(({ kind, ...fields }) => {
    if (kind === 'loss') return loss([1], [])
    return kind === 'start' ? start({ id: 7, ...fields }) : end({ id: 7, ...fields })
  })

const limits = fc.record({
  room: fc.nat(3000),
  used: fc.nat(20),
  fileBytes: fc.nat(5000),
  mostFileBytes: fc.oneof(fc.nat(9000), fc.constant(Number.POSITIVE_INFINITY)),
  endTicks: fc.oneof(fc.nat(2 ** 31), fc.constantFrom(Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY)),
  anchorTicks: fc.oneof(fc.nat(2000), fc.maxSafeNat()),
  ticksPerUnit: fc.constantFrom(1, 0.2387, 3.2),
  anchorHigh: fc.nat(0xffffffff),
  anchorLow: fc.nat(0xffffffff),
})

test('any records, with any room for them', () => {
  fc.assert(
    fc.property(fc.array(record, { maxLength: 30 }), limits, (records, { room, ...drawn }) => {
      const words = recordWords(concat(records))
      const results = [native, writePackets].map((write) => {
        const out = new Uint32Array(drawn.used + room)
        const state = new Float64Array(PacketState.width)
        for (const [name, value] of Object.entries(drawn))
          state[PacketState[name as keyof typeof drawn]] = value
        const interfaces = new Uint32Array(PACKET_DRIVERS)
        const received = new Float64Array(701)
        for (const [driverId, number] of [
          [1, 1],
          [3, 2],
          [PACKET_DRIVERS - 1, 700],
        ])
          interfaces[driverId] = number + 1
        return { at: write(words, 0, out, state, interfaces, received), out, state, received }
      })
      expect(results[0]).toEqual(results[1])
    }),
    { numRuns: 2000 },
  )
})

test('a series of files, their buffers small', () => {
  const sizes = fc.record({
    buffer: fc.integer({ min: 300, max: 4000 }),
    most: fc.integer({ min: 3000, max: 9000 }),
  })
  fc.assert(
    fc.property(
      fc.array(fc.array(record, { minLength: 1, maxLength: 12 }), { maxLength: 8 }),
      sizes,
      (drawn, { buffer, most }) => {
        const limit = { bytes: most, ticks: 2 ** 40 }
        const [ours, others] = [native, undefined].map((packets) => {
          const { writer, bytes } = captureFile(INFO, buffer, packets)
          const files: Uint8Array[] = []
          writer.begin(1)
          for (const batch of [hooked(1, '\\Driver\\AFD'), ...drawn.map(concat)]) {
            for (
              let at = writer.write(batch, 0, limit);
              at < batch.byteLength;
              at = writer.write(batch, at, limit)
            ) {
              writer.end()
              files.push(bytes())
              writer.begin(files.length + 1)
            }
          }
          writer.end()
          return { files: [...files, bytes()], records: writer.records }
        })
        expect(ours).toEqual(others)
      },
    ),
    { numRuns: 100 },
  )
})

test('what is no record, and arrays that do not fit, do no harm', () => {
  const state = () =>
    new Float64Array(PacketState.width).fill(1e9, PacketState.mostFileBytes, PacketState.mostFileBytes + 1)
  const interfaces = new Uint32Array(PACKET_DRIVERS).fill(1)
  const received = new Float64Array(1)
  const words = recordWords(start({ id: 1, driverId: 1 }))
  for (const size of [0, 4, 8, 31, 1 << 20, 0xfffffff8]) {
    const bad = words.slice()
    bad[0] = size
    expect(native(bad, 0, new Uint32Array(100), state(), interfaces, received)).toBe(0)
  }
  const used = state()
  for (used[PacketState.used] of [-1, 101, 1e300, Number.NaN])
    expect(native(words, 0, new Uint32Array(100), used, interfaces, received)).toBe(0)
  expect(native(words, words.length + 5, new Uint32Array(100), state(), interfaces, received)).toBe(
    words.length + 5,
  )
  expect(native(words, 0, new Uint32Array(100), state(), new Uint32Array(0), received)).toBe(0)
  // An interface that nobody counts.
  expect(native(words, 0, new Uint32Array(100), state(), interfaces, new Float64Array(0))).toBe(0)
  for (const action of [
    () => native(words, 0, new Uint32Array(9), new Float64Array(3), interfaces, received),
    () => native(words, '0' as never, new Uint32Array(9), state(), interfaces, received),
    () => (native as unknown as () => void)(),
  ])
    expect(action).toThrow(TypeError)
})
