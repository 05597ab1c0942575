// sessions.test.ts: one client's captures (caller/sessions.cpp), by the real driver under Wine and by the same code on
// the simulated machine. Each leaves the rows that its caller says it must, and so both leave the same.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { bootForThisFile, rowsOfRecords, runCaller, runCallerSimulated } from './booted.ts'
import { readTruth, requestsOf } from './truth.ts'
import { comparable } from './what-wine-cannot-show.ts'

/** By session: requests recorded, and what is kept of each input and output. */
const sessions = [
  { name: 'functions', requests: 8 },
  { name: 'codes', requests: 13 },
  { name: 'errors', requests: 2 },
  { name: 'slow', requests: 1 },
  { name: 'processes', requests: 10 },
  { name: 'drivers', requests: 10 },
  { name: 'own', requests: 10 },
  { name: 'changed', requests: 30 },
  { name: 'snapped', requests: 10, snap: { input: 11, output: 33 } },
  { name: 'in-flight', requests: 4 },
  { name: 'stopped', requests: 3 },
  { name: 'hooked-again', requests: 29 },
]

const hold = 'major 14 code 00222418'
const read = 'major 3 code 00000000'
const heldBack = `${hold}, its start held back`
const end = 'that is all'

const { machine, folder } = bootForThisFile()
const kernels = { Wine: join(folder, 'wine'), 'the simulated kernel': join(folder, 'simulated') }

beforeAll(async () => {
  for (const each of Object.values(kernels)) mkdirSync(each)
  await runCaller(machine, 'sessions', kernels.Wine)
  runCallerSimulated('sessions', kernels['the simulated kernel'])
})

it('counts every request of many threads while hooks come and go', async () => {
  await runCaller(machine, 'stress', '4')
  runCallerSimulated('stress', '4')
})

describe.each(Object.entries(kernels))('on %s', (_, from) => {
  it.each(sessions)('$name: has the rows that there must be', ({ name, requests, snap }) => {
    const truth = readTruth(join(from, `${name}.truth.jsonl`), snap ?? { input: 256, output: 256 })
    const rows = rowsOfRecords(join(from, `${name}.records`)).filter(({ pid }) => pid === truth.process)
    const issued = comparable(truth.threads)
    expect(issued.flat()).toHaveLength(requests)
    expect(comparable(requestsOf(rows))).toEqual(issued)
  })

  it('own: what is left out is counted', () => {
    const { answers } = readTruth(join(from, 'own.truth.jsonl'), { input: 256, output: 256 })
    expect(answers.get('counted')).toEqual(['7', '14'])
  })

  it('sampled: one request in three, and the others are counted', () => {
    const truth = readTruth(join(from, 'sampled.truth.jsonl'), { input: 256, output: 256 })
    const issued = comparable(truth.threads).flat()
    const rows = rowsOfRecords(join(from, 'sampled.records')).filter(({ pid }) => pid === truth.process)
    const recorded = comparable(requestsOf(rows)).flat()
    expect(issued).toHaveLength(60)
    expect(recorded.length + Number(truth.answers.get('sampled out'))).toBe(60)
    expect(recorded.length).toBeGreaterThanOrEqual(20)
    expect(recorded.length).toBeLessThan(40)
    // Each is one that was asked, in the order of asking.
    const places = recorded.map((request) => issued.findIndex(({ input }) => input === request.input))
    expect(recorded).toEqual(places.map((place) => issued[place]))
    expect(places).toEqual(places.toSorted((a, b) => a - b))
  })

  it('in-flight: what is under way is listed as long as it is', () => {
    const { answers } = readTruth(join(from, 'in-flight.truth.jsonl'), { input: 256, output: 256 })
    expect(answers.get('GetInFlight')).toEqual([
      ...[end],
      ...[hold, read, end],
      ...[hold, read, heldBack, end],
      ...[read, heldBack, end],
      ...[end],
    ])
  })
})
