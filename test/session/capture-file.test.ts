// capture-file.test.ts: the files of a recording read as one capture.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { CaptureInfo } from '../../src/formats/capture-info.ts'
import type { Ticks } from '../../src/protocol/ids.ts'
import { loadCaptureFiles } from '../../src/session/capture-file.ts'
import { captureFile, type MemoryFile } from '../support/capture-file.ts'
import { numbers, startsAt } from '../support/records.ts'

const OPTIONS = { budgetBytes: 64 << 20 }
const INFO: CaptureInfo = {
  abiVersion: 1,
  ticksPerSecond: 1e7,
  anchorTicks: 0 as Ticks,
  anchorUtcMs: 0,
  os: 'test',
  application: 'test',
  source: 'sim',
  series: 0,
  recordedOnly: '',
}

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
    const file = captureFile({ ...INFO, recordedOnly: 'PID 4; errors' })
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
    const file = captureFile(INFO)
    file.writer.begin(1)
    file.writer.recordedOnly('')
    const first = saved(file, '1')
    file.writer.begin(2)
    const { info } = await loadCaptureFiles([first, saved(file, '2')], OPTIONS)
    expect(info.recordedOnly).toBe('')
  })
})
