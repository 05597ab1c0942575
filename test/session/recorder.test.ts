// recorder.test.ts: the recorder on disks that are slow, full, or broken.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { CaptureInfo } from '../../src/formats/capture-info.ts'
import { PcapngWriter } from '../../src/formats/pcapng-writer.ts'
import type { Ticks } from '../../src/protocol/ids.ts'
import { encodeProcess } from '../../src/protocol/records.ts'
import { openRecorder, Recorder } from '../../src/session/recorder.ts'

const INFO: CaptureInfo = {
  abiVersion: 1,
  ticksPerSecond: 1e7,
  anchorTicks: 0 as Ticks,
  anchorUtcMs: 0,
  os: 'test',
  application: 'test',
  source: 'sim',
  recordedOnly: '',
}
/** A record of 64 KB. */
const RECORD = encodeProcess({
  at: 1 as Ticks,
  processId: 4,
  parentProcessId: 0,
  event: 0,
  name: 'x'.repeat(32_000),
})

/** A file whose writes wait until they are let through, and which holds only so much. */
class FakeFile {
  size = 0
  closed = false
  room = Number.POSITIVE_INFINITY
  #waiting: (() => void)[] = []
  held = false

  async write(_bytes: Uint8Array, _from: number, length: number): Promise<{ bytesWritten: number }> {
    if (this.held) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    if (this.room === 0) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })
    const bytesWritten = Math.min(length, this.room)
    this.room -= bytesWritten
    this.size += bytesWritten
    return { bytesWritten }
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
}

function setup() {
  const file = new FakeFile()
  const log: string[] = []
  const recorder = new Recorder('x.pcapng', file as unknown as FileHandle, new PcapngWriter(INFO), {
    onDrained: () => log.push('drained'),
    onError: (error) => log.push(error.message),
  })
  return { file, log, recorder }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('Recorder', () => {
  it('holds the capture up while a slow disk catches up, and loses nothing', async () => {
    const { file, log, recorder } = setup()
    file.held = true
    let batches = 0
    let expected = 0
    do batches++
    while (recorder.append(RECORD) && batches < 1000)
    expect(batches).toBeLessThan(1000)
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

  it('ends with a whole block when the disk is full, and lets the capture go on', async () => {
    const { file, log, recorder } = setup()
    recorder.append(RECORD)
    await turn()
    const whole = file.size
    file.room = 1000
    recorder.append(RECORD)
    await turn()
    expect(log).toEqual(['x.pcapng: recording stopped: the disk is full'])
    expect(file.size).toBe(whole)
    expect(recorder.append(RECORD)).toBe(true)
    await recorder.finish()
    expect(file.size).toBe(whole)
    expect(file.closed).toBe(true)
  })

  it('lets a capture go on that was held up when the disk failed', async () => {
    const { file, log, recorder } = setup()
    file.held = true
    while (recorder.append(RECORD));
    file.room = 0
    file.release()
    await turn()
    expect(log).toEqual(['x.pcapng: recording stopped: the disk is full', 'drained'])
    await recorder.finish()
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
  const events = { onDrained: () => {}, onError: () => {} }
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'drivermon-'))
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  it('does not overwrite unless told to', async () => {
    const path = join(folder, 'x.pcapng')
    writeFileSync(path, 'precious')
    await expect(openRecorder(path, INFO, false, events)).rejects.toThrow('exists already')
    expect(readFileSync(path, 'utf8')).toBe('precious')
    await (await openRecorder(path, INFO, true, events)).finish()
    expect(readFileSync(path).readUInt32LE(0)).toBe(0x0a0d0d0a)
  })

  it.each([
    ['no/such/folder.pcapng', 'its folder does not exist'],
    ['.', 'is a folder'],
  ])('says why %s cannot be written', async (name, reason) => {
    await expect(openRecorder(join(folder, name), INFO, true, events)).rejects.toThrow(reason)
  })
})
