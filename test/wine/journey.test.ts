// journey.test.ts: real IRPs of real drivers, from the kernel to the command line.
//
// On a Windows machine made of Wine, the real DriverMon.sys watches a driver of ours and Wine's own MountMgr, while a
// Windows program asks both and writes down what it asked and got. The capture, made by the Windows build, is read by
// the Linux one, and must hold exactly that. Then the same questions on the simulated machine must leave the same rows.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  bootForThisFile,
  drivers,
  endRecorder,
  rowsOf,
  rowsOfRecords,
  runCaller,
  runCallerSimulated,
  startRecorder,
  until,
} from './booted.ts'
import { type Request, type Row, readTruth, requestsOf, type Truth } from './truth.ts'
import { comparable, isComparable } from './what-wine-cannot-show.ts'
import { Wine } from './wine.mjs'

const { echo, layer, mountMgr } = drivers

/** Less than the longest payload: what is cut off must be cut off at the right place. */
const snap = { input: 1024, output: 1024 }

/** The control code that the upper layer answers itself. */
const layerUse = 0x222800

const { machine, folder } = bootForThisFile()

describe('with the real driver under Wine', () => {
  const file = join(folder, 'capture.pcapng')
  let summary: Record<string, unknown>
  let truth: Truth
  let rows: Row[]
  let ours: Row[]

  const issued = (driver: string) => sentTo(driver, comparable(truth.threads))
  const seen = (driver: string) => sentTo(driver, comparable(requestsOf(ours)))

  beforeAll(async () => {
    const recorder = await startRecorder(machine, file, [echo, layer, mountMgr], '--snaplen', '1024')
    await runCaller(machine, 'ask', folder)
    summary = await endRecorder(recorder)
    truth = readTruth(join(folder, 'truth.jsonl'), snap)
    rows = rowsOf(file)
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

  it.each([
    [echo, [613, 101, 1]],
    [layer, [888]],
  ])('has a row for each request that %s saw, and no other, as its caller knows it', (driver, counts) => {
    expect(issued(driver).map((requests) => requests.length)).toEqual(counts)
    expect(seen(driver)).toEqual(issued(driver))
    // Who closes a handle is another matter.
    const others = rows.filter((row) => row.pid !== truth.process && row.function !== 'IRP_MJ_CLOSE')
    expect(others.filter((row) => row.driver === driver)).toEqual([])
  })

  it('names the program that asked, by the list of processes that user mode can see', () => {
    expect(new Set(ours.map(({ process }) => process))).toEqual(new Set(['caller.exe']))
  })

  it('shows one request on its way through three devices, which end in the opposite order', () => {
    const [all] = requestsOf(ours).keys()
    const onTheWay = ours.filter((row) => row.tid === all && row.code !== layerUse && isComparable(row))
    let through = 0
    for (let i = onTheWay.findIndex((row) => row.driver === layer); i < onTheWay.length; i += 3) {
      const [upper, lower, bottom] = onTheWay.slice(i, i + 3)
      if (upper.driver === mountMgr) break
      expect([upper.driver, lower.driver, bottom.driver]).toEqual([layer, layer, echo])
      expect([lower.irp, bottom.irp]).toEqual([upper.irp, upper.irp])
      expect(upper.latency_ns).toBeGreaterThanOrEqual(lower.latency_ns)
      expect(lower.latency_ns).toBeGreaterThanOrEqual(bottom.latency_ns)
      through++
    }
    expect(through).toBe(440)
  })

  it('shows requests that were cancelled or completed later with what they ended with', () => {
    const pended = ours.filter((row) => row.pended)
    const endings = (cancelled: boolean) =>
      new Set(pended.filter((row) => row.cancelled === cancelled).map((row) => row.status))
    expect(endings(true)).toEqual(new Set(['STATUS_CANCELLED']))
    expect(endings(false)).toContain('STATUS_SUCCESS')
    expect(endings(false)).toContain('STATUS_UNSUCCESSFUL')
    expect(endings(false)).toContain('STATUS_BUFFER_OVERFLOW')
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
    runCallerSimulated('ask', folder)
    const { process } = readTruth(join(folder, 'simulated.truth.jsonl'), snap)
    const there = rowsOfRecords(join(folder, 'simulated.records')).filter(({ pid }) => pid === process)
    for (const driver of [echo, layer]) {
      expect(sentTo(driver, comparable(requestsOf(there)))).toEqual(seen(driver))
    }
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
    const first = await startRecorder(machine, join(folder, 'first.pcapng'), [echo])
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
    await endRecorder(first)
    await endRecorder(await startRecorder(machine, join(folder, 'third.pcapng'), [echo]))
  })

  it('keeps a driver loaded that has hooked something', async () => {
    expect(await machine.stopDriver()).toBe(true)
    await endRecorder(await startRecorder(machine, join(folder, 'fourth.pcapng'), [echo]))
  })
})

function sentTo(driver: string, threads: Request[][]): Request[][] {
  return threads
    .map((requests) => requests.filter((request) => request.driver === driver))
    .filter((requests) => requests.length > 0)
}
