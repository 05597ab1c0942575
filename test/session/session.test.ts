// session.test.ts: a session over the fake source: order, truth, and what it does when something breaks.

import { execFileSync } from 'node:child_process'
import { closeSync, constants, existsSync, mkdtempSync, openSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Capture } from '../../src/model/capture.ts'
import { DEFAULT_PREDICATES, DEFAULT_SETTINGS } from '../../src/protocol/capture-settings.ts'
import type { Ticks } from '../../src/protocol/ids.ts'
import { encodeProcess } from '../../src/protocol/records.ts'
import { loadCaptureFile, loadCaptureFiles } from '../../src/session/capture-file.ts'
import { DriverRefusal } from '../../src/session/driver.ts'
import { Session, type SessionOptions } from '../../src/session/session.ts'
import { loss } from '../support/records.ts'
import { driverError, type FakeOptions, FakeSource } from './fake-source.ts'

/** A record of 64 KB. */
const LARGE = { processId: 4, parentProcessId: 0, event: 0, name: 'x'.repeat(32_000) }

let folder: string
const opened: Session[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'drivermon-'))
})
afterEach(async () => {
  for (const session of opened.splice(0)) await session.close()
  rmSync(folder, { recursive: true })
})

function open(options: Partial<SessionOptions> = {}, fake: FakeOptions = {}) {
  const source = new FakeSource(fake)
  const session = new Session(source, {
    version: 'test',
    native: undefined,
    traffic: { seed: 7, rate: 0, count: 1000 },
    ...options,
  })
  opened.push(session)
  const problems: string[] = []
  session.subscribe({ state: () => {}, problem: (message) => problems.push(message) })
  return { source, session, problems }
}

async function trafficEnds(source: FakeSource): Promise<void> {
  while (source.trafficRunning()) await new Promise((resolve) => setImmediate(resolve))
}

function rowsOf(session: Session): number {
  return session.capture.endRow
}

describe('Session', () => {
  it('does things in the order that loses nothing', async () => {
    const { source, session } = open()
    session.addDriver('\\Driver\\AFD')
    session.start()
    await trafficEnds(source)
    await session.stop()
    const order = source.calls.filter((call) => call !== 'processes')
    expect(order).toEqual(['hello', 'addDriver', 'start', 'startPump', 'startTraffic', 'stopTraffic', 'stop'])
  })

  it('has a row for every request that was issued to a hooked driver', async () => {
    const { source, session } = open()
    session.addDriver('AFD')
    session.addDriver('drivermonecho')
    session.start()
    await trafficEnds(source)
    await session.stop()
    expect(session.issued()).toEqual({ '\\Driver\\AFD': 500, '\\Driver\\DrivermonEcho': 500 })
    expect(rowsOf(session)).toBe(1000)
    expect(session.capture.inFlight).toBe(0)
    expect(session.capture.unpairedEnds).toBe(0)
    expect(session.capture.ended).toBe(true)
  })

  it('accounts for every request when the ring is too small', async () => {
    const { source, session } = open({}, { ringBytes: 4096 })
    session.addDriver('AFD')
    session.start()
    await trafficEnds(source)
    await session.stop()
    const { counters, capture } = session
    const droppedStarts = counters?.drops.starts.reduce((a, b) => a + b, 0) ?? 0
    expect(droppedStarts).toBeGreaterThan(0)
    expect(capture.endRow - capture.unpairedEnds + droppedStarts).toBe(500)
    expect(session.gauges().droppedStarts[0]).toBe(droppedStarts)
  })

  it('names drivers and processes', async () => {
    const { source, session } = open()
    session.addDriver('AFD')
    session.start()
    await trafficEnds(source)
    await session.stop()
    const names = new Set<string>()
    for (const request of session.capture.requests('')) names.add(request.text('process'))
    expect([...names].sort()).toEqual(['System', 'chrome.exe', 'svchost.exe'])
    expect([...session.capture.drivers.values()]).toEqual(['\\Driver\\AFD'])
    expect(source.calls.filter((call) => call === 'processes')).toHaveLength(1)
  })

  it('knows the name of whoever asks from the first row on', async () => {
    const { source, session } = open({ traffic: null })
    session.addDriver('AFD')
    session.start()
    expect(session.capture.processes.nameAt(1208, 0)).toBe('chrome.exe')
    source.issue(10)
    await session.stop()
    expect(source.calls.filter((call) => call === 'processes')).toHaveLength(1)
  })

  it('lists what is in flight, the oldest first, by the names of driver and process', () => {
    const { session } = open({ traffic: null })
    session.addDriver('AFD')
    session.start()
    const listed = session.inFlight().requests.map(({ driverName, processId, processName, held }) => {
      return { driverName, processId, processName, held }
    })
    const chrome = { driverName: '\\Driver\\AFD', processId: 1208, processName: 'chrome.exe' }
    expect(listed).toEqual([
      { ...chrome, held: true },
      { ...chrome, held: false },
    ])
  })

  it('learns the name of whoever comes later, with his first rows', async () => {
    const { source, session } = open({ traffic: null })
    session.addDriver('AFD')
    await session.record(join(folder, 'late.pcapng'))
    session.start()
    source.issue(10)
    await until(() => rowsOf(session) === 5)
    const late = { processId: 7000, parentProcessId: 4, name: 'late.exe' }
    source.running.splice(0, source.running.length, late)
    source.issue(10)
    await until(() => session.capture.processes.nameAt(7000, Number.MAX_SAFE_INTEGER) !== '')
    await session.stop()
    const { capture } = await loadCaptureFile(join(folder, 'late.pcapng'), { budgetBytes: 64 << 20 })
    for (const each of [session.capture, capture]) {
      const names = [...each.requests('pid == 7000')].map((request) => request.text('process'))
      expect(new Set(names)).toEqual(new Set(['late.exe']))
    }
  })

  it('asks what ids mean when records of processes were lost', async () => {
    const { source, session } = open({ traffic: null })
    session.addDriver('AFD')
    session.start()
    source.issue(10)
    await until(() => rowsOf(session) === 5)
    // The id of one that is known has gone to another, and nobody has said so.
    const [known] = source.running
    source.running.splice(0, 1, { ...known, name: 'successor.exe' })
    source.inject(loss([], [], 2))
    const nameNow = () => session.capture.processes.nameAt(known.processId, Number.MAX_SAFE_INTEGER)
    await until(() => nameNow() === 'successor.exe')
    await session.stop()
  })

  it('takes smaller rings where memory is short, unless it was told which', async () => {
    const { source, session } = open({ traffic: null }, { mostRingBytes: 1 << 20 })
    session.addDriver('AFD')
    session.start()
    expect(source.calls.filter((call) => call === 'start').length).toBeGreaterThan(1)
    await session.stop()
    const told = open({ traffic: null, ringBytes: 1 << 23 }, { mostRingBytes: 1 << 20 })
    told.session.addDriver('AFD')
    expect(() => told.session.start()).toThrow('choose smaller ones')
  })

  it('lets the oldest rows go when it may take less memory, and says how much it may take', async () => {
    const { source, session } = open({ traffic: null, budgetBytes: 1 << 30 }, { ringBytes: 1 << 26 })
    session.addDriver('AFD')
    session.start()
    for (let rows = 2000; rows <= 150_000; rows += 2000) {
      source.issue(4000)
      await until(() => rowsOf(session) === rows)
    }
    const before = session.capture.storeBytes
    session.setBudget(before / 2)
    expect(session.capture.storeBytes).toBeLessThanOrEqual(before / 2)
    expect(session.capture.evictedRows).toBeGreaterThan(0)
    await session.stop()
    session.start()
    expect(session.capture.budgetBytes).toBe(before / 2)
  })

  it('starts anew with an empty capture', async () => {
    const { source, session } = open()
    session.addDriver('AFD')
    session.start()
    await trafficEnds(source)
    await session.stop()
    const first = session.capture
    session.start()
    expect(session.capture).not.toBe(first)
    await trafficEnds(source)
    await session.stop()
    expect(rowsOf(session)).toBe(500)
    expect(first.endRow).toBe(500)
  })

  it('counts from nothing after each start, from the first moment on', async () => {
    const { source, session } = open({ traffic: null })
    const arrivals = () => session.gauges().functions.reduce((sum, [, , count]) => sum + count, 0)
    session.addDriver('AFD')
    session.start()
    source.issue(100)
    await session.stop()
    expect(arrivals()).toBe(50)
    session.start()
    expect(arrivals()).toBe(0)
  })

  it('keeps capturing after clear', async () => {
    const { source, session } = open({ traffic: null })
    session.addDriver('AFD')
    session.start()
    source.issue(10)
    session.clear()
    source.issue(20)
    await session.stop()
    expect([...session.capture.drivers.values()]).toEqual(['\\Driver\\AFD'])
    expect(session.capture.starts).toBe(15)
    expect([session.capture.unpairedEnds, session.capture.inFlight]).toEqual([0, 0])
  })

  it('refuses a driver of another version, and says which side is older', () => {
    const source = new FakeSource({ abiVersion: 99 })
    expect(() => new Session(source, { version: 'test', native: undefined, traffic: null })).toThrow(
      /this program is older/,
    )
    expect(source.closed).toBe(true)
  })

  it.each([
    ['nosuch', /\\Driver\\nosuch: there is no such driver\. .*drivermon drivers/],
    ['x'.repeat(600), /512/],
  ])('says what to do about the driver name %s', (name, message) => {
    const { session } = open()
    expect(() => session.addDriver(name)).toThrow(DriverRefusal)
    expect(() => session.addDriver(name)).toThrow(message)
  })

  it.each([
    [0xc0000022, 'this driver may not be hooked'],
    [0xc0000056, 'it is being unloaded; try again'],
    [0xc00000a3, 'it is being loaded; try again'],
  ])('says why a driver cannot be hooked: %i', (addStatus, message) => {
    const { session } = open({}, { addStatus })
    expect(() => session.addDriver('AFD')).toThrow(message)
    expect(session.state().drivers).toEqual([])
  })

  it('knows a hooked driver by any case of its name', () => {
    const { session } = open()
    session.addDriver('afd')
    expect(() => session.addDriver('\\Driver\\AFD')).toThrow('it is hooked already')
    session.removeDriver('\\DRIVER\\AFD')
    expect(session.state().drivers).toEqual([])
    expect(() => session.removeDriver('AFD')).toThrow('it is not hooked')
  })

  it.each([
    { functions: 1 << 14, fastIo: false },
    { functions: 0, fastIo: true },
    { functions: 0, fastIo: false, unload: true },
  ])('says that ours stays where another hook sits on top: %j', async (chained) => {
    const { session, problems } = open({ traffic: null }, { chained })
    session.addDriver('AFD')
    session.addDriver('DrivermonEcho')
    const stays = 'another hook sits on top of ours, which therefore stays in place and passes on.'
    session.removeDriver('AFD')
    expect(problems).toEqual([`\\Driver\\AFD: ${stays}`])
    await session.close()
    expect(problems.slice(1)).toEqual([`\\Driver\\DrivermonEcho: ${stays}`])
  })

  it('says nothing of a hook that is gone', async () => {
    const { source, session, problems } = open({ traffic: null })
    session.addDriver('AFD')
    session.addDriver('DrivermonEcho')
    session.removeDriver('AFD')
    source.unload('\\Driver\\DrivermonEcho')
    await session.close()
    expect([problems, source.closed]).toEqual([[], true])
  })

  it('refuses what does not go now', async () => {
    const { session } = open()
    expect(() => session.start()).toThrow('add one first')
    session.addDriver('AFD')
    session.start()
    expect(() => session.start()).toThrow('running already')
    const stopping = session.stop()
    expect(() => session.start()).toThrow('still stopping')
    await stopping
    await session.stop()
    expect(session.running).toBe(false)
  })

  it('stops and says so when the records make no sense', async () => {
    const { source, session, problems } = open({ traffic: null })
    session.addDriver('AFD')
    session.start()
    await session.record(join(folder, 'damaged.pcapng'))
    source.inject(new Uint8Array(64).fill(0xff))
    await until(() => !session.running)
    expect(problems).toEqual([expect.stringContaining('cannot be understood')])
  })

  it('tells the driver what to record only where that is not what it has', () => {
    const { source, session } = open()
    expect(source.calls).not.toContain('setPredicates')
    const predicates = { ...DEFAULT_PREDICATES, sampleEvery: 3 }
    session.configure({ ...DEFAULT_SETTINGS, predicates })
    session.configure({ ...DEFAULT_SETTINGS, predicates, inputSnapLength: 9 })
    expect(source.calls.filter((call) => call === 'setPredicates')).toHaveLength(1)
    expect(session.state()).toMatchObject({ recordedOnly: '1 in 3', settings: { inputSnapLength: 9 } })
    session.configure(DEFAULT_SETTINGS)
    expect(session.state().recordedOnly).toBe('')
    expect(source.calls.filter((call) => call === 'setPredicates')).toHaveLength(2)
  })

  it('only counts the requests of a driver, whenever it is hooked', async () => {
    const drivers = { mode: 'allBut', values: ['\\driver\\drivermonecho'] } as const
    const predicates = { ...DEFAULT_PREDICATES, drivers }
    const { source, session } = open({ traffic: null, settings: { ...DEFAULT_SETTINGS, predicates } })
    session.addDriver('AFD')
    session.addDriver('DrivermonEcho')
    session.start()
    source.issue(20)
    await session.stop()
    expect([rowsOf(session), session.counters?.filteredStarts]).toEqual([10, 10])
    session.removeDriver('DrivermonEcho')
    session.addDriver('DrivermonEcho')
    session.start()
    source.issue(20)
    await session.stop()
    expect([rowsOf(session), session.counters?.filteredStarts]).toEqual([10, 10])
  })

  it('notices that a driver has unloaded', async () => {
    const { source, session, problems } = open({ traffic: null })
    session.addDriver('AFD')
    session.addDriver('DrivermonEcho')
    session.start()
    source.unload('\\Driver\\AFD')
    await until(() => problems.length > 0)
    expect(problems).toEqual(['\\Driver\\AFD has been unloaded; it is watched no longer.'])
    expect(session.state().drivers.map(({ name }) => name)).toEqual(['\\Driver\\DrivermonEcho'])
  })

  it('stops and says so when the driver has stopped by itself', async () => {
    const { source, session, problems } = open()
    session.addDriver('AFD')
    session.start()
    source.breakPump(null)
    await until(() => !session.running)
    expect(problems).toEqual(['The capture has ended by itself: the driver has stopped'])
  })

  it('stops and says so when the pump breaks', async () => {
    const { source, session, problems } = open()
    session.addDriver('AFD')
    session.start()
    source.breakPump(driverError('the device is gone', 0xc000009d))
    await until(() => !session.running)
    expect(problems).toEqual(['The capture has ended by itself: the device is gone'])
  })
})

describe('Session, recording', () => {
  const budgetBytes = 64 << 20

  it('writes a file that reads back as the same rows', async () => {
    const { source, session } = open()
    const path = join(folder, 'x.pcapng')
    session.addDriver('AFD')
    session.addDriver('DrivermonEcho')
    await session.record(path)
    expect(session.state().recording).toBe(path)
    session.start()
    await trafficEnds(source)
    await session.stop()
    expect(session.state().recording).toBe('')
    const { capture, info, warnings } = await loadCaptureFile(path, { budgetBytes })
    expect(warnings).toEqual([])
    expect(info).toMatchObject({ source: 'sim', os: 'Simulated kernel', application: 'DriverMon test' })
    expect([...describeRows(capture)]).toEqual([...describeRows(session.capture)])
    expect(capture.endRow).toBe(1000)
  })

  it('carries names and hooked drivers into a recording that began in the middle', async () => {
    const { source, session } = open({ traffic: null })
    const path = join(folder, 'x.pcapng')
    session.addDriver('AFD')
    session.start()
    source.issue(10)
    await until(() => rowsOf(session) >= 5)
    await session.record(path)
    source.issue(20)
    await until(() => rowsOf(session) >= 15)
    await session.stopRecord()
    source.issue(20)
    await session.stop()
    const { capture } = await loadCaptureFile(path, { budgetBytes })
    expect(capture.endRow).toBe(10)
    for (const request of capture.requests('')) {
      expect(request.text('driver')).toBe('\\Driver\\AFD')
      expect(request.text('process')).not.toBe('')
    }
  })

  it('says in the file what was recorded, and where that changed', async () => {
    const { session } = open({ traffic: null })
    const path = join(folder, 'x.pcapng')
    session.addDriver('AFD')
    const only = (sampleEvery: number) =>
      session.configure({ ...DEFAULT_SETTINGS, predicates: { ...DEFAULT_PREDICATES, sampleEvery } })
    only(2)
    await session.record(path)
    session.start()
    only(3)
    only(1)
    await session.stop()
    const { info } = await loadCaptureFile(path, { budgetBytes })
    expect(info.recordedOnly).toBe('1 in 2, then 1 in 3, then all requests')
  })

  it('says so, too, where it changed while the file was being opened', async () => {
    const { session } = open({ traffic: null })
    const only = (sampleEvery: number) =>
      session.configure({ ...DEFAULT_SETTINGS, predicates: { ...DEFAULT_PREDICATES, sampleEvery } })
    only(2)
    for (const [name, during, words] of [
      ['changed.pcapng', [3], '1 in 2, then 1 in 3'],
      ['back.pcapng', [2, 3], '1 in 3'],
    ] as const) {
      const path = join(folder, name)
      const recording = session.record(path)
      for (const sampleEvery of during) only(sampleEvery)
      await recording
      await session.stopRecord()
      const { info } = await loadCaptureFile(path, { budgetBytes })
      expect(info.recordedOnly).toBe(words)
    }
  })

  it.runIf(existsSync('/dev/full'))('goes on without the file when the disk is full', async () => {
    const { source, session, problems } = open()
    session.addDriver('AFD')
    await session.recordTo('/dev/full', null, true)
    session.start()
    await trafficEnds(source)
    await session.stop()
    expect(problems).toEqual([expect.stringContaining('/dev/full: recording stopped: the disk is full')])
    expect(session.state()).toMatchObject({ recording: '', recordingFailure: problems[0] })
    expect(rowsOf(session)).toBe(500)
    // Also those that came after the failure: a driver, three processes, and two records of each request.
    expect(session.recordCounts).toEqual({ offered: 1004, written: 0, discarded: 1004 })
    await session.record(join(folder, 'x.pcapng'))
    expect(session.state().recordingFailure).toBe('')
  })

  it.runIf(existsSync('/dev/full'))('says so when it is the end of the file that finds no room', async () => {
    const { session, problems } = open({ traffic: null })
    session.addDriver('AFD')
    session.start()
    const recording = session.recordTo('/dev/full', null, true)
    await recording
    await session.stop()
    expect(problems).toEqual([expect.stringContaining('/dev/full: recording stopped: the disk is full')])
    expect(session.state()).toMatchObject({ recording: '', recordingFailure: problems[0] })
  })

  it.skipIf(process.platform === 'win32')('stops though the disk never answers, and says so', async () => {
    const { source, session, problems } = open({ traffic: null }, { ringBytes: 1 << 26 })
    const path = join(folder, 'fifo')
    execFileSync('mkfifo', [path])
    // Somebody who opens it and never reads: each write waits.
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      session.addDriver('AFD')
      session.start()
      await session.recordTo(path, null, true)
      // More than may wait for the disk, so that the capture is held up, too.
      const record = encodeProcess({ ...LARGE, at: 1 as Ticks })
      for (let i = 0; i < 400; i++) source.inject(record)
      source.issue(100)
      vi.useFakeTimers({ toFake: ['setInterval'] })
      let stopped = false
      void session.stop().then(() => {
        stopped = true
      })
      while (!stopped) {
        vi.advanceTimersByTime(20_000)
        await new Promise((resolve) => setImmediate(resolve))
      }
      expect(problems).toEqual([expect.stringContaining('the disk has not answered for 20 s')])
      expect(rowsOf(session)).toBe(50)
      const { offered, written, discarded } = session.recordCounts
      expect(written + discarded).toBe(offered)
      expect(offered).toBe(4 + 400 + 100)
    } finally {
      vi.useRealTimers()
      closeSync(reader)
    }
  })

  it('has stopped recording, for everyone who asks, when the file is whole', async () => {
    const { source, session } = open({ traffic: null }, { ringBytes: 1 << 24 })
    const path = join(folder, 'x.pcapng')
    session.addDriver('AFD')
    session.start()
    await session.record(path)
    source.issue(20_000)
    await until(() => rowsOf(session) === 10_000)
    void session.stopRecord()
    await session.stopRecord()
    const { capture, warnings } = await loadCaptureFile(path, { budgetBytes })
    expect([capture.endRow, warnings]).toEqual([10_000, []])
  })

  it('begins one recording, whoever asks at the same time, and leaves no other file', async () => {
    const { session } = open()
    const first = session.record(join(folder, 'x.pcapng'))
    await expect(session.record(join(folder, 'y.pcapng'))).rejects.toThrow('being begun already')
    await first
    expect(readdirSync(folder)).toEqual(['x.pcapng'])
  })

  it('leaves no file of a recording that comes too late', async () => {
    const { session } = open({ traffic: null })
    session.addDriver('AFD')
    session.start()
    const recording = session.record(join(folder, 'x.pcapng'))
    const stopping = session.stop()
    await expect(recording).rejects.toThrow('ended meanwhile')
    await stopping
    expect(readdirSync(folder)).toEqual([])
  })

  it('has every request in one of its files when it goes on in another', async () => {
    const { source, session, problems } = open({ traffic: null }, { ringBytes: 1 << 22 })
    session.addDriver('AFD')
    await session.record(join(folder, 'x.pcapng'), { sizeBytes: 8192, timeMs: 0, keep: 0 })
    const seen = new Set<string>()
    session.subscribe({ state: () => seen.add(session.state().recording), problem: () => {} })
    session.start()
    for (let i = 0; i < 20; i++) source.issue(50)
    await until(() => seen.size >= 3)
    await session.stop()
    const files = session.recordedFiles
    expect([files.length > 10, problems]).toEqual([true, []])
    let starts = 0
    for (const file of files) {
      const { capture } = await loadCaptureFile(file, { budgetBytes })
      starts += capture.starts
      for (const request of capture.requests('driver != ""'))
        expect(request.text('driver')).toBe('\\Driver\\AFD')
      for (const name of ['System', 'chrome.exe', 'svchost.exe']) expect(capture.processNames).toContain(name)
    }
    expect(starts).toBe(session.capture.starts)
    const { capture } = await loadCaptureFiles(files, { budgetBytes })
    expect([...describeRows(capture)]).toEqual([...describeRows(session.capture)])
  })

  it('records one file at a time, and overwrites none', async () => {
    const { session } = open()
    const path = join(folder, 'x.pcapng')
    await session.record(path)
    await expect(session.record(join(folder, 'y.pcapng'))).rejects.toThrow('running already')
    await session.stopRecord()
    await expect(session.record(path)).rejects.toThrow('exists already')
    await expect(session.record(' ')).rejects.toThrow('needs a file name')
  })
})

function* describeRows(capture: Capture): Iterable<string> {
  for (const request of capture.requests('')) yield JSON.stringify(request.detail())
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1))
}
