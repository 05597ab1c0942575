// capture-file.test.ts: the files of a recording read as one capture, also where some of them came to harm.

import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Capture } from '../../src/model/capture.ts'
import { CaptureFileError, loadCaptureFiles } from '../../src/session/capture-file.ts'
import { captureFile, type MemoryFile, TEST_INFO } from '../support/capture-file.ts'
import { endsAt, hooked, numbers, startsAt } from '../support/records.ts'

const OPTIONS = { budgetBytes: 64 << 20 }

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'drivermon-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

/** Puts what was written so far into a file. */
function saved({ bytes }: MemoryFile, name: string): string {
  const path = join(folder, name)
  writeFileSync(path, bytes())
  return path
}

describe('what was recorded', () => {
  /** Larger than the pieces in which a file is read. */
  const MUCH = startsAt(numbers(1, 40), { payload: new Uint8Array(60_000) })

  it('is told step by step, each once, over files of any size', async () => {
    const file = captureFile({ ...TEST_INFO, recordedOnly: 'PID 4; errors' })
    const { writer } = file
    writer.begin(1)
    writer.recordedOnly('errors')
    writer.write(MUCH)
    writer.recordedOnly('not READ')
    writer.end()
    const first = saved(file, '1')
    writer.begin(2)
    writer.write(MUCH)
    writer.recordedOnly('READ')
    writer.recordedOnly('')
    writer.end()
    const second = saved(file, '2')
    writer.begin(3)
    writer.write(MUCH)
    writer.recordedOnly('READ')
    writer.end()
    const third = saved(file, '3')
    const { info } = await loadCaptureFiles([first, second, third], OPTIONS)
    expect(info.recordedOnly).toBe(
      'PID 4; errors, then errors, then not READ, then READ, then all requests, then READ',
    )
    const { info: last } = await loadCaptureFiles([third], OPTIONS)
    expect(last.recordedOnly).toBe('all requests, then READ')
  })

  it('is not told where it is everything', async () => {
    const file = captureFile(TEST_INFO)
    file.writer.begin(1)
    file.writer.recordedOnly('')
    const first = saved(file, '1')
    file.writer.begin(2)
    const { info } = await loadCaptureFiles([first, saved(file, '2')], OPTIONS)
    expect(info.recordedOnly).toBe('')
  })
})

describe('of three files', () => {
  /** Of each file's ten requests the last two end in the next one. */
  let files: string[]
  beforeEach(() => {
    const file = captureFile(TEST_INFO)
    const { writer } = file
    files = [0, 10, 20].map((before, i) => {
      writer.begin(i + 1)
      writer.write(i === 0 ? hooked(1, '\\Driver\\AFD') : endsAt(numbers(before - 1, 2)))
      writer.write(startsAt(numbers(before + 1, 10)))
      writer.write(endsAt(numbers(before + 1, 8)))
      writer.end()
      return saved(file, `${i + 1}.pcapng`)
    })
  })

  const load = (paths = files) => loadCaptureFiles(paths, OPTIONS)
  const rowsOf = (capture: Capture) => Array.from(capture.requests(''), (request) => request.detail())

  function fillWithZeros(path: string, from: number): void {
    writeFileSync(path, readFileSync(path).fill(0, from))
  }
  const HEAD_DAMAGE: [string, (path: string) => void, string][] = [
    ['is empty', (path) => truncateSync(path, 0), 'the file ends before its first block does (at byte 0)'],
    ['is all zeros', (path) => fillWithZeros(path, 0), 'this is no pcapng file (at byte 0)'],
    ['ends in its head', (path) => truncateSync(path, 20), 'the file ends before its first block does'],
    ['is zeros behind its head’s first words', (path) => fillWithZeros(path, 28), 'two lengths differ'],
  ]

  it.each(HEAD_DAMAGE)('the newest %s: the others are read', async (_what, damage, reason) => {
    damage(files[2])
    const { capture, warnings } = await load()
    expect(warnings).toEqual([expect.stringContaining(`${files[2]}: `)])
    expect(warnings[0]).toContain(reason)
    expect(warnings[0]).toMatch(/; nothing of it was read$/)
    const others = await load(files.slice(0, 2))
    expect(rowsOf(capture)).toEqual(rowsOf(others.capture))
    expect([capture.endRow, capture.inFlight]).toEqual([20, 2])
  })

  it.each(HEAD_DAMAGE)('one in between %s: it is as if it were missing', async (_what, damage, reason) => {
    const missing = await load([files[0], files[2]])
    expect(missing.warnings).toEqual([expect.stringContaining('does not follow')])
    damage(files[1])
    const { capture, warnings } = await load()
    expect(warnings).toEqual([expect.stringContaining(reason), ...missing.warnings])
    expect(rowsOf(capture)).toEqual(rowsOf(missing.capture))
    expect([capture.endRow, capture.unpairedEnds, capture.inFlight]).toEqual([22, 2, 4])
  })

  it('the first is empty: the others are read, and the capture is described by the second', async () => {
    truncateSync(files[0], 0)
    const { capture, info, warnings } = await load()
    expect(warnings).toHaveLength(1)
    expect([info.series, capture.endRow, capture.unpairedEnds]).toEqual([2, 22, 2])
  })

  it('one is damaged further in: what comes before the damage is read, and each later file', async () => {
    fillWithZeros(files[1], readFileSync(files[1]).length >> 1)
    const { capture, warnings } = await load()
    expect(warnings).toEqual([
      expect.stringMatching(
        /2\.pcapng: a block’s two lengths differ \(at byte \d+\); what comes before it was read, and nothing after it in this file$/,
      ),
    ])
    const times = rowsOf(capture).map(({ arrival }) => arrival)
    expect(times.slice(0, 12)).toEqual(numbers(1, 12))
    expect(times.slice(-10)).toEqual(numbers(21, 10))
    expect(times.length).toBeLessThan(30)
    // Those of the first file have ended in the second, before the damage.
    expect(rowsOf(capture)[9].end).not.toBeNull()
  })

  it.each(['before', 'behind'])('one that is not ours is no damage: %s the others', async (place) => {
    const notes = join(folder, 'notes.txt')
    writeFileSync(notes, 'no capture at all, but long enough to hold a block')
    const paths = place === 'before' ? [notes, ...files] : [...files, notes]
    await expect(load(paths)).rejects.toThrow('notes.txt: this is no pcapng file')
  })

  it('none can be begun: they are refused, with the reason of the first', async () => {
    truncateSync(files[0], 0)
    fillWithZeros(files[1], 0)
    const refused = load(files.slice(0, 2))
    await expect(refused).rejects.toThrow(CaptureFileError)
    await expect(refused).rejects.toThrow(
      `${files[0]}: the file ends before its first block does (at byte 0)`,
    )
    await expect(load([files[1]])).rejects.toThrow(`${files[1]}: this is no pcapng file (at byte 0)`)
  })

  it('one is not there, or of another recording: that is no damage', async () => {
    await expect(load([files[0], join(folder, 'none')])).rejects.toThrow('there is no such file')
    const other = captureFile({ ...TEST_INFO, anchorUtcMs: 1 })
    other.writer.begin(2)
    await expect(load([files[0], saved(other, 'other')])).rejects.toThrow('is of another recording')
    await expect(load([files[1], files[0]])).rejects.toThrow('name the files in their order')
  })
})
