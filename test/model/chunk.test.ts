// A chunk's columns are small and exact: large values in two bytes a row, what a full chunk gives back, and the
// extremes that let a query pass it over.

import { describe, expect, test } from 'vitest'
import { Capture } from '../../src/model/capture.ts'
import { CHUNK_ROWS, ChunkPart, ChunkState } from '../../src/model/chunk.ts'
import { type Loops, portableLoops } from '../../src/model/loops.ts'
import type { RowId } from '../../src/protocol/ids.ts'
import { RecordHeader, RequestEnd, RequestStart } from '../../src/protocol/layout.ts'
import { emptyCapture } from '../support/captures.ts'
import { concat, copies, end, endsAt, numbers, setWide, start, startsAt } from '../support/records.ts'

const value = (capture: Capture, row: number, field: string) => capture.request(row as RowId)?.value(field)

describe('quantities', () => {
  test('a chunk in which each row has large values of its own, with ends that come when it is long full', () => {
    const capture = emptyCapture()
    const ids = numbers(1, CHUNK_ROWS)
    const starts = copies(start({ id: 0 }), ids, (view, at, id) => {
      view.setUint32(at + RequestStart.inputLength, 0x8000 + id, true)
      view.setUint32(at + RequestStart.outputLength, 0xffffffff - id, true)
    })
    const ends = copies(end({ id: 0 }), ids, (view, at, id) => {
      setWide(view, at + RecordHeader.timestamp, id)
      setWide(view, at + RequestEnd.information, 2 ** 52 + id)
    })
    capture.ingest(starts)
    capture.ingest(startsAt(numbers(CHUNK_ROWS + 1, 4 * CHUNK_ROWS)))
    capture.ingest(ends)
    expect(capture.inFlight).toBe(4 * CHUNK_ROWS)
    const chunk = capture.chunks[0]
    const seen = ids.map((_, row) => [
      chunk.inputLength.get(row),
      chunk.outputLength.get(row),
      chunk.information.exact(row),
      chunk.latencyOf(row),
    ])
    expect(seen).toEqual(ids.map((id) => [0x8000 + id, 0xffffffff - id, 2 ** 52 + id, id]))
  })

  test('on either side of each limit, to the last bit', () => {
    const values = [
      0n,
      0x7fffn,
      0x8000n,
      0xffffn,
      0x10000n,
      0xffffffffn,
      2n ** 32n,
      2n ** 53n + 1n,
      2n ** 64n - 1n,
    ]
    const capture = emptyCapture()
    capture.ingest(concat(values.map((information, id) => end({ id, information }))))
    expect(values.map((_, row) => BigInt(value(capture, row, 'information') as bigint))).toEqual(values)
  })
})

test('a full chunk takes at most 36 bytes a row, and late ends are still told apart', () => {
  const capture = emptyCapture()
  const rows = 6 * CHUNK_ROWS
  for (let first = 0; first < rows; first += 4096) {
    const ids = numbers(first, 4096)
    capture.ingest(
      copies(start({ id: 0 }), ids, (view, at, id) => {
        setWide(view, at + RequestStart.irp, 0x1000 + (id % 500) * 0x200)
        setWide(view, at + RequestStart.fileObject, 0x8000 + (id % 700) * 0x100)
        view.setUint32(at + RequestStart.threadId, id % 60, true)
      }),
    )
    capture.ingest(endsAt(ids.filter((id) => id !== 7)))
  }
  const chunk = capture.chunks[0]
  expect(chunk.memory.bytes / CHUNK_ROWS).toBeLessThan(34)
  capture.ingest(end({ id: 7, at: 9, arrival: 7, status: 0xc0000120 }))
  expect([value(capture, 7, 'status'), value(capture, 6, 'status')]).toEqual([0xc0000120, 0])
  expect(chunk.memory.bytes / CHUNK_ROWS).toBeLessThan(36)
  expect(capture.chunks.reduce((sum, each) => sum + each.memory.bytes, 0)).toBeLessThan(capture.storeBytes)
})

test('arrivals are exact however far apart they are', () => {
  const capture = emptyCapture()
  const times = [7, 2 ** 47 + 1, 2 ** 50, 2 ** 53 - 2 ** 32, 3]
  capture.ingest(concat(times.map((at, id) => start({ id, at }))))
  expect(times.map((_, row) => value(capture, row, 'time'))).toEqual(times)
})

describe('a filter looks at no row of a chunk that is decided as a whole:', () => {
  let looks = 0
  const counted: Loops = {
    ...portableLoops,
    scan: (...scanned) => {
      looks += scanned[0].length * scanned[3]
      portableLoops.scan(...scanned)
    },
  }
  const capture = new Capture({
    ...emptyCapture().options,
    native: { loops: counted, ingest: (_, at) => at },
  })
  const one = CHUNK_ROWS
  // Four chunks; a second, a process and a latency for each.
  for (let chunk = 0; chunk < 4; chunk++) {
    const ids = numbers(chunk * 10_000_000, CHUNK_ROWS)
    capture.ingest(startsAt(ids, { pid: 4 * chunk }))
    capture.ingest(endsAt(ids, 1000 * (chunk + 1)))
  }

  test.each([
    ['latency > 1s', 0, 0],
    ['latency >= 400us', one, one],
    ['latency < 150us', one, one],
    ['time < "2026-11-22T13:58:21"', one, 0],
    ['time < "2000-01-01T00:00:00"', 0, 0],
    ['row < 100', 100, 0],
    ['pid == 8', one, 0],
    ['pid == 5', 0, 0],
    ['pid == 5 && information == 0', 0, 0],
    ['pid == 8 && latency == 300us', one, one],
    ['error', 0, 0],
    ['irp == 0', 4 * one, 0],
  ])('%s', (filter, shown, expected) => {
    looks = 0
    const view = capture.view(filter, null)
    view.advance(() => true)
    expect([filter, view.shown, looks]).toEqual([filter, shown, expected])
  })
})

test('extremes of arrival and latency are those of the rows', () => {
  const capture = emptyCapture()
  const extremes = () =>
    [ChunkState.minArrival, ChunkState.maxArrival, ChunkState.minLatency, ChunkState.maxLatency].map(
      (at) => capture.chunks[0].state[at],
    )
  capture.ingest(start({ id: 1, at: 500 }))
  expect(extremes()).toEqual([500, 500, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
  capture.ingest(
    concat([
      end({ id: 1, at: 520, arrival: 500 }),
      end({ id: 2, at: 407, arrival: 400 }),
      end({ id: 3, at: 2 ** 40 + 600, arrival: 600 }),
    ]),
  )
  expect(extremes()).toEqual([400, 600, 7, 2 ** 40])
})

test('a chunk has room at once for as many distinct values as the one before it has', () => {
  const capture = emptyCapture()
  // Each by a thread of its own.
  capture.ingest(startsAt(numbers(1, CHUNK_ROWS + 1)))
  const [before, next] = capture.chunks.map(({ memory }) => memory.parts[ChunkPart.callers])
  expect([...before.subarray(0, 2)]).toEqual([CHUNK_ROWS, CHUNK_ROWS])
  expect([...next.subarray(0, 2)]).toEqual([1, CHUNK_ROWS])
})
