// file-subject.test.ts: an opened file looks like a session that has stopped, and refuses to be one that runs.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openFileSubject } from '../../src/session/file-subject.ts'
import { Session } from '../../src/session/session.ts'
import type { Subject } from '../../src/session/subject.ts'
import { FakeSource } from './fake-source.ts'

const BUDGET = 64 << 20

let folder: string
let path: string
let session: Session
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'drivermon-'))
  path = join(folder, 'x.pcapng')
  const source = new FakeSource()
  session = new Session(source, { version: 'test', native: undefined, traffic: null })
  session.addDriver('AFD')
  await session.record(path)
  session.start()
  source.issue(100)
  await session.stop()
})
afterEach(async () => {
  await session.close()
  rmSync(folder, { recursive: true })
})

function problemsOf(subject: Subject): string[] {
  const problems: string[] = []
  subject.subscribe({ state: () => {}, problem: (message) => problems.push(message) })()
  return problems
}

describe('openFileSubject', () => {
  it('shows what the session showed', async () => {
    const subject = await openFileSubject([path], { budgetBytes: BUDGET })
    expect(problemsOf(subject)).toEqual([])
    expect(subject.state()).toMatchObject({
      source: 'file',
      sourceLabel: 'x.pcapng (Simulated kernel)',
      running: false,
      drivers: session.state().drivers,
      ticksPerSecond: session.state().ticksPerSecond,
    })
    expect(subject.capture.endRow).toBe(50)
    expect(subject.gauges().functions).toEqual(session.gauges().functions)
  })

  it('cannot be started', async () => {
    const subject = await openFileSubject([path], { budgetBytes: BUDGET })
    expect(() => subject.start()).toThrow('This is a capture file')
    expect(() => subject.addDriver('AFD')).toThrow('This is a capture file')
    await expect(subject.record('y', null)).rejects.toThrow('This is a capture file')
    await subject.stop()
  })

  it('tells each who looks at it what was wrong with its file', async () => {
    writeFileSync(path, readFileSync(path).subarray(0, -3))
    const subject = await openFileSubject([path], { budgetBytes: BUDGET })
    const problems = problemsOf(subject)
    expect(problems).toEqual([expect.stringMatching(/x\.pcapng: the last block is cut off/)])
    expect(problemsOf(subject)).toEqual(problems)
  })

  it('names the file and the reason when it cannot be read', async () => {
    writeFileSync(path, 'no capture at all, but long enough to hold a block')
    await expect(openFileSubject([path], { budgetBytes: BUDGET })).rejects.toThrow(path)
  })
})
