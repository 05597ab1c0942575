// A view that followed its capture step by step shows what a new one shows, in any order, through any filter.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Capture } from '../../src/model/capture.ts'
import { BLOCK_ROWS, CHUNK_ROWS } from '../../src/model/chunk.ts'
import { fields } from '../../src/model/fields.ts'
import { FilterError } from '../../src/model/filter/error.ts'
import type { View } from '../../src/model/view.ts'
import type { RowId, Ticks } from '../../src/protocol/ids.ts'
import { RequestFlags, RequestStart } from '../../src/protocol/layout.ts'
import { ROW_BYTES, RowState, WINDOW_HEADER_BYTES, WINDOW_MAGIC } from '../../src/protocol/wire.ts'
import { batches, countRowsFrom, emptyCapture, traffic } from '../support/captures.ts'
import { concat, end, endsAt, hooked, numbers, start, startsAt, utf16 } from '../support/records.ts'

function settle(view: View): void {
  while (!view.complete) view.advance(() => true)
}

function windowRows(view: View, first = 0, count = view.shown): number[] {
  const frame = view.writeWindow(first, count)
  const data = new DataView(frame.buffer, frame.byteOffset)
  return Array.from({ length: data.getUint32(4, true) }, (_, i) =>
    data.getFloat64(WINDOW_HEADER_BYTES + i * ROW_BYTES, true),
  )
}

/** Starts from the process that `pidOf` says. */
function startsOf(ids: readonly number[], pidOf: (id: number) => number): Uint8Array {
  const batch = startsAt(ids)
  const data = new DataView(batch.buffer)
  for (const [i, id] of ids.entries()) {
    data.setUint32(i * RequestStart.bytes + RequestStart.processId, pidOf(id), true)
  }
  return batch
}

const FILTERS = ['', 'error', 'latency > 1ms || !pended', 'pid == 100', 'state == in_flight', '\\Driver\\AFD']
const SORTABLE = fields.filter((field) => field.source.in !== 'payload').map((field) => field.name)

describe('a view', () => {
  test('that followed shows what a new one shows', () => {
    fc.assert(
      fc.property(
        traffic,
        fc.constantFrom(...FILTERS),
        fc.option(fc.record({ field: fc.constantFrom(...SORTABLE), descending: fc.boolean() })),
        ({ records, cuts }, filter, sort) => {
          const capture = emptyCapture()
          const view = capture.view(filter, sort)
          const parts = batches(records, cuts)
          parts.splice(Math.floor(parts.length / 2), 0, [hooked(1, '\\Driver\\AFD')])
          for (const [i, part] of parts.entries()) {
            capture.ingest(concat(part))
            if (i === 1) {
              const name = { processId: 100, parentProcessId: 4, name: 'late.exe' }
              capture.learnProcesses([name], 0 as Ticks)
            }
            settle(view)
          }
          const fresh = capture.view(filter, sort)
          settle(fresh)
          expect(windowRows(view)).toEqual(windowRows(fresh))
          const passing = Array.from(capture.requests(filter), (request) => Number(request.row))
          expect([...windowRows(view)].sort((a, b) => a - b)).toEqual(passing)
          for (const [index, row] of windowRows(view).entries())
            expect(view.indexOf(row as RowId)).toBe(index)
          for (let row = 0; row < capture.endRow; row++) {
            if (!passing.includes(row)) expect(view.indexOf(row as RowId)).toBe(-1)
          }
        },
      ),
      { numRuns: 300 },
    )
  })

  test('is in order: absent values last, equal ones as they came', () => {
    fc.assert(
      fc.property(traffic, fc.constantFrom(...SORTABLE), fc.boolean(), ({ records }, field, descending) => {
        const capture = emptyCapture()
        capture.ingest(concat([hooked(1, '\\Driver\\b'), hooked(2, '\\driver\\A'), ...records]))
        const view = capture.view('', { field, descending })
        settle(view)
        const rows = windowRows(view)
        const values = rows.map((row) => capture.request(row as RowId)?.value(field) ?? null)
        for (let i = 1; i < rows.length; i++) {
          const [a, b] = [values[i - 1], values[i]]
          if (a === null || b === null) {
            expect([field, b]).toEqual([field, null])
            if (a === null) expect(rows[i - 1]).toBeLessThan(rows[i])
            continue
          }
          const [x, y] =
            typeof a === 'string' ? [a.toLowerCase(), String(b).toLowerCase()] : [Number(a), Number(b)]
          if (x === y) {
            if (a === b) expect(rows[i - 1]).toBeLessThan(rows[i])
          } else {
            expect(x < y).toBe(!descending)
          }
        }
      }),
      { numRuns: 200 },
    )
  })

  test('takes in many rows over several chunks, and late ends in old ones', () => {
    const capture = emptyCapture()
    const rows = 2 * CHUNK_ROWS + 3 * BLOCK_ROWS + 5
    const view = capture.view('latency >= 0', null)
    const ordered = capture.view('pid == 8', { field: 'latency', descending: true })
    for (let first = 0; first < rows; first += 4096) {
      const ids = numbers(first, Math.min(4096, rows - first))
      const from8 = (id: number) => id % 3 === 0
      capture.ingest(startsOf(ids, (id) => (from8(id) ? 8 : 4)))
    }
    settle(view)
    settle(ordered)
    expect([view.shown, ordered.shown]).toEqual([0, Math.ceil(rows / 3)])
    const late = [0, 3, CHUNK_ROWS - 1, CHUNK_ROWS, rows - 1, 2 * CHUNK_ROWS + BLOCK_ROWS]
    capture.ingest(concat(late.map((id, i) => end({ id, at: id + i, arrival: id }))))
    settle(view)
    settle(ordered)
    const sorted = [...late].sort((a, b) => a - b)
    expect(windowRows(view)).toEqual(sorted)
    expect(sorted.map((row) => view.indexOf(row as RowId))).toEqual([0, 1, 2, 3, 4, 5])
    expect(view.indexOf(1 as RowId)).toBe(-1)
    const of8 = late.map((id, i) => ({ id, i })).filter(({ id }) => id % 3 === 0)
    expect(windowRows(ordered, 0, of8.length)).toEqual(of8.reverse().map(({ id }) => id))
    expect(view.advance(() => true)).toBe(false)
  })

  test('works chunk by chunk while it may go on, and gets to all of them though the first ones change again and again', () => {
    const capture = emptyCapture()
    for (let first = 0; first < 5 * CHUNK_ROWS; first += 8192) capture.ingest(startsAt(numbers(first, 8192)))
    const view = capture.view('pid == 100', { field: 'latency', descending: false })
    const shown: number[] = []
    for (let call = 0; call < 5; call++) {
      capture.ingest(end({ id: call, at: call + 10, arrival: call }))
      expect(view.advance(() => false)).toBe(true)
      shown.push(view.shown / CHUNK_ROWS)
    }
    expect(shown).toEqual([1, 2, 3, 4, 5])
    expect(view.complete).toBe(false)
    settle(view)
    expect(windowRows(view, 0, 6)).toEqual([0, 1, 2, 3, 4, 5])
  })

  test('searches payload a block at a time while it may go on', () => {
    const capture = emptyCapture()
    const batch = concat(
      numbers(0, 3 * BLOCK_ROWS + 1).map((id) => start({ id, payload: Uint8Array.of(id & 1, 2, 3) })),
    )
    capture.ingest(batch)
    const view = capture.view('input contains 01:02', { field: 'row', descending: true })
    const looks: boolean[] = []
    for (let call = 0; call < 4; call++) {
      expect(view.advance(() => false)).toBe(true)
      looks.push(view.complete)
      // What changes meanwhile is looked at anew.
      if (call === 1) capture.ingest(end({ id: 5, at: 10, arrival: 5 }))
    }
    expect(looks).toEqual([false, false, false, false])
    settle(view)
    expect(view.shown).toBe((3 * BLOCK_ROWS) / 2)
    expect(windowRows(view, 0, 2)).toEqual([3 * BLOCK_ROWS - 1, 3 * BLOCK_ROWS - 3])
  })

  test('keeps up with rows that leave', () => {
    const capture = emptyCapture(12 << 20)
    const views = [
      capture.view('', null),
      capture.view('pid == 8', null),
      capture.view('pid == 8', { field: 'tid', descending: true }),
    ]
    for (let first = 0; first < 9 * CHUNK_ROWS; first += 8192) {
      const ids = numbers(first, 8192)
      capture.ingest(startsOf(ids, (id) => (id % 2 === 0 ? 8 : 4)))
      capture.ingest(endsAt(ids))
      for (const view of views) settle(view)
    }
    expect(capture.firstRow).toBeGreaterThan(0)
    const [whole, filtered, ordered] = views
    expect(whole.shown).toBe(capture.rowCount)
    expect(windowRows(whole, 0, 1)).toEqual([capture.firstRow])
    expect(filtered.shown).toBe(capture.rowCount / 2)
    expect(windowRows(filtered, 0, 2)).toEqual([capture.firstRow, capture.firstRow + 2])
    expect(filtered.indexOf(0 as RowId)).toBe(-1)
    // Where rows stand that are not in it: those that left before all, those that do not pass in between.
    expect(filtered.placeOf(0 as RowId)).toEqual({ index: 0, isIn: false })
    expect(filtered.placeOf((capture.firstRow + 5) as RowId)).toEqual({ index: 3, isIn: false })
    expect(filtered.placeOf((capture.firstRow + 6) as RowId)).toEqual({ index: 3, isIn: true })
    expect(whole.placeOf((capture.endRow + 9) as RowId)).toEqual({ index: whole.shown, isIn: false })
    expect(ordered.placeOf(0 as RowId)).toEqual({ index: null, isIn: false })
    expect(ordered.shown).toBe(capture.rowCount / 2)
    expect(windowRows(ordered, 0, 2)).toEqual([capture.endRow - 2, capture.endRow - 4])
    expect(ordered.indexOf(capture.firstRow)).toBe(ordered.shown - 1)
  })

  test.each([31, 32, 33])('does so when row numbers pass 2^%i', (bits) => {
    const capture = emptyCapture()
    const before = 2 ** bits - CHUNK_ROWS
    countRowsFrom(capture, before)
    const from8 = (id: number) => (id % 2 === 0 ? 8 : 4)
    const views = () => [
      capture.view('', null),
      capture.view('pid == 8', null),
      capture.view('pid == 8', { field: 'tid', descending: true }),
    ]
    const followed = views()
    for (let first = 0; first < 4 * CHUNK_ROWS; first += 8192) {
      const ids = numbers(first, 8192)
      capture.ingest(startsOf(ids, from8))
      capture.ingest(endsAt(ids))
      for (const view of followed) settle(view)
    }
    const expectRows = (view: View, rows: readonly number[]) => {
      expect(view.shown).toBe(rows.length)
      for (const first of [0, CHUNK_ROWS - 30, rows.length - 60])
        expect(windowRows(view, first, 60)).toEqual(rows.slice(first, first + 60))
      for (let index = 0; index < rows.length; index += 997)
        expect(view.indexOf(rows[index] as RowId)).toBe(index)
    }
    const expectAll = () => {
      const all = numbers(capture.firstRow, capture.rowCount)
      const even = all.filter((_, i) => i % 2 === 0)
      for (const [whole, filtered, ordered] of [followed, views()]) {
        for (const view of [whole, filtered, ordered]) settle(view)
        expectRows(whole, all)
        expectRows(filtered, even)
        expectRows(ordered, [...even].reverse())
        expect(filtered.placeOf((all[0] - 1) as RowId)).toEqual({ index: 0, isIn: false })
        expect(filtered.placeOf((all[0] + 1) as RowId)).toEqual({ index: 1, isIn: false })
      }
    }
    expect(capture.detail((2 ** bits + 7) as RowId)?.requestId).toBe(CHUNK_ROWS + 7)
    expectAll()
    for (const left of [0, CHUNK_ROWS]) {
      capture.budgetBytes = capture.storeBytes - 1
      expect(capture.firstRow).toBe(2 ** bits + left)
      expectAll()
    }
  })

  test('is refused for what cannot be sorted by', () => {
    const capture: Capture = emptyCapture()
    expect(() => capture.view('', { field: 'input', descending: false })).toThrow(FilterError)
    expect(() => capture.view('', { field: 'nothing', descending: false })).toThrow(FilterError)
  })
})

test('a window is laid out as wire.ts draws it', () => {
  const capture = emptyCapture()
  capture.learnProcesses([{ processId: 100, parentProcessId: 4, name: 'a.exe' }], 0 as Ticks)
  capture.ingest(
    concat([
      hooked(3, '\\Driver\\x'),
      start({
        id: 9,
        driverId: 3,
        at: 2 ** 33 + 5,
        major: 9,
        minor: 2,
        processor: 300,
        flags: RequestFlags.FastIo,
        code: 0x222004,
        inputLength: 11,
        outputLength: 12,
      }),
      end({
        id: 9,
        driverId: 3,
        major: 9,
        at: 2 ** 33 + 15,
        arrival: 2 ** 33 + 5,
        status: 0xc0000001,
        information: 77n,
        flags: RequestFlags.FastIo | RequestFlags.Pended,
      }),
      start({ id: 10, at: 1, major: 0, flags: RequestFlags.PayloadIsName, payload: utf16('\\f') }),
    ]),
  )
  const view = capture.view('', null)
  settle(view)
  const data = new DataView(view.writeWindow(0, 10).buffer)
  const u32 = (at: number) => data.getUint32(at, true)
  expect([0, 4, 8, 12].map(u32)).toEqual([WINDOW_MAGIC, 2, 0, 2])
  const at = WINDOW_HEADER_BYTES
  expect([0, 8, 16, 24].map((offset) => data.getFloat64(at + offset, true))).toEqual([0, 2 ** 33 + 5, 10, 77])
  expect([32, 36, 40, 44].map((offset) => u32(at + offset))).toEqual([
    3,
    100,
    101,
    RequestFlags.FastIo | RequestFlags.Pended,
  ])
  expect([48, 52, 56, 60].map((offset) => u32(at + offset))).toEqual([0x222004, 0xc0000001, 11, 12])
  expect(capture.processNames[u32(at + 64)]).toBe('a.exe')
  expect(u32(at + 68)).toBe(0)
  expect([data.getUint8(at + 72), data.getUint8(at + 73), data.getUint16(at + 74, true)]).toEqual([9, 2, 300])
  expect(u32(at + 76)).toBe(RowState.Done)
  const next = at + ROW_BYTES
  expect(data.getFloat64(next + 16, true)).toBeNaN()
  expect(capture.details.get(u32(next + 68))).toBe('\\f')
  expect(u32(next + 76)).toBe(RowState.InFlight)
  // Outside of what there is, a window is empty and says so.
  expect(new DataView(view.writeWindow(5, 10).buffer).getUint32(4, true)).toBe(0)
})

describe('an order over several chunks', () => {
  const capture = emptyCapture()
  const rows = 4 * CHUNK_ROWS + 77
  let state = 1
  const next = () => {
    state = Math.imul(state, 1103515245) + 12345
    return (state >>> 8) & 0xffff
  }
  for (let first = 0; first < rows; first += 8192) {
    const ids = numbers(first, Math.min(8192, rows - first))
    capture.ingest(startsOf(ids, () => 4 * (next() % 9)))
    // Many equal latencies, some far apart, a few absent.
    const ends = ids
      .filter(() => next() % 50 !== 0)
      .map((id) =>
        end({ id, arrival: id, at: id + (next() % 100 === 0 ? 2 ** 33 * (next() % 3) : next() % 500) }),
      )
    capture.ingest(concat(ends))
  }

  test('has no rows behind its end', () => {
    const view = capture.view('', { field: 'latency', descending: false })
    view.advance(() => true)
    expect(windowRows(view, rows + 1, 60)).toEqual([])
  })

  test.each(['latency', 'pid', 'time', 'row', 'status'])('by %s is what sorting all rows gives', (field) => {
    for (const descending of [false, true]) {
      const view = capture.view('row > 10', { field, descending })
      settle(view)
      const expected = Array.from(capture.requests('row > 10'), (request) => ({
        value: request.value(field) as number | null,
        row: Number(request.row),
      }))
      const key = ({ value }: { value: number | null }) =>
        value === null ? Infinity : descending ? -value : value
      expected.sort((a, b) => (key(a) === key(b) ? a.row - b.row : key(a) - key(b)))
      expect(view.shown).toBe(expected.length)
      for (let i = 0; i < 200; i++) {
        const first = (next() * 7) % expected.length
        const window = expected.slice(first, first + 60).map(({ row }) => row)
        expect(windowRows(view, first, 60)).toEqual(window)
        expect(view.indexOf(window[0] as RowId)).toBe(first)
      }
    }
  })
})
