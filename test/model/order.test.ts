// An order of chunks that come, change and leave, against sorting all rows.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Caller, Chunk, Kind, START_MISSING } from '../../src/model/chunk.ts'
import { fieldNamed } from '../../src/model/fields.ts'
import { Spares } from '../../src/model/memory.ts'
import { Order } from '../../src/model/order.ts'
import { RankedValues } from '../../src/model/ranked-values.ts'
import { RowState } from '../../src/protocol/wire.ts'
import { emptyCapture } from '../support/captures.ts'

const ROWS = 700
const ALL = Uint16Array.from({ length: ROWS }, (_, row) => row)

/** Values of a chunk: from a range of its own, the same few, or hardly two alike; of a row in eleven, no latency. */
const values = { own: 900, few: 3, any: 1 << 24 }
const change = fc.record({
  place: fc.nat(7),
  kind: fc.constantFrom('own' as const, 'few' as const, 'any' as const),
  seed: fc.nat(1000),
})

/** The latency, the process and the input of its rows; of some chunks' rows, starts are missing. */
function write(chunk: Chunk, { kind, seed }: { kind: keyof typeof values; seed: number }): void {
  for (const row of ALL) {
    if (chunk.rows <= row) chunk.addRow(0, 0)
    const drawn = Math.imul(row + 1, 2654435761 ^ Math.imul(seed, 40503)) >>> 8
    const value = (drawn % values[kind]) + (kind === 'own' ? seed * 1000 : 0)
    chunk.callers.key[Caller.processId] = value
    chunk.caller[row] = chunk.callers.intern()
    chunk.inputLength.set(row, value, 0)
    chunk.kinds.key[Kind.call] = seed % 3 === 0 && row % 13 === 0 ? START_MISSING : 0
    chunk.kind[row] = chunk.kinds.intern()
    if (row % 11 !== 0) chunk.setLatency(row, value)
  }
}

function ofStart(read: (chunk: Chunk, row: number) => number) {
  return (chunk: Chunk, row: number) =>
    chunk.stateOf(row) === RowState.StartLost ? Number.NaN : read(chunk, row)
}

const readers = {
  latency: (chunk: Chunk, row: number) => chunk.latencyOf(row),
  pid: ofStart((chunk, row) => chunk.callers.entries[chunk.caller[row] * Caller.width + Caller.processId]),
  input_length: ofStart((chunk, row) => chunk.inputLength.get(row)),
}

test.each(['latency', 'pid', 'input_length'] as const)(
  'by %s: any window, those near it, and where rows stand',
  (name) => {
    const capture = emptyCapture()
    const changesOf = fc.array(change, { minLength: 1, maxLength: 12 })
    fc.assert(
      fc.property(changesOf, fc.boolean(), fc.nat(2), fc.nat(), (changes, descending, leaving, seed) => {
        const order = new Order(fieldNamed(name)!, descending, capture)
        const chunks: { chunk: Chunk; rows: Uint16Array }[] = []
        for (const [i, each] of changes.entries()) {
          while (chunks.length <= each.place) {
            const chunk = new Chunk(chunks.length << 15, chunks.length << 15, 0, {
              bytes: 0,
              spares: new Spares(),
              makeRoom: () => false,
            })
            write(chunk, { ...each, seed: chunks.length })
            chunks.push({ chunk, rows: ALL })
            order.set(chunks.length - 1, chunk, ALL)
          }
          const changed = chunks[each.place]
          write(changed.chunk, each)
          changed.rows = ALL.filter((row) => row % 5 !== i)
          order.set(each.place, changed.chunk, changed.rows)
          // What is remembered of this window must not outlast a change.
          order.rows(order.size - 20, 20)
        }
        for (let left = leaving; left > 0 && chunks.length > 1; left--) {
          order.rows(order.size - chunks[0].rows.length - 20, 20)
          order.shift()
          chunks.shift()
        }
        const key = (value: number) => (Number.isNaN(value) ? Infinity : descending ? -value : value)
        const expected = chunks
          .flatMap(({ chunk, rows }) =>
            Array.from(rows, (row) => ({ row: chunk.first + row, key: key(readers[name](chunk, row)) })),
          )
          .sort((a, b) => (a.key === b.key ? a.row - b.row : a.key - b.key))
          .map(({ row }) => row)
        expect(order.size).toBe(expected.length)
        expect(order.rows(order.size - 20, 20)).toEqual(expected.slice(-20))
        for (let i = 0; i < 8; i++) {
          const at = (seed + i * 1999) % (expected.length - 40)
          for (const first of [at, Math.max(0, at - 15), at + 20]) {
            expect(order.rows(first, 20)).toEqual(expected.slice(first, first + 20))
          }
          const [row, first] = [expected[at], chunks[0].chunk.first]
          expect(order.indexOf((row - first) >> 15, row & 32767)).toBe(at)
        }
      }),
      { numRuns: 60 },
    )
  },
)

test('ranks are those of the values in use; what nobody uses makes room', () => {
  const ranked = new RankedValues(false)
  const numbersOf = (values: readonly (bigint | null)[]) => values.map((value) => ranked.numberOf(value))
  const ranksOf = (numbers: readonly number[]) => numbers.map((number) => ranked.ranks[number])
  const former = numbersOf([30n, 10n, null, 20n])
  ranked.use(former)
  expect(ranksOf(former)).toEqual([2, 0, 3, 1])
  ranked.release(former)
  const latter = numbersOf([10n, 15n, null])
  ranked.use(latter)
  expect(ranksOf(latter)).toEqual([0, 1, 2])
  expect([latter[0], latter[2]]).toEqual([former[1], former[2]])
  // 30 and 20 have left: their numbers are given anew.
  expect(numbersOf([17n, 18n]).sort()).toEqual([former[0], former[3]].sort())
})
