// The way of a record from the driver's rings to JavaScript: all of them, in whole records, however slow JavaScript is;
// and that the native thread ends with whatever ends first.

import { afterEach, beforeEach, expect, test } from 'vitest'
import type { NativeSource } from '../../addon/binding.ts'
import { loadBinding } from '../../addon/load.ts'
import { MIN_DATA_BYTES, MIN_RING_BYTES } from '../../src/protocol/layout.ts'
import { addDriver, droppedByDriver, ECHO, hello, stall, start, stop, Tally, until } from './sim.ts'

let source: NativeSource
beforeEach(() => {
  source = loadBinding().openSim()
  hello(source)
  addDriver(source, ECHO)
})
afterEach(() => source.close())

/** Runs traffic to its end, stops, and waits until the last record is here. */
async function drain(tally: Tally): Promise<number> {
  await until(() => !source.trafficRunning())
  source.stopTraffic()
  const issued = source.issued()[ECHO]
  stop(source)
  await tally.ended
  return issued
}

test('every request issued arrives, with its end', async () => {
  start(source)
  const tally = new Tally(source, 16)
  source.startTraffic({ seed: 1, rate: 0, count: 20_000 })
  const issued = await drain(tally)
  expect(issued).toBeGreaterThan(1000)
  expect(tally.lost).toBe(0)
  expect(tally.error).toBeNull()
  expect(tally.starts).toBe(issued)
  expect(tally.ends).toBe(issued)
  expect(source.pumping()).toBe(false)
})

test('records come while the capture runs, not only when it stops', async () => {
  start(source)
  const tally = new Tally(source, 4)
  source.startTraffic({ seed: 2, rate: 500, count: 0 })
  await until(() => tally.starts > 20)
  expect(source.pumping()).toBe(true)
  await until(() => tally.batches > 5)
})

test('batches coalesce under load', async () => {
  start(source)
  const tally = new Tally(source, 16)
  source.startTraffic({ seed: 3, rate: 0, count: 20_000 })
  const issued = await drain(tally)
  expect(tally.starts).toBe(issued)
  expect(tally.batches).toBeLessThan(issued / 10)
})

test('a stalled JavaScript thread loses nothing that the rings can hold', async () => {
  start(source)
  const tally = new Tally(source, 2, MIN_DATA_BYTES)
  source.startTraffic({ seed: 4, rate: 0, count: 5_000 })
  stall(() => !source.trafficRunning())
  expect(tally.batches).toBe(0)
  const issued = await drain(tally)
  expect(tally.lost).toBe(0)
  expect(tally.starts).toBe(issued)
  expect(tally.ends).toBe(issued)
})

test('what the rings cannot hold is counted, to the last record', async () => {
  start(source, MIN_RING_BYTES)
  const tally = new Tally(source, 1, MIN_DATA_BYTES)
  source.startTraffic({ seed: 5, rate: 0, count: 20_000 })
  stall(() => !source.trafficRunning())
  const issued = await drain(tally)
  expect(tally.lost).toBeGreaterThan(0)
  expect(tally.starts + tally.ends + tally.lost).toBe(2 * issued)
  expect(droppedByDriver(source)).toBe(tally.lost)
})

test('JavaScript that stands still while the rings overflow costs what is counted, and no more memory', async () => {
  start(source)
  const tally = new Tally(source, 8, MIN_DATA_BYTES)
  source.startTraffic({ seed: 8, rate: 0, count: 0 })
  stall(() => droppedByDriver(source) >= 1000)
  const slots = tally.snapshot()
  stall(() => droppedByDriver(source) >= 100_000)
  expect(tally.snapshot().equals(slots)).toBe(true)
  expect(tally.batches).toBe(0)
  source.stopTraffic()
  stop(source)
  await tally.ended
  const issued = source.issued()[ECHO]
  expect(tally.lost).toBeGreaterThanOrEqual(100_000)
  expect(droppedByDriver(source)).toBe(tally.lost)
  expect(tally.starts + tally.lostStarts).toBe(issued)
  expect(tally.ends + tally.lost - tally.lostStarts).toBe(issued)
})

test('stopPump leaves full slots to be emptied, and a new pump goes on where it was', async () => {
  start(source)
  const first = new Tally(source, 4)
  source.startTraffic({ seed: 6, rate: 0, count: 20_000 })
  await until(() => first.batches > 0)
  source.stopPump()
  expect(source.pumping()).toBe(false)
  first.empty()
  const second = new Tally(source, 4)
  const issued = await drain(second)
  expect(first.lost + second.lost).toBe(0)
  expect(first.starts + second.starts).toBe(issued)
  expect(first.ends + second.ends).toBe(issued)
})

test('a second pump is refused while the first runs', () => {
  start(source)
  new Tally(source, 4)
  expect(() => new Tally(source, 4)).toThrow('running already')
})

test('close in the middle of pumping, over and over', () => {
  for (let round = 0; round < 10; round++) {
    start(source)
    new Tally(source, 2, MIN_DATA_BYTES)
    source.startTraffic({ seed: round, rate: 0, count: 0 })
    if (round % 2 === 0) stall(() => source.issued()[ECHO] >= 1000)
    source.close()
    expect(source.pumping()).toBe(false)
    source = loadBinding().openSim()
    hello(source)
    addDriver(source, ECHO)
  }
})

test('close from within the doorbell', async () => {
  start(source)
  const slots = new Uint8Array(new SharedArrayBuffer(2 * (64 + MIN_DATA_BYTES)))
  const closed = new Promise<void>((resolve) => {
    source.startPump(slots, 2, MIN_DATA_BYTES, () => {
      source.close()
      resolve()
    })
  })
  source.startTraffic({ seed: 7, rate: 0, count: 0 })
  await closed
  expect(source.pumping()).toBe(false)
})

test('without a capture there is nothing to pump: it ends at once, in good order', async () => {
  const tally = new Tally(source, 2)
  await tally.ended
  expect(tally.error).toBeNull()
  expect(tally.batches).toBe(0)
})
