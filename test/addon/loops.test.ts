// The addon's loops against the model's own: the same bits for any column, any rows of it, any question.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { loadBinding } from '../../addon/load.ts'
import { Combine, portableLoops } from '../../src/model/loops.ts'

const { loops } = loadBinding().store

/** A column of up to some hundred rows, and which of them are asked for; `bits` has a word too many on purpose. */
const rows = fc
  .record({ words: fc.nat(12), firstWord: fc.nat(12), tail: fc.nat(31) })
  .map(({ words, firstWord, tail }) => ({ first: 32 * firstWord, count: 32 * words + tail }))
const combine = fc.constantFrom(Combine.Set, Combine.And, Combine.Or)
const word = fc.nat(0xffffffff)

function bitsFor({ first, count }: { first: number; count: number }, words: readonly number[]): Uint32Array {
  return Uint32Array.from({ length: ((first + count + 31) >> 5) + 1 }, (_, i) => words[i % words.length])
}

const held = fc.array(fc.oneof(word, fc.constantFrom(0, 0xffffffff)), { minLength: 1, maxLength: 5 })

test('rows by the answers of their codes', () => {
  // Around 256 answers another way is taken; a code may be beyond them.
  const sizes = fc.oneof(fc.nat(20), fc.integer({ min: 250, max: 260 }), fc.nat(65536))
  fc.assert(
    fc.property(
      rows,
      combine,
      sizes,
      fc.nat(1000),
      fc.integer({ min: 1, max: 9 }),
      held,
      (asked, how, size, seed, every, words) => {
        const answers = Uint8Array.from({ length: size }, (_, code) =>
          (code * 7 + seed) % every === 0 ? 1 : 0,
        )
        const most = seed % 3 === 0 ? 65536 : size + 2
        const codes = Uint16Array.from(
          { length: asked.first + asked.count },
          (_, i) => ((i + seed) * 40503) % most,
        )
        const [native, own] = [bitsFor(asked, words), bitsFor(asked, words)]
        loops.codes(codes, asked.first, asked.count, answers, native, how)
        portableLoops.codes(codes, asked.first, asked.count, answers, own, how)
        expect(native).toEqual(own)
      },
    ),
    { numRuns: 500 },
  )
})

test.each([16, 32])('rows by ranges of %i-bit values', (width) => {
  const most = 2 ** width - 1
  // Ends that meet, extremes, and ranges that are empty or beyond the column.
  const value = fc.oneof(fc.nat(40), fc.integer({ min: most - 40, max: most }), fc.nat(most), word)
  const ranges = fc
    .array(fc.tuple(value, value), { maxLength: 4 })
    .map((pairs) => Uint32Array.from(pairs.flat()))
  fc.assert(
    fc.property(
      rows,
      combine,
      ranges,
      fc.array(fc.nat(most), { minLength: 1, maxLength: 70 }),
      held,
      (asked, how, pairs, some, words) => {
        const ends = [...pairs].filter((end) => end <= most)
        const values = [...some, ...ends]
        const cells = Array.from(
          { length: asked.first + asked.count },
          (_, i) => values[(i * 13) % values.length],
        )
        const column = width === 16 ? Uint16Array.from(cells) : Uint32Array.from(cells)
        const [native, own] = [bitsFor(asked, words), bitsFor(asked, words)]
        loops.ranges(column, asked.first, asked.count, pairs, native, how)
        portableLoops.ranges(column, asked.first, asked.count, pairs, own, how)
        expect(native).toEqual(own)
      },
    ),
    { numRuns: 500 },
  )
})

test('nothing outside of the arrays is touched: what does not fit is refused', () => {
  const column = new Uint16Array(100)
  const bits = new Uint32Array(4)
  const answers = Uint8Array.of(1)
  const scanned = (first: number, count: number, to = bits, how = 0) =>
    loops.codes(column, first, count, answers, to, how as never)
  scanned(0, 100)
  expect([...bits]).toEqual([0xffffffff, 0xffffffff, 0xffffffff, 0xf])
  for (const action of [
    () => scanned(0, 101),
    () => scanned(96, 5),
    () => scanned(128, 0),
    () => scanned(1, 10),
    () => scanned(0, 100, new Uint32Array(3)),
    () => scanned(0, 100, new Uint8Array(64) as never),
    () => scanned(0, 100, bits, 3),
    () => loops.codes(new Uint32Array(100) as never, 0, 10, answers, bits, 0),
    () => loops.codes([] as never, 0, 10, answers, bits, 0),
    () => loops.ranges(column, 0, 10, Uint32Array.of(1), bits, 0),
    () => loops.ranges(new Float64Array(10) as never, 0, 10, Uint32Array.of(1, 2), bits, 0),
    () => (loops.ranges as () => void)(),
  ])
    expect(action).toThrow(TypeError)
})

test('keys in order, with their rows; equal ones as they were', () => {
  const key = fc.oneof(fc.nat(3), fc.nat(3000), fc.constantFrom(0xffffffff, 0x80000000, 0x7ff), word)
  fc.assert(
    fc.property(fc.array(key, { maxLength: 300 }), fc.nat(0xffff), (drawn, from) => {
      const expected = drawn
        .map((each, i) => ({ key: each, row: (from + i) & 0xffff, i }))
        .sort((a, b) => a.key - b.key || a.i - b.i)
      for (const sort of [loops.sort, portableLoops.sort]) {
        const keys = Uint32Array.from(drawn)
        const rows = Uint16Array.from(drawn, (_, i) => from + i)
        sort(keys, rows)
        expect([...keys]).toEqual(expected.map((each) => each.key))
        expect([...rows]).toEqual(expected.map((each) => each.row))
      }
    }),
  )
  for (const action of [
    () => loops.sort(new Uint32Array(3), new Uint16Array(2)),
    () => loops.sort(new Uint32Array(32769), new Uint16Array(32769)),
    () => loops.sort(new Float64Array(2) as never, new Uint16Array(2)),
    () => (loops.sort as () => void)(),
  ])
    expect(action).toThrow(TypeError)
})
