// ends.test.ts: how things end that do not end well, or not by themselves: the watched program dies, the client dies,
// the driver is unloaded.

import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { expect, it } from 'vitest'
import {
  bootForThisFile,
  drivers,
  endRecorder,
  type Program,
  rowsOf,
  rowsOfRecords,
  runCaller,
  startCaller,
  startRecorder,
  until,
} from './booted.ts'
import { readTruth, requestsOf } from './truth.ts'
import { comparable } from './what-wine-cannot-show.ts'

/** The driver's own (slotRestMs), and the two looks that follow it. */
const restMs = 14_000

const snap = { input: 256, output: 256 }

// A developer's test machine, where the driver may be unloaded.
const { machine, folder } = bootForThisFile({ allowUnload: true })

function newFolder(name: string): string {
  const path = join(folder, name)
  mkdirSync(path)
  return path
}

/** A program that has requests pending for as long as it lives. */
async function startHolder(at: string): Promise<Program> {
  const holder = startCaller(machine, 'hold', at)
  await until(holder, 'requests that pend', () => answeredIn(join(at, 'held.truth.jsonl')))
  return holder
}

function answeredIn(truthFile: string): boolean {
  try {
    return readFileSync(truthFile, 'utf8').includes('"answer":"ready"')
  } catch {
    return false // not yet
  }
}

/** A client comes, finds nothing hooked, hooks, captures, and leaves; each of its requests has one row. */
async function lookAround(name: string): Promise<void> {
  const at = newFolder(name)
  await runCaller(machine, 'look', at)
  const truth = readTruth(join(at, 'found.truth.jsonl'), snap)
  const rows = rowsOfRecords(join(at, 'found.records')).filter(({ pid }) => pid === truth.process)
  expect(comparable(truth.threads).flat()).toHaveLength(10)
  expect(comparable(requestsOf(rows))).toEqual(comparable(truth.threads))
}

it('shows the requests of a program that was killed as cancelled', async () => {
  const at = newFolder('killed-caller')
  const file = join(at, 'capture.pcapng')
  const recorder = await startRecorder(machine, file, [drivers.echo])
  const holder = await startHolder(at)
  holder.kill()
  await holder.ended
  const truth = readTruth(join(at, 'held.truth.jsonl'), snap)
  const held = () => rowsOf(file).filter((row) => row.pid === truth.process && row.pended)
  await until(recorder, 'the end of what was pending', () => held().length === 4)
  await endRecorder(recorder)
  expect(held().map(({ status, cancelled }) => [status, cancelled])).toEqual(
    Array(4).fill(['STATUS_CANCELLED', true]),
  )
})

it('unhooks when its client is killed, and harms nobody', async () => {
  const at = newFolder('killed-client')
  const recorder = await startRecorder(machine, join(at, 'capture.pcapng'), [drivers.echo, drivers.layer])
  const holder = await startHolder(at)
  recorder.kill()
  await recorder.ended
  await lookAround('after-killed-client')
  // Its requests came while the dead client's hooks were there, and end now.
  holder.kill()
  await holder.ended
  await lookAround('after-killed-caller')
})

it('a hooked driver may be unloaded, and loaded and hooked again', async () => {
  const at = newFolder('unloaded-target')
  const recorder = await startRecorder(machine, join(at, 'before.pcapng'), [drivers.layer, drivers.echo])
  expect(await machine.stopDriver('DrivermonLayer')).toBe(false)
  await until(recorder, 'word of it', () => recorder.stderr().includes('has been unloaded'))
  recorder.interrupt()
  const { status, stderr } = await recorder.end(30_000)
  expect([status, stderr]).toEqual([
    1,
    expect.stringContaining(`${drivers.layer} has been unloaded; it is watched no longer.`),
  ])
  await machine.startDriver('DrivermonLayer')
  const file = join(at, 'after.pcapng')
  const next = await startRecorder(machine, file, [drivers.layer, drivers.echo])
  await runCaller(machine, 'ask', at)
  await endRecorder(next)
  const truth = readTruth(join(at, 'truth.jsonl'), snap)
  const rows = rowsOf(file).filter(({ pid, driver }) => pid === truth.process && driver === drivers.layer)
  const issued = comparable(truth.threads).map((all) => all.filter(({ driver }) => driver === drivers.layer))
  expect(rows.length).toBeGreaterThan(800)
  expect(comparable(requestsOf(rows))).toEqual(issued.filter((requests) => requests.length > 0))
})

it('a fast-I/O routine that raises leaves nothing behind', async () => {
  const at = newFolder('raised')
  await runCaller(machine, 'raise', at)
  const { process, answers } = readTruth(join(at, 'raised.truth.jsonl'), snap)
  expect(answers.get('raiser')).toEqual(['1', '0', '2', '1', '0', '2'])
  expect(answers.get('in flight')).toEqual(['0'])
  const rows = rowsOfRecords(join(at, 'raised.records')).filter(({ pid }) => pid === process)
  const asked = rows.filter((row) => row.function === 'FAST_IO_QUERY_BASIC_INFO')
  const round = [
    ['done', 'STATUS_SUCCESS'],
    ['done', null],
    ['unseen', 'STATUS_UNHANDLED_EXCEPTION'],
  ]
  expect(asked.map(({ state, status }) => [state, status])).toEqual([...round, ...round])
  const controls = rows.filter((row) => row.function === 'IRP_MJ_DEVICE_CONTROL')
  expect(controls.map(({ state, status }) => [state, status])).toEqual(Array(6).fill(round[0]))
})

it('may be unloaded after a rest, and loaded again', async () => {
  const at = newFolder('unloaded')
  await endRecorder(await startRecorder(machine, join(at, 'capture.pcapng'), [drivers.echo]))
  // No polling: Wine forgets a driver that has once refused to be unloaded, and asks it no more.
  await setTimeout(restMs)
  expect(await machine.stopDriver()).toBe(false)
  await machine.startDriver()
  await lookAround('after-unloading')
  // Hooked again, for a moment.
  expect(await machine.stopDriver()).toBe(true)
  await lookAround('after-refusal')
})
