// recorder.test.ts: the recorder on disks that are slow, full, or broken.

import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { type FileHandle, open as openOnDisk } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Ticks } from '../../src/protocol/ids.ts'
import { encodeProcess } from '../../src/protocol/records.ts'
import type { Rotation } from '../../src/protocol/wire.ts'
import { loadCaptureFiles } from '../../src/session/capture-file.ts'
import { openRecorder, Recorder, type RecorderEvents } from '../../src/session/recorder.ts'
import { RecordingFiles } from '../../src/session/recording-files.ts'
import { TEST_INFO } from '../support/capture-file.ts'
import { concat, end, hooked, numbers, start } from '../support/records.ts'

/** The system's own, which may be told to fail: the tests may run as root, who may open anything. */
vi.mock(import('node:fs/promises'), async (original) => {
  const fs = await original()
  return { ...fs, open: vi.fn(fs.open) }
})

/** A record of 64 KB. */
const RECORD = encodeProcess({
  at: 1 as Ticks,
  processId: 4,
  parentProcessId: 0,
  event: 0,
  name: 'x'.repeat(32_000),
})

/** A file on a disk that takes nothing more. */
function withoutRoom(file: FileHandle): FileHandle {
  file.writev = () => Promise.reject(failure('ENOSPC'))
  return file
}

function failure(code: string): Error {
  return Object.assign(new Error(`what the system says of ${code}`), { code })
}

const SMALL = { at: 1 as Ticks, processId: 8, parentProcessId: 4, event: 0, name: 'small' }

const noEvents: RecorderEvents = {
  onDrained: () => {},
  onNextFile: () => {},
  onWarning: () => {},
  onError: () => {},
}

/** A file whose writes wait until they are let through, and which holds only so much. */
class FakeFile {
  size = 0
  closed = false
  room = Number.POSITIVE_INFINITY
  /** What it says when there is no room. */
  code = 'ENOSPC'
  #waiting: (() => void)[] = []
  held = false

  async writev(buffers: Uint8Array[]): Promise<{ bytesWritten: number }> {
    await this.#turn()
    if (this.room === 0) throw failure(this.code)
    const length = buffers.reduce((sum, buffer) => sum + buffer.byteLength, 0)
    const bytesWritten = Math.min(length, this.room)
    this.room -= bytesWritten
    this.size += bytesWritten
    return { bytesWritten }
  }
  async stat() {
    return { isFile: () => true, nlink: 1 }
  }
  async datasync(): Promise<void> {
    await this.#turn()
  }
  async truncate(size: number): Promise<void> {
    this.size = size
  }
  async close(): Promise<void> {
    this.closed = true
  }
  release(): void {
    this.held = false
    for (const go of this.#waiting.splice(0)) go()
  }
  /** Lets one go on, and holds the next. */
  releaseOne(): void {
    this.#waiting.shift()?.()
  }
  async #turn(): Promise<void> {
    if (this.held) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }
}

function setup(patienceMs?: number, rotation: Rotation | null = null) {
  const file = new FakeFile()
  const log: string[] = []
  const files = new RecordingFiles('x.pcapng', rotation, false)
  const events = {
    ...noEvents,
    onDrained: () => log.push('drained'),
    onError: (error: Error) => log.push(error.message),
  }
  const handle = file as unknown as FileHandle
  const recorder = new Recorder(files, 'x.pcapng', handle, TEST_INFO, undefined, events, patienceMs)
  return { file, files, log, recorder }
}

afterEach(() => {
  vi.useRealTimers()
})

const turn = () => new Promise((resolve) => setImmediate(resolve))

const MINUTE_MS = 60_000
/** Lets so many minutes go by for whoever waits for a disk. */
async function minutesPass(count: number): Promise<void> {
  vi.advanceTimersByTime(count * MINUTE_MS)
  await turn()
}

/** Lets the system take its time to put a file on the disk, until it is told that it has. */
function slowToSync(file: Pick<FileHandle, 'datasync'>): () => void {
  let synced = () => {}
  const done = new Promise<void>((resolve) => {
    synced = resolve
  })
  file.datasync = () => done
  return () => synced()
}

describe('Recorder', () => {
  it('holds the capture up while a slow disk catches up, and loses nothing', async () => {
    const { file, log, recorder } = setup()
    file.held = true
    let batches = 0
    let expected = 0
    do batches++
    while (recorder.append(RECORD) && batches < 2000)
    expect(batches).toBeLessThan(2000)
    expect(log).toEqual([])
    file.release()
    await turn()
    expect(log).toEqual(['drained'])
    expected = batches * RECORD.byteLength
    await recorder.finish()
    expect(file.closed).toBe(true)
    expect(recorder.writtenBytes).toBe(file.size)
    expect(file.size).toBeGreaterThanOrEqual(expected)
  })

  it('lets the capture go on though something small came while it was held up', async () => {
    const { file, log, recorder } = setup()
    file.held = true
    while (recorder.append(RECORD));
    // The first write is a small one.
    file.releaseOne()
    await turn()
    expect(log).toEqual([]) // there is room for more, but not yet for all that may come
    expect(recorder.append(encodeProcess({ ...SMALL, at: 2 as Ticks }))).toBe(false)
    file.release()
    await turn()
    expect(log).toEqual(['drained'])
    expect(recorder.append(RECORD)).toBe(true)
    await recorder.finish()
    const { offered, written } = recorder.counts
    expect(written).toBe(offered)
  })

  it('ends with a whole block when the disk is full, and lets the capture go on', async () => {
    const { file, log, recorder } = setup()
    recorder.append(concat([RECORD, encodeProcess(SMALL)]))
    await turn()
    const whole = file.size
    file.room = 1000
    recorder.append(RECORD)
    await turn()
    expect(log).toEqual([
      'x.pcapng: recording stopped: the disk is full: make room, or choose another one (to keep the newest only, rotate). Of 3 records so far 2 can be read',
    ])
    expect(file.size).toBe(whole)
    expect(recorder.append(concat([RECORD, RECORD]))).toBe(true)
    await recorder.finish()
    expect(recorder.counts).toEqual({ offered: 5, written: 2, discarded: 3 })
    expect(file.size).toBe(whole)
    expect(file.closed).toBe(true)
  })

  it('counts as written what a write that failed had brought through whole', async () => {
    const { file, recorder } = setup()
    await turn()
    const head = file.size
    file.room = 3 * (RECORD.byteLength + 48) + 1000
    recorder.append(concat([RECORD, RECORD, RECORD, RECORD, RECORD]))
    await turn()
    expect(recorder.counts).toEqual({ offered: 5, written: 3, discarded: 2 })
    expect(file.size).toBe(head + 3 * (RECORD.byteLength + 48))
    expect(recorder.writtenBytes).toBe(file.size)
  })

  it('counts so, too, where the write was one of several buffers', async () => {
    const { file, recorder } = setup()
    await turn()
    const head = file.size
    file.held = true
    recorder.append(RECORD)
    // While that one is on its way, more come than fit into one buffer.
    recorder.append(concat(new Array(40).fill(RECORD)))
    file.room = 31 * (RECORD.byteLength + 48) + 1000
    file.release()
    await turn()
    expect(recorder.counts).toEqual({ offered: 41, written: 31, discarded: 10 })
    expect(file.size).toBe(head + 31 * (RECORD.byteLength + 48))
    expect(recorder.writtenBytes).toBe(file.size)
  })

  it.each([
    ['ENOSPC', 'the disk is full: make room, or choose another one'],
    ['EDQUOT', 'your share of the disk is used up: make room'],
    ['EFBIG', 'the file may not become larger: rotate'],
    ['EIO', 'the disk reports an error: it may be failing'],
    ['ENXIO', 'the disk is gone'],
    ['EPIPE', 'nobody reads it any more'],
    ['EODD', 'it cannot be written to (EODD)'],
  ])('says what %s means', async (code, sentence) => {
    const { file, log, recorder } = setup()
    await turn()
    file.room = 0
    file.code = code
    recorder.append(RECORD)
    await recorder.finish()
    expect(log).toHaveLength(1)
    expect(log[0]).toContain(`x.pcapng: recording stopped: ${sentence}`)
  })

  it('ends though the disk never answers, says so, and lets the capture go on', async () => {
    const { file, log, recorder } = setup(5)
    file.held = true
    while (recorder.append(RECORD));
    await recorder.finish()
    expect(log).toEqual([expect.stringContaining('recording stopped: the disk has not answered'), 'drained'])
    const { offered, written, discarded } = recorder.counts
    expect(written + discarded).toBe(offered)
    expect(discarded).toBeGreaterThan(0)
    const { counts } = recorder
    file.release()
    await turn()
    expect(recorder.counts).toEqual(counts)
    expect(file.closed).toBe(true)
  })

  it('waits for a disk as long as it answers at all', async () => {
    const { file, log, recorder } = setup(100)
    file.held = true
    while (recorder.append(RECORD));
    const answers = setInterval(() => file.releaseOne(), 1)
    await recorder.finish()
    clearInterval(answers)
    expect(log).toEqual(['drained'])
    expect(recorder.counts.discarded).toBe(0)
  })

  it('waits for minutes while a slow disk gets what the system has kept back', async () => {
    vi.useFakeTimers({ toFake: ['setInterval'] })
    const { file, log, recorder } = setup()
    const synced = slowToSync(file)
    recorder.append(RECORD)
    const finished = recorder.finish()
    await turn()
    await minutesPass(9)
    expect([log, file.closed]).toEqual([[], false])
    synced()
    await finished
    expect([log, file.closed]).toEqual([[], true])
    expect(recorder.counts).toEqual({ offered: 1, written: 1, discarded: 0 })
  })

  it('does not wait for ever for a disk that never gets to the end of it', async () => {
    vi.useFakeTimers({ toFake: ['setInterval'] })
    const { file, log, recorder } = setup()
    slowToSync(file)
    recorder.append(RECORD)
    const finished = recorder.finish()
    await turn()
    while (log.length === 0) await minutesPass(1)
    await finished
    expect(log).toEqual([
      'x.pcapng: recording stopped: the disk has not answered for 600 s. Of 1 records so far 1 can be read',
    ])
  })

  /** Three files of a record each: a slow disk closes the first, the second is written, the third waits for its turn. */
  async function slowToSwitch() {
    vi.useFakeTimers({ toFake: ['setInterval'] })
    const { file, files, log, recorder } = setup(undefined, { sizeBytes: 1, timeMs: 0, keep: 0 })
    const synced = slowToSync(file)
    const next = vi.spyOn(files, 'next')
    next.mockImplementation(async () => ({ path: 'y.pcapng', file: new FakeFile() as unknown as FileHandle }))
    recorder.append(concat([RECORD, RECORD, RECORD]))
    const finished = recorder.finish()
    await turn()
    expect(next).toHaveBeenCalledTimes(1)
    return { log, recorder, next, synced, finished }
  }

  it('throws nothing away while a slow disk closes the file before', async () => {
    const { log, recorder, next, synced, finished } = await slowToSwitch()
    await minutesPass(9)
    synced()
    await finished
    expect(next).toHaveBeenCalledTimes(2)
    expect(log).toEqual([])
    expect(recorder.counts).toEqual({ offered: 3, written: 3, discarded: 0 })
  })

  it('says what is lost where the file before is never closed, and begins no other should it be after all', async () => {
    const { log, recorder, next, synced, finished } = await slowToSwitch()
    while (log.length === 0) await minutesPass(1)
    await finished
    expect(log).toEqual([
      expect.stringContaining('the disk has not answered for 600 s. Of 3 records so far 2'),
    ])
    expect(recorder.counts).toEqual({ offered: 3, written: 2, discarded: 1 })
    synced()
    await turn()
    expect(next).toHaveBeenCalledTimes(1)
  })

  it('lets a capture go on that was held up when the disk failed', async () => {
    const { file, log, recorder } = setup()
    file.held = true
    while (recorder.append(RECORD));
    file.room = 0
    file.release()
    await turn()
    expect(log).toEqual([expect.stringContaining('x.pcapng: recording stopped: the disk is full'), 'drained'])
    await recorder.finish()
  })

  it('has finished, for everyone who asks, when the file is closed', async () => {
    const { file, recorder } = setup()
    file.held = true
    recorder.append(RECORD)
    const first = recorder.finish()
    const second = recorder.finish().then(() => file.closed)
    await turn()
    file.release()
    expect(await second).toBe(true)
    await first
  })

  it('finishes once', async () => {
    const { file, recorder } = setup()
    await Promise.all([recorder.finish(), recorder.finish()])
    const { size } = file
    await recorder.finish()
    recorder.append(RECORD)
    await turn()
    expect(file.size).toBe(size)
  })
})

describe('openRecorder', () => {
  let folder: string
  const open = (path: string, overwrite: boolean) =>
    openRecorder(new RecordingFiles(path, null, overwrite), TEST_INFO, undefined, noEvents)
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'drivermon-'))
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  it('does not overwrite unless told to', async () => {
    const path = join(folder, 'x.pcapng')
    writeFileSync(path, 'precious')
    await expect(open(path, false)).rejects.toThrow('exists already')
    expect(readFileSync(path, 'utf8')).toBe('precious')
    await (await open(path, true)).finish()
    expect(readFileSync(path).readUInt32LE(0)).toBe(0x0a0d0d0a)
  })

  it('says so when somebody deletes the file, and that nothing of it can be read', async () => {
    const path = join(folder, 'x.pcapng')
    const log: string[] = []
    const files = new RecordingFiles(path, null, false)
    const recorder = await openRecorder(files, TEST_INFO, undefined, {
      ...noEvents,
      onError: ({ message }) => log.push(message),
    })
    recorder.append(RECORD)
    rmSync(path)
    await recorder.finish()
    expect(log).toEqual([
      `${path}: recording stopped: somebody has deleted the file. Of 1 records so far 0 can be read`,
    ])
    expect(recorder.counts).toEqual({ offered: 1, written: 0, discarded: 1 })
    expect([recorder.files, recorder.writtenBytes]).toEqual([[], 0])
  })

  it('takes a file that was moved for what it is', async () => {
    const path = join(folder, 'x.pcapng')
    const log: string[] = []
    const files = new RecordingFiles(path, null, false)
    const recorder = await openRecorder(files, TEST_INFO, undefined, {
      ...noEvents,
      onError: ({ message }) => log.push(message),
    })
    renameSync(path, `${path}-moved`)
    recorder.append(RECORD)
    await recorder.finish()
    expect(log).toEqual([])
    expect(statSync(`${path}-moved`).size).toBe(recorder.writtenBytes)
  })

  it.each([
    ['no/such/folder.pcapng', 'its folder does not exist'],
    ['.', 'is a folder: name a file in it'],
  ])('says why %s cannot be written', async (name, reason) => {
    await expect(open(join(folder, name), true)).rejects.toThrow(reason)
  })
})

describe('a recording in several files', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'drivermon-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const MINUTE = 60e7
  async function recording(rotation: Partial<Rotation>) {
    let time = Date.UTC(2026, 10, 22, 21, 30)
    const log: string[] = []
    const files = new RecordingFiles(
      join(folder, 'afd.pcapng'),
      { sizeBytes: 0, timeMs: 0, keep: 0, ...rotation },
      false,
      () => {
        time += 1000
        return new Date(time)
      },
    )
    const recorder = await openRecorder(files, TEST_INFO, undefined, {
      onDrained: () => log.push('drained'),
      onNextFile: () => log.push('next'),
      onWarning: (message) => log.push(message),
      onError: (error) => log.push(error.message),
    })
    let id = 1
    /** So many requests, a second apart each, in one batch. */
    const requests = (count: number) => {
      const ids = numbers(id, count)
      id += count
      const records = ids.flatMap((each) => [
        start({ id: each, at: each * 1e7, driverId: 1 }),
        end({ id: each, at: each * 1e7 + 5, arrival: each * 1e7, driverId: 1 }),
      ])
      recorder.append(concat(records))
    }
    recorder.append(concat([hooked(1, '\\Driver\\AFD'), RECORD_OF_PROCESS]))
    return { recorder, files, log, requests, names: () => readdirSync(folder).sort() }
  }
  const RECORD_OF_PROCESS = encodeProcess({
    at: 1 as Ticks,
    processId: 4,
    parentProcessId: 0,
    event: 0,
    name: 'System',
  })
  const load = (...names: string[]) =>
    loadCaptureFiles(
      names.map((name) => join(folder, name)),
      { budgetBytes: 64 << 20 },
    )

  it('goes on in another file before one gets too large; none is lost, and each is whole', async () => {
    const { recorder, requests, names, log } = await recording({ sizeBytes: 4096 })
    for (let batch = 0; batch < 10; batch++) requests(37)
    await recorder.finish()
    expect(names().length).toBeGreaterThan(20)
    expect(names().slice(0, 2)).toEqual([
      'afd_00000001_20261122T213001Z.pcapng',
      'afd_00000002_20261122T213002Z.pcapng',
    ])
    expect(recorder.files.map((path) => basename(path))).toEqual(names())
    expect(log).toEqual(new Array(names().length - 1).fill('next'))
    let rows = 0
    let bytes = 0
    for (const [i, name] of names().entries()) {
      const { capture, info, warnings } = await load(name)
      expect(statSync(join(folder, name)).size).toBeLessThanOrEqual(4096)
      expect({ warnings, series: info.series }).toEqual({ warnings: [], series: i + 1 })
      expect([...capture.drivers.values()]).toEqual(['\\Driver\\AFD'])
      expect(capture.processes.nameAt(4, 0)).toBe('System')
      rows += capture.starts
      bytes += statSync(join(folder, name)).size
    }
    expect(rows).toBe(370)
    expect(recorder.writtenBytes).toBe(bytes)
    const { capture, warnings } = await load(...names())
    expect(warnings).toEqual([])
    expect([capture.endRow, capture.unpairedEnds, capture.inFlight]).toEqual([370, 0, 0])
  })

  it('goes on in another file when one covers its time', async () => {
    const { recorder, requests, names } = await recording({ timeMs: MINUTE / 1e4 })
    requests(150)
    await recorder.finish()
    const rows = await Promise.all(names().map(async (name) => (await load(name)).capture.endRow))
    // The driver was hooked at second 0.
    expect(rows).toEqual([59, 60, 31])
  })

  it('leaves no empty file where the disk has no room for another', async () => {
    const { recorder, requests, names, log, files } = await recording({ sizeBytes: 4096 })
    await turn()
    const next = files.next.bind(files)
    files.next = async () => {
      const opened = await next()
      return { ...opened, file: withoutRoom(opened.file) }
    }
    requests(50)
    await recorder.finish()
    expect(log).toEqual(['next', expect.stringContaining('_00000002_')])
    expect(log[1]).toContain('the disk is full')
    expect(names()).toEqual(recorder.files.map((path) => basename(path)))
    expect(names()).toHaveLength(1)
    expect(recorder.writtenBytes).toBe(statSync(join(folder, names()[0])).size)
    expect((await load(names()[0])).warnings).toEqual([])
  })

  it('keeps the newest files, and deletes none but its own', async () => {
    const { recorder, requests, names, log } = await recording({ sizeBytes: 4096, keep: 3 })
    const first = 'afd_00000001_20261122T213001Z.pcapng'
    const others = ['afd_00000000_20261122T213000Z.pcapng', 'afd.pcapng', first, 'moved.pcapng']
    requests(1)
    // The first file is moved away, and another put in its place.
    renameSync(join(folder, first), join(folder, 'moved.pcapng'))
    for (const name of others.slice(0, 3)) writeFileSync(join(folder, name), 'precious')
    for (let batch = 0; batch < 10; batch++) requests(37)
    await recorder.finish()
    expect(recorder.files).toHaveLength(3)
    expect(names().filter((name) => !recorder.files.includes(join(folder, name)))).toEqual(others.sort())
    expect(log.filter((line) => line !== 'next')).toEqual([])
    const { capture, info } = await load(...recorder.files.map((path) => basename(path)))
    expect(info.series).toBeGreaterThan(20)
    expect(capture.endRow).toBeLessThan(100)
  })

  it('ends with a clear error when the next file cannot be begun; what there is can be read', async () => {
    const { recorder, requests, names, log } = await recording({ sizeBytes: 4096 })
    requests(5)
    // Whatever the second file's name: its folder is gone.
    await turn()
    const moved = `${folder}-moved`
    renameSync(folder, moved)
    requests(100)
    await recorder.finish()
    renameSync(moved, folder)
    expect(log).toEqual([
      expect.stringMatching(
        /afd_00000001.*: recording stopped: the next file cannot be begun: .*afd_00000002.*: its folder does not exist/,
      ),
    ])
    const { offered, written, discarded } = recorder.counts
    expect([offered, written + discarded]).toEqual([212, 212])
    expect(names()).toHaveLength(1)
    const { capture, warnings } = await load(names()[0])
    expect(warnings).toEqual([])
    expect(capture.starts).toBeGreaterThan(5)
    expect(written).toBe(2 + 2 * capture.starts - capture.inFlight)
  })

  it.each([
    ['EACCES', 'no right to write there: choose another folder'],
    ['EMFILE', 'too many files are open: close some programs'],
    ['EODD', 'cannot be written (EODD)'],
  ])('says what %s means for the next file', async (code, sentence) => {
    const { recorder, requests, log } = await recording({ sizeBytes: 4096 })
    vi.mocked(openOnDisk).mockRejectedValueOnce(failure(code))
    requests(50)
    await recorder.finish()
    expect(log).toEqual([expect.stringContaining('_00000002_')])
    expect(log[0]).toContain(`: ${sentence}. Of 102 records so far `)
  })

  it('counts what a full disk keeps out of the next file, but not what each file says again', async () => {
    const { recorder, requests, names, files } = await recording({ sizeBytes: 8192 })
    await turn()
    const next = files.next.bind(files)
    files.next = async () => {
      const opened = await next()
      const writev = opened.file.writev.bind(opened.file)
      let room = 5000
      opened.file.writev = async (buffers) => {
        if (room === 0) throw failure('ENOSPC')
        const part = concat([...(buffers as readonly Uint8Array[])]).subarray(0, room)
        room -= part.byteLength
        return { ...(await writev([part])), buffers }
      }
      return opened
    }
    requests(100)
    await recorder.finish()
    const { offered, written, discarded } = recorder.counts
    expect(offered).toBe(202)
    expect(written + discarded).toBe(offered)
    let readable = 2
    for (const name of names()) {
      const { capture, warnings } = await load(name)
      expect(warnings).toEqual([])
      readable += capture.starts + capture.endRow - capture.inFlight
    }
    expect(names()).toHaveLength(2)
    expect(written).toBe(readable)
  })
})
