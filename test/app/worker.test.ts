// worker.test.ts: what the worker makes of the wire: windows, cached rows, rates, latencies.

import { describe, expect, test } from 'vitest'
import { RowWindow, windowStamp } from '../../app/rows/row-window.ts'
import { Bins } from '../../app/worker/bins.ts'
import { bucketBegin, percentile } from '../../app/worker/latency.ts'
import { Metrics } from '../../app/worker/metrics.ts'
import { SteadyOrder } from '../../app/worker/steady-order.ts'
import type { DriverId, FunctionIndex, RowId, Ticks } from '../../src/protocol/ids.ts'
import { LATENCY_BUCKETS, MAJOR_FUNCTION_COUNT, RequestFlags } from '../../src/protocol/layout.ts'
import {
  ROW_BYTES,
  RowState,
  type Tick,
  WINDOW_HEADER_BYTES,
  WINDOW_MAGIC,
  WindowFlags,
} from '../../src/protocol/wire.ts'

/** A frame by the offsets that wire.ts draws, written independently of the reader. */
function frame(first: number, rowIds: number[], shown = 1000, stamp = 1): ArrayBuffer {
  const buffer = new ArrayBuffer(WINDOW_HEADER_BYTES + rowIds.length * ROW_BYTES)
  const view = new DataView(buffer)
  for (const [i, value] of [WINDOW_MAGIC, rowIds.length, first, shown, stamp].entries())
    view.setUint32(i * 4, value, true)
  for (const [i, rowId] of rowIds.entries()) view.setFloat64(WINDOW_HEADER_BYTES + i * ROW_BYTES, rowId, true)
  return buffer
}

function range(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => from + i)
}

describe('RowWindow', () => {
  test('reads every field from where wire.ts draws it', () => {
    const buffer = frame(40, [7, 8], 99, 3)
    const view = new DataView(buffer)
    const at = WINDOW_HEADER_BYTES + ROW_BYTES
    view.setFloat64(at + 8, 123456.5, true)
    view.setFloat64(at + 16, 25, true)
    view.setFloat64(at + 24, 1460, true)
    const words = [3, 4312, 9248, RequestFlags.FastIo, 0x12017, 0xc0000120, 24, 1461, 5, 6]
    for (const [i, word] of words.entries()) view.setUint32(at + 32 + 4 * i, word, true)
    view.setUint8(at + 72, 9)
    view.setUint8(at + 73, 2)
    view.setUint32(at + 76, RowState.Unseen, true)

    const window = RowWindow.decode(buffer)
    expect([window.first, window.count, window.shown, windowStamp(buffer)]).toEqual([40, 2, 99, 3])
    expect(window.rowId(0)).toBe(7)
    expect({
      rowId: window.rowId(1),
      arrival: window.arrival(1),
      latency: window.latency(1),
      information: window.information(1),
      driverId: window.driverId(1),
      processId: window.processId(1),
      threadId: window.threadId(1),
      flags: window.flags(1),
      code: window.code(1),
      status: window.status(1),
      input: window.inputLength(1),
      output: window.outputLength(1),
      process: window.process(1),
      detail: window.detail(1),
      major: window.major(1),
      minor: window.minor(1),
      state: window.state(1),
      functionIndex: window.functionIndex(1),
    }).toEqual({
      rowId: 8,
      arrival: 123456.5,
      latency: 25,
      information: 1460,
      driverId: 3,
      processId: 4312,
      threadId: 9248,
      flags: RequestFlags.FastIo,
      code: 0x12017,
      status: 0xc0000120,
      input: 24,
      output: 1461,
      process: 5,
      detail: 6,
      major: 9,
      minor: 2,
      state: RowState.Unseen,
      functionIndex: MAJOR_FUNCTION_COUNT + 9,
    })
  })

  test('a header alone puts the rows of the window before in another place', () => {
    const before = RowWindow.decode(frame(40, [7, 8], 99))
    const header = frame(30, [], 120)
    new Uint32Array(header).set([2], 1)
    new Uint32Array(header).set([WindowFlags.SameRows | WindowFlags.Complete], 6)
    const window = RowWindow.decode(header, before)
    expect([window.first, window.count, window.shown, window.isComplete]).toEqual([30, 2, 120, true])
    expect([window.indexOf(7 as RowId), window.indexOf(8 as RowId), window.indexOf(9 as RowId)]).toEqual([
      30, 31, -1,
    ])
    expect(() => RowWindow.decode(header)).toThrow('0 bytes for 2 rows')
  })

  test('refuses what is not a window', () => {
    expect(() => RowWindow.decode(new ArrayBuffer(8))).toThrow('header')
    expect(() => RowWindow.decode(new ArrayBuffer(WINDOW_HEADER_BYTES))).toThrow('magic')
    expect(() => RowWindow.decode(frame(0, [1, 2]).slice(0, -8))).toThrow('bytes for 2 rows')
  })
})

describe('Bins', () => {
  test('loses no count, however ticks fall', () => {
    const bins = new Bins(1, 20, 100)
    const ticks = [1000, 1030, 1200, 1201, 1550, 1999, 2300]
    ticks.slice(1).forEach((at, i) => {
      bins.add(ticks[i]!, at, 0, 10)
    })
    bins.advance(2401)
    expect(bins.lane(0).reduce((sum, value) => sum + value, 0)).toBeCloseTo(60, 9)
  })

  test('spreads a difference over the time it covers', () => {
    const bins = new Bins(1, 10, 100)
    bins.add(50, 250, 0, 20)
    bins.advance(300)
    expect([...bins.lane(0)].slice(-3)).toEqual([5, 10, 5])
  })

  test('what was long ago leaves, quiet time holds zeros', () => {
    const bins = new Bins(2, 5, 100)
    bins.add(0, 99, 1, 8)
    bins.advance(450)
    expect([...bins.lane(1)]).toEqual([8, 0, 0, 0])
    bins.advance(560)
    expect([...bins.lane(1)]).toEqual([0, 0, 0, 0])
    expect(bins.recent(1, 4)).toBe(0)
  })
})

describe('percentile', () => {
  test('lies within the bucket that holds it', () => {
    const buckets = new Array<number>(LATENCY_BUCKETS).fill(0)
    buckets[5] = 98
    buckets[12] = 2
    const p50 = percentile(buckets, 0.5)
    expect(p50).toBeGreaterThanOrEqual(bucketBegin(5))
    expect(p50).toBeLessThan(bucketBegin(6))
    const p99 = percentile(buckets, 0.99)
    expect(p99).toBeGreaterThanOrEqual(bucketBegin(12))
    expect(p99).toBeLessThanOrEqual(bucketBegin(13))
  })

  test('of nothing is not a number, of instants is 0', () => {
    expect(percentile([0, 0], 0.5)).toBeNaN()
    expect(percentile([3, 0], 0.5)).toBe(0)
  })
})

describe('Metrics', () => {
  const PER_SECOND = 1e7
  function tick(seconds: number, functions: [number, number, number][], ended = 0): Tick {
    const latency = new Array<number>(LATENCY_BUCKETS).fill(0)
    latency[4] = ended
    return {
      at: (seconds * PER_SECOND) as Ticks,
      functions: functions.map(([driver, fn, count]) => [
        driver as DriverId,
        fn as FunctionIndex,
        count,
        count / 10,
        0,
        count * 24,
        0,
      ]),
      latency,
      rows: 0,
      evictedRows: 0,
      shown: 0,
      droppedStarts: [],
      droppedEnds: [],
      droppedOthers: 0,
      filtered: 0,
      sampledOut: 0,
      outstanding: 0,
      unpaired: 0,
      inFlight: 0,
      storeBytes: 0,
      budgetBytes: 0,
      ringUsed: 0,
      ringSize: 0,
      recordedBytes: 0,
    }
  }

  test('cumulative counters become rates per function and per driver', () => {
    const metrics = new Metrics(PER_SECOND)
    for (let tenth = 0; tenth <= 40; tenth++)
      metrics.take(
        tick(
          100 + tenth / 10,
          [
            [1, 14, 5000 + tenth * 100],
            [1, 0, tenth * 20],
            [2, 14, tenth * 50],
          ],
          tenth,
        ),
      )
    const picture = metrics.picture()!
    expect(picture.rate).toBeCloseTo(1700, 6)
    expect(picture.functions.map(({ key, requests }) => [key, Math.round(requests)])).toEqual([
      [14, 1500],
      [0, 200],
    ])
    expect(picture.drivers.map(({ key, requests }) => [key, Math.round(requests)])).toEqual([
      [1, 1200],
      [2, 500],
    ])
    expect(picture.functions[0]!.errors).toBeCloseTo(150, 6)
    expect(picture.functions[0]!.bytes).toBeCloseTo(36000, 4)
    expect(picture.series.map((series) => series.functionIndex)).toEqual([14, 0])
    expect(picture.series[0]!.rates.at(-1)).toBeCloseTo(1500, 6)
    // What was counted before the first tick has no place in time.
    expect(picture.series[0]!.rates.reduce((sum, rate) => sum + rate / 4, 0)).toBeCloseTo(6000, 6)
    expect(picture.heat.reduce((sum, value) => sum + value, 0)).toBeCloseTo(40, 4)
    expect(metrics.picture()).toBeNull()
  })

  test('more functions than have a colour of their own are summed up, without loss', () => {
    const metrics = new Metrics(PER_SECOND)
    const all = (scale: number) =>
      range(0, 12).map((fn): [number, number, number] => [1, fn, (fn + 1) * scale])
    metrics.take(tick(10, all(0)))
    metrics.take(tick(12, all(10)))
    const { series } = metrics.picture()!
    expect(series).toHaveLength(8)
    expect(series.at(-1)!.functionIndex).toBeNull()
    const total = series.reduce((sum, { rates }) => sum + rates.reduce((part, rate) => part + rate / 4, 0), 0)
    expect(total).toBeCloseTo(780, 6)
  })
})

test('the busiest first, and those about as busy keep their places', () => {
  const order = new SteadyOrder()
  const show = (...rates: [key: number, requests: number][]) =>
    order
      .sorted(rates.map(([key, requests]) => ({ key, requests, errors: 0, pended: 0, bytes: 0 })))
      .map(({ key }) => key)
  expect(show([1, 10], [2, 900], [3, 12])).toEqual([2, 3, 1])
  expect(show([1, 13], [2, 900], [3, 11])).toEqual([2, 3, 1])
  expect(show([1, 40], [2, 900], [3, 11])).toEqual([2, 1, 3])
  // New ones take their place at once; what is gone leaves none.
  expect(show([1, 40], [2, 900], [4, 400])).toEqual([2, 4, 1])
})
