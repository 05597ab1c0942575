// journey.test.ts: real IRPs of real drivers, from the kernel to the command line.
//
// On a Windows machine made of Wine, the real DriverMon.sys watches a driver of ours and Wine's own MountMgr, while a
// Windows program asks both and writes down what it asked and got. The capture, made by the Windows build, is read by
// the Linux one, and must hold exactly that. Then the same questions on the simulated machine must leave the same rows.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decodeHello, HELLO_REPLY_BYTES } from '../../src/protocol/control.ts'
import { captureFile } from '../support/capture-file.ts'
import { buildForWindows, caller, Machine } from './machine.mjs'
import { type Request, type Row, readTruth, requestsOf, showRows, type Truth } from './truth.ts'
import { comparable } from './what-wine-cannot-show.ts'
import { Wine } from './wine.mjs'

const root = resolve(import.meta.dirname, '../..')
const drivermon = join(root, 'dist/drivermon.cjs')
const callerSimulated = join(root, 'build-tests/caller_simulated')

const echo = '\\Driver\\DrivermonEcho'
const mountMgr = '\\Driver\\MountMgr'

/** Less than the longest payload: what is cut off must be cut off at the right place. */
const snapLength = 1024

mkdirSync(join(root, 'build-wine'), { recursive: true })
const folder = mkdtempSync(join(root, 'build-wine/journey-'))
const machine = new Machine(join(folder, 'prefix'))

type Program = ReturnType<Machine['start']>

beforeAll(async () => {
  buildForWindows()
  await machine.boot()
})

afterAll(() => {
  machine.leave()
  machine.powerOff()
  rmSync(folder, { recursive: true, force: true })
})

/** Waits for something that a program is going to do. */
async function until(program: Program, what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 60_000
  while (!condition()) {
    if (!program.running) throw new Error(`It ended before ${what}: ${JSON.stringify(await program.ended)}`)
    if (performance.now() > deadline) throw new Error(`No ${what} within a minute: ${program.stderr()}`)
    await new Promise((resume) => setTimeout(resume, 20))
  }
}

/** `drivermon record`, capturing. Its first line of progress says that it is. */
async function startRecorder(file: string, ...drivers: string[]): Promise<Program> {
  const options = ['--source', 'device', '--snaplen', String(snapLength), '--json', '--progress']
  const watched = drivers.flatMap((driver) => ['--driver', driver])
  const recorder = machine.startDrivermon(['record', ...options, ...watched, '--out', Wine.path(file)])
  await until(recorder, 'progress', () => recorder.stderr().includes('requests'))
  return recorder
}

describe('with the real driver under Wine', () => {
  const file = join(folder, 'capture.pcapng')
  let summary: Record<string, unknown>
  let truth: Truth
  let rows: Row[]
  let ours: Row[]

  const issued = (driver: string) => sentTo(driver, comparable(truth.threads))
  const seen = (driver: string) => sentTo(driver, comparable(requestsOf(ours)))

  beforeAll(async () => {
    const truthFile = join(folder, 'truth.jsonl')
    const recorder = await startRecorder(file, echo, mountMgr)
    const asked = await machine.start([caller, Wine.path(truthFile)]).end(60_000)
    expect(asked).toEqual({ status: 0, stdout: '', stderr: '' })
    recorder.interrupt()
    const recorded = await recorder.end(30_000)
    expect(recorded.status, recorded.stderr).toBe(0)
    summary = JSON.parse(recorded.stdout)
    truth = readTruth(truthFile, snapLength)
    rows = showRows(drivermon, file)
    ours = rows.filter(({ pid }) => pid === truth.process)
  })

  it('loses nothing', () => {
    expect(summary).toMatchObject({ unpaired: 0, rows: rows.length, requests: rows.length })
    const { starts, ends, others } = summary.dropped as { starts: object; ends: object; others: number }
    expect([...Object.values(starts), ...Object.values(ends), others].filter((count) => count !== 0)).toEqual(
      [],
    )
    expect(rows.filter(({ state }) => state !== 'done')).toEqual([])
  })

  it('has a row for each request to our driver, and no other, as its caller knows it', () => {
    expect(issued(echo).map((requests) => requests.length)).toEqual([101, 77])
    expect(seen(echo)).toEqual(issued(echo))
    // Who closes a handle is another matter.
    const others = rows.filter((row) => row.pid !== truth.process && row.function !== 'IRP_MJ_CLOSE')
    expect(others.filter((row) => row.driver === echo)).toEqual([])
  })

  it('shows requests that were cancelled or completed later with what they ended with', () => {
    const pended = ours.filter((row) => row.pended)
    expect(pended.filter((row) => row.cancelled).map((row) => row.status)).toEqual(
      Array(6).fill('STATUS_CANCELLED'),
    )
    expect(new Set(pended.filter((row) => !row.cancelled).map((row) => row.status))).toEqual(
      new Set(['STATUS_SUCCESS', 'STATUS_UNSUCCESSFUL', 'STATUS_BUFFER_OVERFLOW']),
    )
  })

  it('shows each handle closed once', () => {
    const opened = ours.filter((row) => row.function === 'IRP_MJ_CREATE').map((row) => row.file)
    const closed = rows.filter((row) => row.function === 'IRP_MJ_CLOSE' && opened.includes(row.file))
    expect(closed.map((row) => row.file).toSorted()).toEqual(opened.toSorted())
  })

  it("has what was asked of Wine's own driver", () => {
    const controls = ([first]: Request[][]) => first.filter((row) => row.function === 'IRP_MJ_DEVICE_CONTROL')
    const direct = controls(issued(mountMgr))
    expect(direct).toHaveLength(4)
    expect(controls(seen(mountMgr)).slice(0, 4)).toEqual(direct)
  })

  it('has what the system asked of it for its callers', () => {
    const volumes = [...(truth.answers.get('FindNextVolumeW') ?? [])]
    expect(volumes.length).toBeGreaterThan(0)
    const outputs = seen(mountMgr)
      .flat()
      .slice(5)
      .map(({ output }) => Buffer.from(output, 'hex').toString('utf16le'))
    for (const volume of volumes) {
      // \\?\Volume{…}\ is the link \??\Volume{…} there.
      const link = volume.replace('\\\\?\\', '\\??\\').slice(0, -1)
      expect(outputs.some((output) => output.includes(link))).toBe(true)
    }
  })

  it('writes a file that Wireshark’s tools open', () => {
    const capinfos = spawnSync('capinfos', ['-M', file], { encoding: 'utf8' })
    expect(capinfos.stderr).toBe('')
    expect(capinfos.stdout).toMatch(/File type:\s+.*pcapng/)
    // Each request is a start and an end.
    expect(Number(/Number of packets:\s+(\d+)/.exec(capinfos.stdout)?.[1])).toBeGreaterThanOrEqual(
      2 * rows.length,
    )
  })

  it('leaves the same rows as the simulated machine, but for what Wine cannot show', () => {
    const truthFile = join(folder, 'truth-simulated.jsonl')
    const recordsFile = join(folder, 'records-simulated')
    const simulated = spawnSync(callerSimulated, [truthFile, recordsFile, String(snapLength)], {
      encoding: 'utf8',
    })
    expect({ status: simulated.status, stderr: simulated.stderr }).toEqual({ status: 0, stderr: '' })

    const capture = join(folder, 'simulated.pcapng')
    writeCapture(capture, readFileSync(recordsFile))
    const { process } = readTruth(truthFile, snapLength)
    const rowsThere = showRows(drivermon, capture).filter(
      ({ pid, driver }) => pid === process && driver === echo,
    )
    expect(comparable(requestsOf(rowsThere))).toEqual(seen(echo))
  })
})

describe('the command line on a machine with the driver', () => {
  it('lists the drivers that run', async () => {
    const { status, stdout } = await machine
      .startDrivermon(['drivers', '--json', '--source', 'device'])
      .end(60_000)
    expect(status).toBe(0)
    const names = (JSON.parse(stdout) as { name: string }[]).map(({ name }) => name)
    expect(names).toContain(mountMgr)
    expect(names).toContain(echo)
  })

  it('refuses a driver that is not there, in one line', async () => {
    const out = join(folder, 'never.pcapng')
    const args = ['record', '--source', 'device', '--driver', '\\Driver\\Nowhere', '--out', Wine.path(out)]
    const { status, stdout, stderr } = await machine.startDrivermon(args).end(60_000)
    expect(status).toBe(1)
    expect(stdout).toBe('')
    expect(stderr.trim().split('\n')).toEqual([expect.stringContaining('\\Driver\\Nowhere')])
    expect(existsSync(out)).toBe(false)
  })

  it('serves the window to a browser outside', async () => {
    const app = machine.startDrivermon(['--no-open', '--source', 'device', '--driver', mountMgr])
    const url = () => /http:\/\/127\.0\.0\.1:\S+/.exec(app.stdout())?.[0] ?? ''
    await until(app, 'address', () => url() !== '')
    const entrance = await fetch(url(), { redirect: 'manual' })
    const cookie = entrance.headers.get('set-cookie')?.split(';')[0] ?? ''
    const page = await fetch(new URL('/', url()), { headers: { cookie } })
    expect([entrance.status, page.status]).toEqual([303, 200])
    expect(await page.text()).toContain('<title>DriverMon')
    app.interrupt()
    expect((await app.end(30_000)).status).toBe(0)
  })

  it('refuses a second client, and serves the next one', async () => {
    const first = await startRecorder(join(folder, 'first.pcapng'), echo)
    const args = [
      'record',
      '--source',
      'device',
      '--driver',
      echo,
      '--out',
      Wine.path(join(folder, 'second.pcapng')),
    ]
    const second = await machine.startDrivermon(args).end(60_000)
    expect(second.status).toBe(1)
    expect(second.stderr.trim().split('\n')).toEqual([
      expect.stringContaining('Another program is using the DriverMon driver'),
    ])
    first.interrupt()
    expect((await first.end(30_000)).status).toBe(0)

    const third = await startRecorder(join(folder, 'third.pcapng'), echo)
    third.interrupt()
    expect((await third.end(30_000)).status).toBe(0)
  })
})

function sentTo(driver: string, threads: Request[][]): Request[][] {
  return threads
    .map((requests) => requests.filter((request) => request.driver === driver))
    .filter((requests) => requests.length > 0)
}

/** A HelloReply and records, as the driver gave them, as a capture file. */
function writeCapture(file: string, bytes: Buffer): void {
  const hello = decodeHello(bytes.subarray(0, HELLO_REPLY_BYTES))
  const { writer, bytes: fileBytes } = captureFile({
    abiVersion: hello.abiVersion,
    ticksPerSecond: hello.ticksPerSecond,
    anchorTicks: hello.anchorTicks,
    anchorUtcMs: hello.anchorUtcMs,
    os: 'Simulated kernel',
    application: 'DriverMon tests',
    source: 'sim',
    series: 0,
    recordedOnly: '',
  })
  writer.begin()
  writer.write(bytes.subarray(HELLO_REPLY_BYTES))
  writer.end()
  writeFileSync(file, fileBytes())
}
