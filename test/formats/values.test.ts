// Quantities as text: units on everything, three digits, and nothing lost where exactness is asked for.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fromBase64, hexRow, hexText, parseHex, toBase64 } from '../../src/formats/hex.ts'
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatHex,
  formatRate,
  formatTime,
  formatTimestamp,
  parseTimestamp,
  ticksToNs,
} from '../../src/formats/values.ts'

test.each<[number, string]>([
  [0, '0 ns'],
  [840, '840 ns'],
  [999.4, '999 ns'],
  [999.6, '1.00 µs'],
  [1_250, '1.25 µs'],
  [12_500, '12.5 µs'],
  [125_400, '125 µs'],
  [9_996_000, '10.0 ms'],
  [999_600_000, '1.00 s'],
  [12_000_000_000, '12.0 s'],
  [99_600_000_000, '1 min 40 s'],
  [185_000_000_000, '3 min 05 s'],
  [7_384_000_000_000, '2 h 03 min'],
  [-1_250, '-1.25 µs'],
  [Number.NaN, ''],
])('%d ns is %s', (ns, text) => expect(formatDuration(ns)).toBe(text))

test.each<[number, string]>([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.00 KB'],
  [1_048_575, '1.00 MB'],
  [65_536, '64.0 KB'],
  [2 ** 31, '2.00 GB'],
  [2 ** 41, '2.00 TB'],
])('%d bytes are %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text))

test('counts, rates and hexadecimal', () => {
  expect([0, 999, 1000, 1234567].map(formatCount)).toEqual(['0', '999', '1,000', '1,234,567'])
  expect([12, 999.6, 12_500, 1_050_000].map(formatRate)).toEqual(['12/s', '1.00 k/s', '12.5 k/s', '1.05 M/s'])
  expect(formatHex(0x12007, 8)).toBe('0x00012007')
  expect(formatHex(0xffff8000deadbeefn, 16)).toBe('0xFFFF8000DEADBEEF')
})

test('ticks of whole nanoseconds are whole nanoseconds', () => {
  fc.assert(
    fc.property(fc.nat(2 ** 40), fc.constantFrom(1e6, 1e7, 1e8, 1e9), (ticks, ticksPerSecond) => {
      expect(BigInt(ticksToNs(ticks, ticksPerSecond))).toBe(
        (BigInt(ticks) * 10n ** 9n) / BigInt(ticksPerSecond),
      )
    }),
    { examples: [[77, 1e7]] },
  )
  expect(ticksToNs(3_579_545, 3_579_545)).toBe(1e9)
  expect(ticksToNs(24, 24e6)).toBe(1000)
})

describe('times', () => {
  const clock = {
    ticksPerSecond: 10_000_000,
    anchorTicks: 1_000,
    anchorUtcMs: Date.UTC(2026, 10, 22, 14, 3, 7) + 0.25,
  }

  test('to 100 ns, before and after the anchor', () => {
    expect(formatTimestamp(1_000, clock)).toBe('2026-11-22T14:03:07.0002500Z')
    expect(formatTimestamp(1_001, clock)).toBe('2026-11-22T14:03:07.0002501Z')
    expect(formatTimestamp(1_000 - 2_501, clock)).toBe('2026-11-22T14:03:06.9999999Z')
    expect(formatTime(1_001, clock)).toBe('14:03:07.0002501')
    expect(formatTime(1_001, clock, 150)).toBe('16:33:07.0002501')
  })

  test('what is printed can be read', () => {
    fc.assert(
      fc.property(fc.integer({ min: -(10 ** 12), max: 10 ** 15 }), (ticks) => {
        const read = parseTimestamp(formatTimestamp(ticks, clock), clock)
        expect(Math.abs((read ?? Number.NaN) - ticks)).toBeLessThan(1)
      }),
    )
    expect(parseTimestamp('2026-11-22 14:03', clock)).toBeCloseTo(1_000 - 70_002_500, 0)
    expect(parseTimestamp('yesterday', clock)).toBeUndefined()
    expect(parseTimestamp('2026-13-40T00:00:00', clock)).toBeUndefined()
  })
})

describe('bytes', () => {
  test('rows of hex and characters', () => {
    const bytes = Uint8Array.from({ length: 20 }, (_, i) => i + 0x3c)
    expect(hexRow(bytes, 0)).toEqual({
      offset: 0,
      hex: '3c 3d 3e 3f 40 41 42 43  44 45 46 47 48 49 4a 4b',
      ascii: '<=>?@ABCDEFGHIJK',
    })
    expect(hexRow(bytes, 16)).toEqual({ offset: 16, hex: '4c 4d 4e 4f', ascii: 'LMNO' })
    expect(hexRow(Uint8Array.of(0, 0x1f, 0x7f, 0xff), 0).ascii).toBe('....')
  })

  test('hexadecimal and base64 there and back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 20_000 }), (bytes) => {
        expect(fromBase64(toBase64(bytes))).toEqual(bytes)
        if (bytes.length > 0) expect(parseHex(hexText(bytes))).toEqual(bytes)
      }),
      { numRuns: 30 },
    )
    expect(parseHex('de:a:BE')).toEqual(Uint8Array.of(0xde, 0x0a, 0xbe))
    expect([parseHex('abc'), parseHex('xy'), parseHex(''), parseHex('de:ad:')]).toEqual([
      null,
      null,
      null,
      null,
    ])
  })
})
