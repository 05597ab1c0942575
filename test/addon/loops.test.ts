// The addon's loops against the model's own: the same bits for any column, any rows of it, any question.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { loadBinding } from '../../addon/load.ts'
import { type Cells, Combine, MOST_SCANS, portableLoops, type Wanted } from '../../src/model/loops.ts'

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

// Around 256 answers another way is taken; a code may be beyond them.
const sizes = fc.oneof(fc.nat(20), fc.integer({ min: 250, max: 260 }), fc.nat(65536))
const seed = fc.nat(1000)

/** A column of so many rows, and what to look for in it. */
type Question = (rows: number) => { cells: Cells; wanted: Wanted }

const codes = fc.tuple(sizes, seed, fc.integer({ min: 1, max: 9 })).map(
  ([size, from, every]): Question =>
    (count) => ({
      wanted: Uint8Array.from({ length: size }, (_, code) => ((code * 7 + from) % every === 0 ? 1 : 0)),
      cells: Uint16Array.from(
        { length: count },
        (_, i) => ((i + from) * 40503) % (from % 3 === 0 ? 65536 : size + 2),
      ),
    }),
)

function ranges(width: 16 | 32): fc.Arbitrary<Question> {
  const most = 2 ** width - 1
  // Ends that meet, extremes, and ranges that are empty or beyond the column.
  const value = fc.oneof(fc.nat(40), fc.integer({ min: most - 40, max: most }), fc.nat(most), word)
  const pairs = fc
    .array(fc.tuple(value, value), { maxLength: 4 })
    .map((drawn) => Uint32Array.from(drawn.flat()))
  return fc
    .tuple(pairs, fc.array(fc.nat(most), { minLength: 1, maxLength: 70 }))
    .map(([wanted, some]) => (count) => {
      const values = [...some, ...wanted].filter((each) => each <= most)
      const cells = Array.from({ length: count }, (_, i) => values[(i * 13) % values.length])
      return { wanted, cells: width === 16 ? Uint16Array.from(cells) : Uint32Array.from(cells) }
    })
}

const questions = { codes, 'ranges of 16 bits': ranges(16), 'ranges of 32 bits': ranges(32) }

test.each([
  ...Object.entries(questions),
  ['several at once', fc.oneof(...Object.values(questions))] as const,
])('rows by %s', (what, question) => {
  const most = what === 'several at once' ? MOST_SCANS : 1
  fc.assert(
    fc.property(
      rows,
      combine,
      fc.array(question, { minLength: 1, maxLength: most }),
      held,
      (asked, how, drawn, words) => {
        const all = drawn.map((each) => each(asked.first + asked.count))
        const results = [loops, portableLoops].map((each) => {
          const bits = bitsFor(asked, words)
          each.scan(
            all.map(({ cells }) => cells),
            all.map(({ wanted }) => wanted),
            asked.first,
            asked.count,
            bits,
            how,
          )
          return bits
        })
        expect(results[0]).toEqual(results[1])
      },
    ),
    { numRuns: 300 },
  )
})

test('nothing outside of the arrays is touched: what does not fit is refused', () => {
  const column = new Uint16Array(100)
  const bits = new Uint32Array(4)
  const answers = Uint8Array.of(1)
  const scanned = (first: number, count: number, to = bits, how = 0) =>
    loops.scan([column], [answers], first, count, to, how as never)
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
    () => loops.scan([new Uint32Array(100)], [answers], 0, 10, bits, 0),
    () => loops.scan([[] as never], [answers], 0, 10, bits, 0),
    () => loops.scan([column], [Uint32Array.of(1)], 0, 10, bits, 0),
    () => loops.scan([new Float64Array(10) as never], [Uint32Array.of(1, 2)], 0, 10, bits, 0),
    () => loops.scan([column, new Uint16Array(99)], [answers, answers], 0, 100, bits, 0),
    () => loops.scan([column], [], 0, 10, bits, 0),
    () => loops.scan([], [], 0, 10, bits, 0),
    () => loops.scan(Array(9).fill(column), Array(9).fill(answers), 0, 10, bits, 0),
    () => loops.scan(column as never, answers as never, 0, 10, bits, 0),
    () => (loops.scan as () => void)(),
  ])
    expect(action).toThrow(TypeError)
})

test('bits are counted part by part', () => {
  const parts = fc.record({ each: fc.integer({ min: 1, max: 40 }), parts: fc.integer({ min: 1, max: 6 }) })
  fc.assert(
    fc.property(parts, held, fc.nat(6), fc.nat(6), ({ each, parts }, words, one, other) => {
      const bits = Uint32Array.from({ length: each * parts }, (_, i) => words[(i * 7) % words.length])
      const [first, end] = [Math.min(one, other, parts), Math.min(Math.max(one, other), parts)]
      const expected = Uint16Array.from({ length: parts }, (_, i) => {
        if (i < first || i >= end) return 7
        const printed = Array.from(bits.subarray(i * each, (i + 1) * each), (each) => each.toString(2))
        return printed.join('').replaceAll('0', '').length
      })
      for (const { count } of [loops, portableLoops]) {
        const counts = new Uint16Array(parts).fill(7)
        count(bits, counts, first, end)
        expect(counts).toEqual(expected)
      }
    }),
  )
  const bits = new Uint32Array(8)
  for (const action of [
    () => loops.count(bits, new Uint16Array(3), 0, 1),
    () => loops.count(bits, new Uint16Array(0), 0, 0),
    () => loops.count(bits, new Uint16Array(4), 0, 5),
    () => loops.count(bits, new Uint16Array(4), 3, 2),
    () => loops.count(bits, new Uint32Array(4) as never, 0, 1),
    () => loops.count(new Float64Array(8) as never, new Uint16Array(4), 0, 1),
    () => loops.count(new Uint32Array(2048), new Uint16Array(1), 0, 1),
    () => (loops.count as () => void)(),
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
