// quotas.test.ts: how much memory and disk, as people write it: what is understood, and what is said of the rest.

import { describe, expect, it } from 'vitest'
import {
  parseBudget,
  parseFilesKept,
  parseQuota,
  parseRotationSize,
  parseRotationTime,
  rotationOf,
} from '../../src/formats/quotas.ts'
import { formatBytes, parseSize } from '../../src/formats/values.ts'

describe('sizes', () => {
  it.each([
    ['64MB', 64 << 20],
    ['1.5 gb', 1.5 * 2 ** 30],
    ['0.5KB', 512],
    ['7b', 7],
  ])('%s', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes)
  })

  it.each(['', '12', 'MB', '-1MB', '1e3MB', '64 MBs', 'NaN KB', '5constructor'])('"%s" is none', (text) => {
    expect(parseSize(text)).toBeUndefined()
    expect(() => parseQuota(text, 0)).toThrow(/is no size; one is written with its unit/)
  })

  it('that were written for people read back', () => {
    for (const bytes of [8 << 20, 256 << 20, 6 * 2 ** 30]) expect(parseBudget(formatBytes(bytes))).toBe(bytes)
  })
})

describe('limits', () => {
  it.each([
    [() => parseBudget('1MB'), /too little; it should be 8.00 MB at least/],
    [() => parseQuota('9GB', 0, 2 ** 30), /too much; it can be 1.00 GB at most/],
    [() => parseRotationSize('1023KB'), /too little; it should be 1.00 MB at least/],
    [() => parseRotationTime('999ms'), /too short for a file; it should be 1.00 s at least/],
    [() => parseRotationTime('10m'), /is no duration/],
    [() => parseFilesKept('1'), /it should be 2 at least/],
    [() => parseFilesKept('0'), /it should be 2 at least/],
    [() => parseFilesKept('2.5'), /no number of files/],
    [() => rotationOf({ sizeBytes: 0, timeMs: 0, keep: 3 }), /say when a new one begins/],
  ])('%#', (parse, message) => {
    expect(parse).toThrow(message)
  })

  it('are taken as they are meant', () => {
    expect([parseRotationTime('10min'), parseRotationSize('1MB'), parseFilesKept('2')]).toEqual([
      600_000,
      1 << 20,
      2,
    ])
    expect(rotationOf({ sizeBytes: 0, timeMs: 0, keep: 0 })).toBeNull()
    expect(rotationOf({ sizeBytes: 0, timeMs: 1000, keep: 2 })).toEqual({
      sizeBytes: 0,
      timeMs: 1000,
      keep: 2,
    })
  })
})
