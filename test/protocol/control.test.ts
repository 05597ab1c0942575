// Control messages: bytes as driver/protocol/control.h lays them out, written here by hand, not by the code under test.

import { describe, expect, test } from 'vitest'
import { DEFAULT_PREDICATES } from '../../src/protocol/capture-settings.ts'
import {
  ControlError,
  decodeAddDriver,
  decodeCounters,
  decodeHello,
  decodeInFlight,
  decodeList,
  decodeRemoveDriver,
  encodeAddDriver,
  encodeHello,
  encodePredicates,
  encodeRemoveDriver,
  encodeStart,
  helloRefusal,
} from '../../src/protocol/control.ts'
import type { DriverId, FunctionIndex } from '../../src/protocol/ids.ts'
import { ABI_VERSION, LAYOUT_HASH } from '../../src/protocol/layout.ts'

function bytes(size: number, fill: (view: DataView) => void): Uint8Array {
  const view = new DataView(new ArrayBuffer(size))
  fill(view)
  return new Uint8Array(view.buffer)
}

const helloReply = bytes(56, (view) => {
  view.setUint32(0, 1, true)
  view.setUint32(4, 77, true)
  view.setUint32(8, 1, true)
  view.setUint32(12, (2 << 16) | (3 << 8) | 4, true)
  view.setUint32(16, 1, true)
  view.setUint32(20, 8, true)
  view.setUint32(24, 64, true)
  view.setBigUint64(32, 10_000_000n, true)
  view.setBigUint64(40, 123_456_789_012n, true)
  // 2024-01-01T00:00:00.1234567Z
  view.setBigUint64(48, 133_485_408_001_234_567n, true)
})

describe('requests', () => {
  test('Hello says which ABI this is', () => {
    const view = new DataView(encodeHello().buffer)
    expect([view.byteLength, view.getUint32(0, true), view.getUint32(4, true)]).toEqual([
      8,
      ABI_VERSION,
      LAYOUT_HASH,
    ])
  })

  test('Start', () => {
    const view = new DataView(
      encodeStart({ ringBytes: 1 << 20, inputSnapLength: 256, outputSnapLength: 64 }).buffer,
    )
    expect([0, 4, 8, 12].map((at) => view.getUint32(at, true))).toEqual([1 << 20, 256, 64, 0])
  })

  test('AddDriver carries the name in UTF-16', () => {
    const message = encodeAddDriver('\\A')
    expect([...message]).toEqual([0, 0, 0, 0, 4, 0, 0, 0, 0x5c, 0, 0x41, 0])
    expect(() => encodeAddDriver('')).toThrow(RangeError)
    expect(() => encodeAddDriver('x'.repeat(513))).toThrow(RangeError)
  })

  test('Predicates: default ones are all zero but for the sampling of each', () => {
    const message = encodePredicates(DEFAULT_PREDICATES, 1e7)
    expect(message.byteLength).toBe(816)
    expect([...message.entries()].filter(([, byte]) => byte !== 0)).toEqual([[4, 1]])
  })

  test('Predicates', () => {
    const view = new DataView(
      encodePredicates(
        {
          drivers: { mode: 'allBut', values: ['\\Driver\\disk'] },
          functions: { mode: 'only', values: [3, 48] as FunctionIndex[] },
          processes: { mode: 'allBut', values: [4, 0xfffffffc] },
          codes: { mode: 'only', values: [0x12017] },
          errorsOnly: true,
          minimumLatencyNs: 1_000_050,
          sampleEvery: 10,
          ownProcesses: true,
        },
        1e7,
        [7 as DriverId],
      ).buffer,
    )
    const words = (...at: number[]) => at.map((each) => view.getUint32(each, true))
    expect(words(0, 4, 24, 28, 48)).toEqual([3, 10, 2, 1, 7])
    // Rounded up: a request of 10,000 ticks takes less than 1,000,050 ns.
    expect(view.getBigUint64(8, true)).toBe(10_001n)
    expect(view.getBigUint64(16, true)).toBe((1n << 48n) - 1n - 8n)
    expect(words(32, 36, 40, 44)).toEqual([2, 2, 1, 1])
    expect(words(304, 308, 312)).toEqual([4, 0xfffffffc, 0])
    expect(words(560, 564)).toEqual([0x12017, 0])
  })

  test('Predicates that leave functions out', () => {
    const functions = { mode: 'allBut', values: [0, 28] as FunctionIndex[] } as const
    const message = encodePredicates({ ...DEFAULT_PREDICATES, functions }, 1e7)
    expect(new DataView(message.buffer).getBigUint64(16, true)).toBe(1n | (1n << 28n))
    const codes = { mode: 'only', values: Array.from({ length: 65 }, (_, i) => i) } as const
    expect(() => encodePredicates({ ...DEFAULT_PREDICATES, codes }, 1e7)).toThrow(RangeError)
  })

  test('RemoveDriver', () => {
    expect([...encodeRemoveDriver(258 as DriverId)]).toEqual([2, 1, 0, 0, 0, 0, 0, 0])
  })
})

describe('replies', () => {
  test('Hello', () => {
    expect(decodeHello(helloReply)).toEqual({
      abiVersion: 1,
      layoutHash: 77,
      accepted: true,
      driverVersion: '2.3.4',
      kernel: 1,
      processors: 8,
      maxDrivers: 64,
      ticksPerSecond: 10_000_000,
      anchorTicks: 123_456_789_012,
      anchorUtcMs: expect.closeTo(Date.UTC(2024, 0, 1) + 123.4567, 3),
    })
  })

  test('a refused Hello says who is older', () => {
    const hello = decodeHello(helloReply)
    expect(helloRefusal({ ...hello, abiVersion: ABI_VERSION + 1 })).toMatch(/this program is older/)
    expect(helloRefusal({ ...hello, abiVersion: 0 })).toMatch(/the driver is older/)
    expect(helloRefusal({ ...hello, abiVersion: ABI_VERSION })).toMatch(/other headers/)
  })

  test('AddDriver and RemoveDriver', () => {
    const added = bytes(24, (view) => {
      view.setUint32(0, 5, true)
      view.setUint32(4, 0x0fffffff, true)
      view.setUint32(8, 0x200, true)
      view.setBigUint64(16, 0xffff8000_12345678n, true)
    })
    expect(decodeAddDriver(added)).toEqual({
      driverId: 5,
      functions: 0x0fffffff,
      fastIo: 0x200,
      driverObject: 0xffff8000_12345678n,
    })
    const removed = bytes(12, (view) => {
      view.setUint32(0, 0x4000, true)
      view.setUint32(4, 1, true)
    })
    expect(decodeRemoveDriver(removed)).toEqual({
      chainedFunctions: 0x4000,
      chainedFastIo: true,
      chainedUnload: false,
    })
    const unloadOnly = bytes(12, (view) => view.setUint32(8, 1, true))
    expect(decodeRemoveDriver(unloadOnly)).toEqual({
      chainedFunctions: 0,
      chainedFastIo: false,
      chainedUnload: true,
    })
  })

  test('GetCounters', () => {
    const reply = bytes(256 + 424, (view) => {
      for (const [index, at] of [0, 8, 16, 24, 32].entries()) view.setBigUint64(at, BigInt(index + 1), true)
      view.setBigUint64(40, 11n, true) // starts, ring full
      view.setBigUint64(72, 12n, true) // starts, completion quota
      view.setBigUint64(80, 13n, true) // ends, ring full
      view.setBigUint64(120, 14n, true)
      view.setBigUint64(128, 15n, true)
      view.setBigUint64(136, 16n, true)
      view.setBigUint64(144, 17n, true)
      view.setUint32(152, 1, true)
      view.setUint32(156, 9, true)
      for (const [index, at] of [160, 168, 176, 192, 224, 232, 240, 248].entries())
        view.setBigUint64(at, BigInt(index + 21), true)
      view.setUint32(256, 3, true)
      view.setUint32(260, 37, true)
      for (let i = 0; i < 12; i++) view.setBigUint64(264 + 8 * i, BigInt(100 + i), true)
      view.setBigUint64(256 + 104 + 8 * 39, 2n ** 52n, true)
    })
    const counters = decodeCounters(reply)
    expect(counters).toMatchObject({ at: 1, epoch: 2, offered: 3, written: 4, bytesWritten: 5 })
    expect(counters.drops).toEqual({ starts: [11, 0, 0, 0, 12], ends: [13, 0, 0, 0, 0], others: 14 })
    expect(counters).toMatchObject({ outstanding: 15, ringUsed: 16, ringSize: 17, functionsTotal: 9 })
    expect(counters).toMatchObject({ filteredStarts: 21, sampledOut: 22 })
    expect(counters.dropsFellThrough).toEqual([0, 24, 0, 0, 0]) // too large
    expect(counters).toMatchObject({
      filteredFellThrough: 25,
      sampledOutFellThrough: 26,
      payloadsBeyondReach: 27,
      staleCompletions: 28,
    })
    expect(counters.functions).toHaveLength(1)
    expect(counters.functions[0]).toMatchObject({
      driverId: 3,
      function: 37,
      arrivals: 100,
      completions: 101,
      unseen: 102,
      success: 103,
      warnings: 104,
      errors: 105,
      cancelled: 106,
      pended: 107,
      fellThrough: 108,
      bytesIn: 109,
      bytesOut: 110,
      drops: 111,
    })
    expect(counters.functions[0].latency[39]).toBe(2 ** 52)
  })

  test('GetInFlight', () => {
    const reply = bytes(16 + 48, (view) => {
      view.setBigUint64(0, 900n, true)
      view.setUint32(8, 1, true)
      view.setUint32(12, 7, true)
      for (const [index, at] of [0, 8, 16].entries()) view.setBigUint64(16 + at, BigInt(index + 1), true)
      for (const [index, at] of [24, 28, 32, 36].entries()) view.setUint32(16 + at, index + 11, true)
      for (const [index, at] of [40, 41, 42, 43].entries()) view.setUint8(16 + at, index + 1)
    })
    expect(decodeInFlight(reply)).toEqual({
      at: 900,
      total: 7,
      requests: [
        {
          requestId: 1,
          arrival: 2,
          driverId: 11,
          processId: 12,
          threadId: 13,
          code: 14,
          function: 29,
          minor: 2,
          held: true,
        },
      ],
    })
    expect(() => decodeInFlight(reply.subarray(0, 60))).toThrow(ControlError)
  })

  test('List', () => {
    const reply = bytes(8 + 1056, (view) => {
      view.setUint32(0, 1, true)
      view.setUint32(4, 1, true)
      view.setUint32(8, 4, true)
      view.setUint32(12, 2, true)
      view.setUint32(8 + 28, 4, true)
      view.setUint16(8 + 32, 0x41, true)
      view.setUint16(8 + 34, 0x42, true)
    })
    expect(decodeList(reply)).toMatchObject([{ driverId: 4, state: 2, name: 'AB' }])
  })

  test('that are too short are refused', () => {
    const promised = bytes(192, (view) => view.setUint32(152, 1, true))
    expect(() => decodeCounters(promised)).toThrow(ControlError)
    expect(() => decodeHello(new Uint8Array(55))).toThrow(ControlError)
    expect(() => decodeAddDriver(new Uint8Array(0))).toThrow(ControlError)
    expect(() => decodeList(bytes(8, (view) => view.setUint32(0, 1, true)))).toThrow(ControlError)
  })
})
