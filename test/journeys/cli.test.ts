// cli.test.ts: the built program as a user runs it: record on the simulated kernel, then read what it wrote.

import { execFileSync, spawn } from 'node:child_process'
import {
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Summary } from '../../src/cli/record.ts'

const PROGRAM = resolve(import.meta.dirname, '../../dist/drivermon.cjs')

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'drivermon-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

interface Result {
  status: number | null
  out: string
  err: string
}

const start = (...args: string[]) => startIn({}, ...args)

function startIn(env: NodeJS.ProcessEnv, ...args: string[]) {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  })
  const result: Result = { status: null, out: '', err: '' }
  child.stdout.on('data', (data) => {
    result.out += data
  })
  child.stderr.on('data', (data) => {
    result.err += data
  })
  const ended = new Promise<Result>((resolve) => {
    child.on('close', (status) => resolve({ ...result, status }))
  })
  return { child, ended }
}

const run = (...args: string[]) => start(...args).ended

describe('drivermon on the simulated kernel', () => {
  it('lists the drivers of the simulated machine', async () => {
    const { status, out } = await run('drivers', '--source', 'sim')
    expect(status).toBe(0)
    expect(out).toContain('\\Driver\\AFD')
    expect(out).toContain('\\Driver\\DrivermonEcho')
    expect(out).not.toContain('\\Driver\\DriverMon1')
  })

  it('records every request that was issued, and reads the same back', async () => {
    const file = join(folder, 'all.pcapng')
    const { status, out, err } = await run(
      ...['record', '--source', 'sim', '--driver', 'AFD', 'DrivermonEcho', '--out', file],
      ...['--count', '20000', '--rate', 'max', '--seed', '42', '--json'],
    )
    expect({ status, err }).toEqual({ status: 0, err: '' })
    const summary = JSON.parse(out) as Summary
    expect(summary.issued).toBe(20_000)
    expect(summary.requests + lostStarts(summary)).toBe(summary.issued)
    expect(summary.unpaired).toBe(0)

    const shown = await run('show', file, '--format', 'jsonl')
    expect(shown.status).toBe(0)
    const rows = shown.out.trimEnd().split('\n')
    expect(rows).toHaveLength(summary.rows)

    const stats = await run('stats', file, '--json')
    const { functions } = JSON.parse(stats.out) as { functions: { count: number; fellThrough: number }[] }
    const sum = (of: 'count' | 'fellThrough') => functions.reduce((total, each) => total + each[of], 0)
    expect(sum('count')).toBe(summary.rows)
    expect(sum('count') - sum('fellThrough')).toBe(summary.requests)
  })

  it('accounts for every request when the ring is far too small', async () => {
    const { out } = await run(
      ...['record', '--source', 'sim', '--driver', 'AFD', '--out', join(folder, 'lossy.pcapng')],
      ...['--count', '20000', '--rate', 'max', '--ring', '4KB', '--json'],
    )
    const summary = JSON.parse(out) as Summary
    expect(lostStarts(summary)).toBeGreaterThan(0)
    expect(summary.requests + lostStarts(summary)).toBe(summary.issued)
  })

  it('has every request in one of the files of a recording, and reads them as one', async () => {
    const file = join(folder, 'parts.pcapng')
    const { status, out, err } = await run(
      ...['record', '--source', 'sim', '--driver', 'AFD', 'DrivermonEcho', '--out', file],
      ...['--count', '30000', '--rate', 'max', '--rotate-size', '1MB', '--json'],
    )
    expect({ status, err }).toEqual({ status: 0, err: '' })
    const summary = JSON.parse(out) as Summary
    expect(summary.files.length).toBeGreaterThan(3)
    expect(summary.requests + lostStarts(summary)).toBe(summary.issued)
    expect(summary.files.map((path) => statSync(path).size <= 1 << 20)).not.toContain(false)
    const stats = await run('stats', ...summary.files, '--json')
    const { functions, unpairedEnds } = JSON.parse(stats.out) as {
      functions: { count: number }[]
      unpairedEnds: number
    }
    expect(functions.reduce((total, each) => total + each.count, 0)).toBe(summary.rows)
    expect(unpairedEnds).toBe(0)
  })

  it.each([
    [['--only-function', 'DEVICE_CONTROL', 'FAST_IO_READ']],
    [['--driver', 'DrivermonEcho', '--count-only', 'DrivermonEcho']],
    [['--not-function', 'FAST_IO', '--sample', '3']],
    [['--errors-only']],
    [['--min-latency', '50us', '--errors-only']],
    [['--ioctl', 'AFD_RECV', 'AFD_SEND']],
  ])('accounts for what %j keeps out', async (options) => {
    const { status, out, err } = await run(
      ...['record', '--source', 'sim', '--driver', 'AFD', '--out', join(folder, 'some.pcapng'), '--force'],
      ...['--count', '20000', '--rate', 'max', '--json', ...options],
    )
    expect({ status, err }).toEqual({ status: 0, err: '' })
    const summary = JSON.parse(out) as Summary
    expect(summary.requests).toBeGreaterThan(0)
    expect(summary.requests).toBeLessThan(summary.issued!)
    expect(summary.requests + lostStarts(summary) + summary.filtered! + summary.sampledOut!).toBe(
      summary.issued,
    )
    expect(summary.unpaired).toBe(0)
  })

  it('ends cleanly with Ctrl-C', async () => {
    const file = join(folder, 'interrupted.pcapng')
    const { child, ended } = start(
      ...['record', '--source', 'sim', '--driver', 'AFD', '--out', file, '--json', '--progress'],
    )
    await new Promise((resolve) => child.stderr.once('data', resolve))
    child.kill('SIGINT')
    const { status, out } = await ended
    expect(status).toBe(0)
    const summary = JSON.parse(out) as Summary
    expect(summary.requests).toBeGreaterThan(0)
    expect(summary.requests + lostStarts(summary)).toBe(summary.issued)
    expect((await run('stats', file)).status).toBe(0)
  })

  it.runIf(existsSync('/dev/full'))('says so when the disk is full', async () => {
    const { status, err } = await run(
      ...['record', '--source', 'sim', '--driver', 'AFD', '--out', '/dev/full', '--force', '--rate', 'max'],
    )
    expect(status).toBe(1)
    expect(err).toMatch(
      /^drivermon: \/dev\/full: recording stopped: the disk is full: make room.* 0 can be read\ndrivermon: the capture has ended with the problems above\n$/,
    )
  })

  it.skipIf(process.platform === 'win32').each([
    ['an exception', 'throw new Error("nobody thought of it")'],
    ['a rejection', 'void Promise.reject(new Error("nobody thought of it"))'],
  ])('ends in good order after %s that nobody catches', async (_what, fault) => {
    const bomb = join(folder, 'bomb.cjs')
    writeFileSync(bomb, `process.on('SIGUSR2', () => { ${fault} })`)
    const file = join(folder, 'fault.pcapng')
    const { child, ended } = startIn(
      { NODE_OPTIONS: `--require ${bomb}` },
      ...['record', '--source', 'sim', '--driver', 'AFD', '--out', file, '--force', '--json', '--progress'],
    )
    await new Promise((resolve) => child.stderr.once('data', resolve))
    child.kill('SIGUSR2')
    const { status, out, err } = await ended
    expect(status).toBe(1)
    expect(err).toMatch(/\ndrivermon: Error: nobody thought of it\n +at .*bomb\.cjs/)
    expect(err).toMatch(/\ndrivermon: ended by the error above, .*: please report it\n$/)
    const summary = JSON.parse(out) as Summary
    expect(summary.requests + lostStarts(summary)).toBe(summary.issued)
    expect(summary.records.written).toBe(summary.records.offered)
    expect((await run('stats', file)).status).toBe(0)
  })

  it.skipIf(process.platform === 'win32')('ends at a second Ctrl-C though a write never does', async () => {
    const fifo = join(folder, 'fifo')
    execFileSync('mkfifo', [fifo])
    // Somebody who opens it and never reads.
    const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK)
    const { child, ended } = start(
      ...[
        'record',
        '--source',
        'sim',
        '--driver',
        'AFD',
        '--out',
        fifo,
        '--force',
        '--rate',
        'max',
        '--progress',
      ],
    )
    await new Promise((resolve) => child.stderr.once('data', resolve))
    const presses = setInterval(() => child.kill('SIGINT'), 400)
    const { err } = await ended
    clearInterval(presses)
    closeSync(reader)
    expect(err).toMatch(/drivermon: aborted: the end of the capture is missing in the file\n$/)
  })

  it('ends quietly when nobody reads its output any more', async () => {
    const file = join(folder, 'all.pcapng')
    const { child, ended } = start('show', file)
    child.stdout.once('data', () => child.stdout.destroy())
    const { status, err } = await ended
    expect({ status, err }).toEqual({ status: 0, err: '' })
  })

  it('prints the address of the window on one line, and ends with Ctrl-C', async () => {
    const { child, ended } = start('--no-open', '--source', 'sim')
    const line = await new Promise<string>((resolve) =>
      child.stdout.once('data', (data) => resolve(String(data))),
    )
    expect(line).toMatch(/^DriverMon http:\/\/127\.0\.0\.1:\d+\/\?key=[\w-]+\n$/)
    const page = await fetch(line.split(' ')[1].trim(), { redirect: 'manual' })
    expect(page.status).toBe(303)
    child.kill('SIGINT')
    expect(await ended).toMatchObject({ status: 0, err: '' })
  })
})

/** A line of `show --format jsonl`, as far as it is looked at here. */
interface Row {
  driver: string
  pid: number
  requestor: number
  function: string
  ioctl: string | null
  error: boolean | null
  latency_ns: number
  input: string | null
  output: string | null
}

const bytesOf = (hex: string | null) => (hex ?? '').length / 2

describe('of what the simulated callers ask, the capture options record', () => {
  /** The same callers ask each time, up to the number of requests. */
  async function record(...options: string[]): Promise<Row[]> {
    const file = join(folder, 'options.pcapng')
    const { status, err } = await run(
      ...['record', '--source', 'sim', '--driver', 'AFD', 'DrivermonEcho', '--out', file, '--force'],
      ...['--count', '1000', '--rate', 'max', '--json', ...options],
    )
    expect({ status, err }).toEqual({ status: 0, err: '' })
    const { out } = await run('show', file, '--format', 'jsonl')
    return out
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Row)
  }

  let everything: Row[]
  beforeAll(async () => {
    everything = await record()
  })

  /** Of the simulated machine's processes, one that asks a lot. */
  const pid = 6284
  const isOf = (row: Row) => row.pid === pid || row.requestor === pid
  const isFastIo = (row: Row) => row.function.startsWith('FAST_IO')
  const isRecv = (row: Row) => row.ioctl === 'IOCTL_AFD_RECV'

  it.each<[string[], (row: Row) => boolean]>([
    [['--pid', `${pid}`], isOf],
    [['--not-pid', `${pid}`], (row) => !isOf(row)],
    [['--ioctl', 'AFD_RECV'], (row) => isRecv(row) || row.ioctl === null],
    [['--not-ioctl', 'AFD_RECV'], (row) => !isRecv(row)],
    [['--only-function', 'READ', 'CREATE'], (row) => ['IRP_MJ_READ', 'IRP_MJ_CREATE'].includes(row.function)],
    [['--not-function', 'FAST_IO'], (row) => !isFastIo(row)],
    [['--errors-only'], (row) => row.error === true],
    [['--min-latency', '50us'], (row) => row.latency_ns >= 50_000],
    [['--count-only', 'DrivermonEcho'], (row) => row.driver === '\\Driver\\AFD'],
    [['--input-snaplen', '5'], (row) => bytesOf(row.input) <= 5],
    [['--output-snaplen', '0'], (row) => bytesOf(row.output) === 0],
  ])('%j: what they say, and nothing else', async (options, wanted) => {
    expect(everything.filter((row) => !wanted(row)).length).toBeGreaterThan(0)
    const rows = await record(...options)
    expect(rows.length).toBeGreaterThan(0)
    expect(rows.filter((row) => !wanted(row))).toEqual([])
  })

  it('--sample: one in so many', async () => {
    const rows = await record('--sample', '10')
    expect(rows.length).toBeGreaterThan(everything.length / 20)
    expect(rows.length).toBeLessThan(everything.length / 5)
  })

  it('of each direction as many bytes as are asked for', async () => {
    const rows = await record('--input-snaplen', '7', '--output-snaplen', '3')
    expect(Math.max(...rows.map(({ input }) => bytesOf(input)))).toBe(7)
    expect(Math.max(...rows.map(({ output }) => bytesOf(output)))).toBe(3)
  })
})

function lostStarts({ dropped }: Summary): number {
  return dropped.starts.ringFull + dropped.starts.recordTooLarge
}
