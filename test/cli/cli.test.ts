// cli.test.ts: the commands over the fake source: what they print, and how they fail.

import { execFileSync } from 'node:child_process'
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Summary } from '../../src/cli/record.ts'
import { writePackets } from '../../src/formats/packets.ts'
import { portableLoops } from '../../src/model/loops.ts'
import { KernelKind, RequestFlags } from '../../src/protocol/layout.ts'
import { loadCaptureFile } from '../../src/session/capture-file.ts'
import { captureFile, TEST_INFO } from '../support/capture-file.ts'
import { concat, hooked, start, utf16 } from '../support/records.ts'
import { type FakeWorld, fakeWorld } from './fake-io.ts'

let folder: string
let file: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'drivermon-'))
  file = join(folder, 'x.pcapng')
})
afterEach(() => rmSync(folder, { recursive: true }))

/** A file with 200 requests to AFD and as many to the echo driver. */
async function recorded(): Promise<Summary> {
  const world = fakeWorld()
  const status = await world.run(
    ...['record', '--driver', 'AFD', 'DrivermonEcho', '--out', file],
    ...['--count', '400', '--rate', 'max', '--json'],
  )
  expect(world.err).toBe('')
  expect(status).toBe(0)
  return JSON.parse(world.out) as Summary
}

describe('drivermon', () => {
  it('prints its version and its help', async () => {
    const world = fakeWorld()
    expect(await world.run('--version')).toBe(0)
    expect(world.out).toBe('1.2.3\n')
    for (const command of ['app', 'drivers', 'record', 'show', 'stats']) {
      const other = fakeWorld()
      expect(await other.run(command, '--help')).toBe(0)
      expect(other.out).toContain(`Usage: drivermon ${command}`)
    }
  })

  it.each([
    [['--nonsense'], /unknown option '--nonsense'/],
    [['show'], /missing required argument 'files'/],
    [['show', 'x', '--limt', '3'], /unknown option '--limt' \(Did you mean --limit\?\)/],
    [['show', 'x', '--limit', '-3'], /whole number/],
    [['record', '--out', 'x'], /'--driver <name\.\.\.>' not specified/],
    [['record', '--driver', 'x'], /'--out <file>' not specified/],
    [['record', '--driver', 'x', '--out', 'y', '--duration', 'soon'], /number of seconds/],
    [
      ['record', '--driver', 'x', '--out', 'y', '--ring', '5'],
      /"5" is no size; one is written with its unit/i,
    ],
    [['record', '--driver', 'x', '--out', 'y', '--ring', '5MB'], /power of two/],
    [['record', '--driver', 'x', '--out', 'y', '--keep', '3'], /--keep: .*--rotate-size, --rotate-time/],
    [
      ['record', '--driver', 'x', '--out', 'y', '--rotate-size', '1MB', '--keep', '1'],
      /should be 2 at least/,
    ],
    [
      ['record', '--driver', 'x', '--out', 'y', '--rotate-size', '4KB'],
      /"4KB" is too little; it should be 1.00 MB at least/,
    ],
    [['record', '--driver', 'x', '--out', 'y', '--rotate-time', '1ms'], /too short for a file/],
    [['record', '--driver', 'x', '--out', 'y', '--rotate-time', '10'], /10min/],
    [['--memory', '2000TB'], /"2000TB" is too much; it can be/],
    [['drivers', '--source', 'moon'], /Allowed choices are device, sim/],
    [['drivers', 'x'], /too many arguments/],
  ])('answers %j with one line and status 2', async (args, message) => {
    const world = fakeWorld()
    expect(await world.run(...args)).toBe(2)
    expect(world.out).toBe('')
    expect(world.err).toMatch(/^drivermon: .*\n$/)
    expect(world.err).toMatch(message)
  })

  it('says in one line why there is no source, and shows a stack only when asked', async () => {
    const openSource = () => {
      throw new Error('DriverMon is not loaded:\n  sc start DriverMon1')
    }
    const world = fakeWorld({ openSource })
    expect(await world.run('drivers')).toBe(1)
    expect(world.err).toBe('drivermon: DriverMon is not loaded: sc start DriverMon1\n')
    const debug = fakeWorld({ openSource, env: { DRIVERMON_DEBUG: '1' } })
    await debug.run('drivers')
    expect(debug.err).toContain('cli.test.ts')
  })

  it('says what to build when the window has no files', async () => {
    const world = fakeWorld()
    expect(await world.run('--no-open')).toBe(1)
    expect(world.err).toContain('npm run build')
  })

  it('takes a mistyped command for what it is', async () => {
    const world = fakeWorld()
    expect(await world.run('recrod')).toBe(2)
    expect(world.err).toBe('drivermon: there is no command and no file "recrod" (see drivermon --help)\n')
  })

  it('takes the device on Windows, and the simulator elsewhere', async () => {
    const kinds: string[] = []
    for (const platform of ['win32', 'linux'] as const) {
      const world = fakeWorld({
        platform,
        openSource(kind) {
          kinds.push(kind)
          throw new Error('enough')
        },
      })
      await world.run('drivers')
    }
    expect(kinds).toEqual(['device', 'sim'])
  })
})

describe('drivermon app', () => {
  let home: string
  beforeEach(() => {
    home = join(folder, 'dist')
    mkdirSync(join(home, 'app'), { recursive: true })
    writeFileSync(join(home, 'app/index.html'), '<!doctype html>')
  })

  /** Waits for the URL. */
  async function printed(world: FakeWorld): Promise<string> {
    while (!world.out.includes('\n')) await turn()
    return world.out.replace(/^DriverMon /, '').trimEnd()
  }

  it('opens the browser with the address that it printed, and is alive', async () => {
    const world = fakeWorld({ home })
    const running = world.run()
    const url = await printed(world)
    expect(world.browsed).toEqual([url])
    expect(world.source.calls).toContain('startTraffic')
    expect((await fetch(url, { redirect: 'manual' })).status).toBe(303)
    world.interrupt()
    expect(await running).toBe(0)
    expect(world.source.closed).toBe(true)
    await expect(fetch(url)).rejects.toThrow()
  })

  it.skipIf(process.platform === 'win32')(
    'opens the window instead, and ends when it is closed',
    async () => {
      const shell = join(folder, 'shell')
      writeFileSync(shell, `#!/bin/sh\nprintf '%s\\n' "$@" > ${folder}/args\n`, { mode: 0o755 })
      const world = fakeWorld({ home })
      expect(await world.run('--shell', shell)).toBe(0)
      expect(world.browsed).toEqual([])
      const args = readFileSync(join(folder, 'args'), 'utf8').split('\n')
      expect(args).toContain(`--url=${await printed(world)}`)
      expect(args).toContain('--enable-server=false')
    },
  )

  it.skipIf(process.platform === 'win32')('closes the window when it ends', async () => {
    const shell = join(folder, 'shell')
    writeFileSync(shell, `#!/bin/sh\necho $$ > ${folder}/pid\nexec sleep 1000\n`, { mode: 0o755 })
    const world = fakeWorld({ home, env: { DRIVERMON_SHELL: shell } })
    const running = world.run()
    while (!existsSync(join(folder, 'pid')) || readFileSync(join(folder, 'pid')).length === 0) await turn()
    const pid = Number(readFileSync(join(folder, 'pid'), 'utf8'))
    world.interrupt()
    expect(await running).toBe(0)
    await vi.waitFor(() => expect(() => process.kill(pid, 0)).toThrow())
  })

  it('opens the browser when the window cannot be opened', async () => {
    const world = fakeWorld({ home })
    const running = world.run('--shell', join(folder, 'none'))
    while (world.browsed.length === 0) await turn()
    expect(world.err).toMatch(/could not be started: .*; the browser is opened instead\n$/)
    world.interrupt()
    expect(await running).toBe(0)
  })

  it.skipIf(process.platform === 'win32')('opens the browser when the window breaks', async () => {
    const shell = join(folder, 'shell')
    writeFileSync(shell, '#!/bin/sh\nexit 127\n', { mode: 0o755 })
    const world = fakeWorld({ home })
    const running = world.run('--shell', shell)
    while (world.browsed.length === 0) await turn()
    expect(world.err).toContain('ended with status 127; the browser is opened instead')
    world.interrupt()
    expect(await running).toBe(0)
  })

  it('opens nothing when told so, and starts nothing on a device', async () => {
    const world = fakeWorld({ home, platform: 'win32' })
    const running = world.run('--no-open')
    await printed(world)
    expect(world.browsed).toEqual([])
    expect(world.source.calls).toEqual(['hello'])
    world.interrupt()
    expect(await running).toBe(0)
  })

  it('ends in good order when something fails that nobody thought of', async () => {
    const world = fakeWorld({ home })
    const running = world.run('--no-open')
    await printed(world)
    world.fault(new Error('nobody thought of it'))
    expect(await running).toBe(1)
    expect(world.err).toMatch(/^drivermon: Error: nobody thought of it\n.*please report it\n$/s)
    expect(world.source.calls).toContain('stop')
    expect(world.source.closed).toBe(true)
  })

  it('looks at a file', async () => {
    await recorded()
    const openSource = () => {
      throw new Error('no source is needed')
    }
    const world = fakeWorld({ home, openSource })
    const running = world.run(file, '--no-open')
    await printed(world)
    world.interrupt()
    expect(await running).toBe(0)
  })

  /** Ended, and no window was opened, nor an address printed for one. */
  function expectNothingShown(world: FakeWorld): void {
    expect(world).toMatchObject({ out: '', browsed: [] })
    expect(existsSync(join(folder, 'shown'))).toBe(false)
  }

  it('can be ended while it reads a file, of which it reads no more then', async () => {
    await fakeWorld({ ringBytes: 1 << 28 }).run(
      ...['record', '--driver', 'AFD', '--out', file, '--count', '20000', '--rate', 'max'],
    )
    const shell = join(folder, 'shell')
    writeFileSync(shell, `#!/bin/sh\ntouch ${folder}/shown\n`, { mode: 0o755 })
    let pieces = 0
    let isNew = true
    const ingest = (_: Uint32Array, at: number) => {
      if (isNew) {
        pieces++
        world.interrupt()
        setImmediate(() => {
          isNew = true
        })
      }
      isNew = false
      return at
    }
    const world = fakeWorld({ home, nativeCode: () => ({ loops: portableLoops, writePackets, ingest }) })
    expect(await world.run(file, '--shell', shell)).toBe(130)
    expect(world.err).toBe('drivermon: ended before the file was read\n')
    expectNothingShown(world)
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(pieces).toBe(1)
  })

  it.skipIf(process.platform === 'win32')('can be ended while a file says nothing', async () => {
    const fifo = join(folder, 'fifo')
    execFileSync('mkfifo', [fifo])
    const world = fakeWorld({ home })
    const running = world.run(fifo)
    await turn()
    world.interrupt()
    expect(await running).toBe(130)
    expectNothingShown(world)
    closeSync(openSync(fifo, 'w')) // lets it open
  })

  it('says so when it was a fault that has ended the reading', async () => {
    await recorded()
    const nativeCode = () => {
      world.fault(new Error('nobody thought of it'))
      return undefined
    }
    const world = fakeWorld({ home, nativeCode })
    expect(await world.run(file)).toBe(1)
    expect(world.err).toMatch(/: please report it\n$/)
    expectNothingShown(world)
  })

  it('fails in one line when the driver to watch is not there', async () => {
    const world = fakeWorld({ home })
    expect(await world.run('--driver', 'nosuch')).toBe(1)
    expect(world.err).toMatch(/^drivermon: \\Driver\\nosuch: there is no such driver/)
    expect(world.source.closed).toBe(true)
  })
})

describe('drivermon drivers', () => {
  it('lists what can be hooked, in order', async () => {
    const world = fakeWorld()
    expect(await world.run('drivers')).toBe(0)
    expect(world.out.split('\n').map((line) => line.split(/\s{2,}/))).toEqual([
      ['DRIVER', 'NAME'],
      ['\\Driver\\AFD', 'Ancillary Function Driver for Winsock'],
      ['\\Driver\\DrivermonEcho', 'Echo'],
      ['\\FileSystem\\Npfs', 'Named pipes'],
      [''],
    ])
    expect(world.source.closed).toBe(true)
  })

  it('lists them for machines', async () => {
    const world = fakeWorld()
    await world.run('drivers', '--json')
    expect(JSON.parse(world.out)[0]).toEqual({
      name: '\\Driver\\AFD',
      displayName: 'Ancillary Function Driver for Winsock',
      warning: '',
    })
  })

  it('says which ones PatchGuard may check', async () => {
    const world = fakeWorld({ kernel: KernelKind.Nt })
    await world.run('drivers', '--source', 'device')
    expect(world.out).toMatch(/^DRIVER +NAME +WARNING\n/)
    expect(world.out).toMatch(/\\FileSystem\\Npfs +Named pipes +PatchGuard checks/)
  })
})

describe('drivermon record', () => {
  it('records exactly what was issued', async () => {
    const summary = await recorded()
    expect(summary).toMatchObject({ requests: 400, rows: 400, issued: 400, unpaired: 0, files: [file] })
    expect(summary.bytes).toBe(statSync(file).size)
    // Two of each request, two drivers, three processes.
    expect(summary.records).toEqual({ offered: 805, written: 805, discarded: 0 })
    expect(summary.dropped.starts.ringFull).toBe(0)
  })

  it('says which driver still passes through ours when it ends, which is no failure', async () => {
    const world = fakeWorld({ chained: { functions: 1 << 14, fastIo: false } })
    const status = await world.run('record', '--driver', 'AFD', '--out', file, '--count', '10')
    expect([status, world.err]).toEqual([
      0,
      'drivermon: \\Driver\\AFD: another hook sits on top of ours, which therefore stays in place and passes on.\n',
    ])
  })

  it('accounts for what a small ring dropped', async () => {
    const world = fakeWorld({ ringBytes: 4096 })
    await world.run(
      ...['record', '--driver', 'AFD', '--out', file],
      ...['--count', '5000', '--rate', 'max', '--json'],
    )
    const { requests, dropped, issued } = JSON.parse(world.out) as Summary
    expect(issued).toBe(2500)
    expect(dropped.starts.ringFull).toBeGreaterThan(0)
    expect(requests + dropped.starts.ringFull).toBe(issued)
  })

  it('ends with a summary for people', async () => {
    const world = fakeWorld()
    await world.run(...['record', '--driver', 'AFD', '--out', file, '--count', '10', '--rate', 'max'])
    expect(world.out).toMatch(
      /^5 requests in [\d.]+ s, [\d.]+ KB in .*x\.pcapng\nnothing dropped; 0 unpaired\n5 issued by the simulated callers\n$/,
    )
    expect(world.err).toBe('')
  })

  it('ends by time', async () => {
    const world = fakeWorld()
    const status = await world.run(
      ...['record', '--driver', 'AFD', '--out', file, '--duration', '0.1', '--json'],
    )
    expect(status).toBe(0)
    expect((JSON.parse(world.out) as Summary).seconds).toBeGreaterThanOrEqual(0.1)
  })

  it('ends cleanly with Ctrl-C, even when one press arrives twice', async () => {
    const world = fakeWorld()
    const running = world.run('record', '--driver', 'AFD', '--out', file, '--json', '--rate', '1000')
    while (!existsSync(file) || !world.source.trafficRunning()) await turn()
    world.interrupt()
    world.interrupt()
    expect(await running).toBe(0)
    const summary = JSON.parse(world.out) as Summary
    expect(summary.requests).toBe(summary.issued)
    expect(world.source.closed).toBe(true)
  })

  it('does not overwrite a file unless told to', async () => {
    writeFileSync(file, 'precious')
    const args = ['record', '--driver', 'AFD', '--out', file, '--count', '10', '--rate', 'max']
    const world = fakeWorld()
    expect(await world.run(...args)).toBe(1)
    expect(world.err).toBe(
      `drivermon: ${file}: exists already and is not overwritten (--force overwrites it)\n`,
    )
    expect(readFileSync(file, 'utf8')).toBe('precious')
    expect(await fakeWorld().run(...args, '--force')).toBe(0)
  })

  it('says what to name where a folder was named', async () => {
    const world = fakeWorld()
    expect(await world.run('record', '--driver', 'AFD', '--out', folder)).toBe(1)
    expect(world.err).toBe(`drivermon: ${folder}: is a folder: name a file in it\n`)
  })

  it('makes no file for a driver that is not there', async () => {
    const world = fakeWorld()
    expect(await world.run('record', '--driver', 'nosuch', '--out', file)).toBe(1)
    expect(world.err).toMatch(/^drivermon: \\Driver\\nosuch: there is no such driver\..*\n$/)
    expect(existsSync(file)).toBe(false)
    expect(world.source.closed).toBe(true)
  })

  it('leaves no file when it cannot start, but one that is no ordinary file', async () => {
    const world = fakeWorld({ startStatus: 0xc000009a })
    expect(await world.run('record', '--driver', 'AFD', '--out', file)).toBe(1)
    expect(world.err).toMatch(/^drivermon: Start: there is not enough memory for the rings.*\n$/)
    expect(existsSync(file)).toBe(false)
    const other = fakeWorld({ startStatus: 0xc000009a })
    expect(await other.run('record', '--driver', 'AFD', '--out', '/dev/null', '--force')).toBe(1)
    expect(existsSync('/dev/null')).toBe(true)
  })

  it('accounts for what capture options kept out, and the file says which', async () => {
    const world = fakeWorld()
    await world.run(
      ...['record', '--driver', 'AFD', '--out', file, '--count', '100', '--rate', 'max', '--json'],
      ...['--sample', '7', '--snaplen', '64'],
    )
    const summary = JSON.parse(world.out) as Summary
    expect(summary).toMatchObject({ issued: 50, filtered: 0 })
    expect(summary.sampledOut).toBeGreaterThan(0)
    expect(summary.requests + summary.sampledOut!).toBe(50)
    expect(readFileSync(file, 'latin1')).toContain('DriverMon records only: 1 in 7')
    // Whoever reads the file must not take them for all requests.
    const told = 'only some requests were recorded: 1 in 7\n'
    const shown = fakeWorld()
    await shown.run('show', file)
    expect(shown.err).toBe(`drivermon: ${told}`)
    const counted = fakeWorld()
    await counted.run('stats', file)
    expect(counted.out.endsWith(`\n${told}`)).toBe(true)
    const forMachines = fakeWorld()
    await forMachines.run('stats', file, '--json')
    expect(JSON.parse(forMachines.out)).toMatchObject({ recordedOnly: '1 in 7' })
  })

  it('says nothing of capture options where there are none', async () => {
    const summary = await recorded()
    expect(summary).not.toHaveProperty('filtered')
    expect(fakeWorld().source.calls).not.toContain('setPredicates')
  })

  it.each([
    [['--count-only', 'disk'], /disk is not watched: name it with --driver, too/],
    [['--only-function', 'RAED'], /there is no function "RAED"/i],
    [['--only-function', 'READ', '--not-function', 'WRITE'], /cannot be used with/],
    [['--pid', 'chrome'], /"chrome" is no process id/],
    [['--ioctl', 'nonsense'], /"nonsense" is no control code/],
    [['--min-latency', '5'], /"5" is no duration/],
    [['--sample', '0'], /whole number from 1/],
    [['--input-snaplen', '65537'], /whole number from 0 to 65536/],
  ])('refuses %j in one line', async (args, message) => {
    const world = fakeWorld()
    expect(await world.run('record', '--driver', 'AFD', '--out', file, ...args)).toBe(2)
    expect(world.err).toMatch(message)
    expect(world.err).toMatch(/^drivermon: [^\n]*\n$/)
    expect(existsSync(file)).toBe(false)
  })

  it('hooks a driver that PatchGuard checks only when forced to, and warns of one that it may check', async () => {
    const args = ['record', '--source', 'device', '--out', file, '--duration', '0.01', '--json', '--driver']
    const refused = fakeWorld({ kernel: KernelKind.Nt })
    expect(await refused.run(...args, '\\FileSystem\\Ntfs')).toBe(1)
    expect(refused.err).toMatch(/^drivermon: \\FileSystem\\Ntfs: PatchGuard checks .* --force-hook [^\n]*\n$/)
    expect(refused.source.calls).not.toContain('addDriver')
    const forced = fakeWorld({ kernel: KernelKind.Nt })
    await forced.run(...args, '\\FileSystem\\Ntfs', '--force-hook')
    expect(forced.source.calls).toContain('addDriver')
    const warned = fakeWorld({ kernel: KernelKind.Nt })
    expect(await warned.run(...args, '\\FileSystem\\Npfs')).toBe(0)
    expect(warned.err).toMatch(/Npfs: PatchGuard .* may check/)
    const elsewhere = fakeWorld({ kernel: KernelKind.Wine })
    expect(await elsewhere.run(...args, '\\FileSystem\\Npfs', '--force')).toBe(0)
    expect(elsewhere.err).toBe('')
  })

  it.runIf(existsSync('/dev/full'))('fails when the disk is full', async () => {
    const world = fakeWorld()
    const status = await world.run(
      ...['record', '--driver', 'AFD', '--out', '/dev/full', '--force', '--rate', 'max'],
    )
    expect(status).toBe(1)
    expect(world.err).toMatch(
      /^drivermon: \/dev\/full: recording stopped: the disk is full: make room.* 0 can be read\ndrivermon: the capture has ended with the problems above\n$/,
    )
    expect(world.out).toMatch(/requests in .* in \/dev\/full\n/)
    expect(world.out).toMatch(/\n([\d,]+) of \1 records could not be written; 0 can be read\n/)
  })

  describe('whose summary nobody reads', () => {
    const out = { isTTY: false, write: () => false }
    const args = () => ['record', '--driver', 'AFD', '--out', file, '--count', '10', '--rate', 'max']

    it.each([[[]], [['--json']]])('is no failure (%j)', async (options) => {
      const world = fakeWorld({ out })
      expect([await world.run(...args(), ...options), world.err]).toEqual([0, ''])
    })

    it.runIf(existsSync('/dev/full'))('fails when the disk is full all the same', async () => {
      const world = fakeWorld({ out })
      expect(await world.run(...args(), '--out', '/dev/full', '--force', '--json')).toBe(1)
      expect(world.err).toMatch(
        /the disk is full.*\ndrivermon: the capture has ended with the problems above\n$/,
      )
    })

    it('fails when something fails that nobody thought of', async () => {
      const world = fakeWorld({ out })
      const running = world.run(...args().slice(0, 5), '--rate', '1000')
      while (!existsSync(file) || !world.source.trafficRunning()) await turn()
      world.fault(new Error('nobody thought of it'))
      expect(await running).toBe(1)
      expect(world.err).toMatch(/: please report it\n$/)
    })
  })

  it.skipIf(process.platform === 'win32')('can be ended while the file does not open', async () => {
    const fifo = join(folder, 'fifo')
    execFileSync('mkfifo', [fifo])
    const world = fakeWorld()
    const running = world.run('record', '--driver', 'AFD', '--out', fifo, '--force')
    while (!world.source.calls.includes('addDriver')) await turn()
    world.interrupt()
    expect(await running).toBe(130)
    expect(world.err).toBe('drivermon: ended before the file could be opened\n')
    expect(world.source.closed).toBe(true)
    closeSync(openSync(fifo, 'r')) // lets it open
  })

  it('ends in good order when something fails that nobody thought of', async () => {
    const world = fakeWorld()
    const running = world.run(...['record', '--driver', 'AFD', '--out', file, '--json', '--rate', '1000'])
    while (!existsSync(file) || !world.source.trafficRunning()) await turn()
    world.fault(new Error('nobody thought of it'))
    world.fault(new Error('what followed from it'))
    expect(await running).toBe(1)
    expect(world.err).toMatch(/^drivermon: Error: nobody thought of it\n +at .*cli\.test\.ts/)
    expect(world.err).toMatch(/\ndrivermon: ended by the error above, .*: please report it\n$/)
    expect(world.err).not.toContain('what followed')
    const summary = JSON.parse(world.out) as Summary
    expect(summary.requests).toBe(summary.issued)
    expect(summary.records.written).toBe(summary.records.offered)
    expect(world.source.closed).toBe(true)
    expect((await loadCaptureFile(file, { budgetBytes: 64 << 20 })).capture.endRow).toBe(summary.rows)
  })

  it('waits for no clean end for ever after a fault', async () => {
    const world = fakeWorld()
    const running = world.run('record', '--driver', 'AFD', '--out', file, '--rate', '1000')
    while (!existsSync(file) || !world.source.trafficRunning()) await turn()
    // The pump says nothing any more, so that the end of the records does not come.
    world.source.released = world.source.stopPump
    world.source.control = () => new Uint8Array(0)
    vi.useFakeTimers({ toFake: ['setTimeout'] })
    world.fault(new Error('nobody thought of it'))
    // Not while a slow disk may still be closing the file.
    await vi.advanceTimersByTimeAsync(600_000)
    expect(world.source.closed).toBe(false)
    await vi.advanceTimersByTimeAsync(60_000)
    vi.useRealTimers()
    expect(await running).toBe(130)
    expect(world.source.closed).toBe(true)
  })

  it('shows progress when asked to', async () => {
    const world = fakeWorld()
    await world.run(
      ...['record', '--driver', 'AFD', '--out', file, '--duration', '1.2', '--progress', '--json'],
    )
    expect(world.err).toMatch(/^[\d.]+( k)?\/s {2}[\d,]+ requests {2}0 dropped {2}[\d.]+ KB\n/)
  })
})

describe('drivermon show', () => {
  it('prints a table', async () => {
    await recorded()
    const world = fakeWorld()
    expect(await world.run('show', file, '--limit', '3')).toBe(0)
    const lines = world.out.trimEnd().split('\n')
    expect(lines).toHaveLength(4)
    expect(lines[0]).toMatch(/ROW +TIME \(UTC\) +DRIVER +PROCESS +PID +TID +FUNCTION/)
    expect(lines[1]).toMatch(
      /\d\d:\d\d:\d\d\.\d{7} +\\Driver\\AFD +\S+ +\d+ +\d+ +IRP_MJ_DEVICE_CONTROL +IOCTL_AFD_/,
    )
    expect(world.err).toBe('')
  })

  it('prints JSON lines with exact values', async () => {
    await recorded()
    const world = fakeWorld()
    await world.run('show', file, '--format', 'jsonl')
    const rows = world.out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(rows).toHaveLength(400)
    expect(rows[0]).toMatchObject({ row: 0, driver: '\\Driver\\AFD', function: 'IRP_MJ_DEVICE_CONTROL' })
    expect(Buffer.from(String(rows[0].input), 'hex').toString()).toContain('request 1 to \\Driver\\AFD')
    expect(rows[0].latency_ns).toBeGreaterThan(0)
  })

  it('prints CSV that a reader understands', async () => {
    await recorded()
    const world = fakeWorld()
    await world.run('show', file, '--format', 'csv', '--limit', '2')
    const lines = world.out.split('\r\n')
    expect(lines).toHaveLength(4)
    expect(lines[0].split(',')).toContain('latency_ns')
    expect(lines[1].split(',')).toHaveLength(lines[0].split(',').length)
  })

  it('filters', async () => {
    await recorded()
    const count = async (filter: string) => {
      const world = fakeWorld()
      expect(await world.run('show', file, '--format', 'jsonl', '--filter', filter)).toBe(0)
      return world.out.split('\n').length - 1
    }
    expect(await count('driver == "\\Driver\\AFD"')).toBe(200)
    expect(await count('driver contains "echo" && major == READ')).toBeGreaterThan(0)
    expect(await count('pid == 77')).toBe(0)
  })

  it('takes a request to mount a volume for none with a control code', async () => {
    const world = fakeWorld()
    const read = start({ id: 1, at: 1, major: 13, minor: 0, code: 0x900a8 })
    const mount = start({ id: 2, at: 2, major: 13, minor: 1 })
    writeCapture([hooked(1, '\\FileSystem\\RAW'), read, mount])
    await world.run('show', file, '--format', 'jsonl')
    const rows = world.out.trimEnd().split('\n')
    expect(rows.map((row) => JSON.parse(row))).toMatchObject([
      { minor: 'USER_FS_REQUEST', ioctl: 'FSCTL_GET_REPARSE_POINT' },
      { minor: 'MOUNT_VOLUME', ioctl: null },
    ])
    const filtered = fakeWorld()
    await filtered.run('show', file, '--format', 'jsonl', '--filter', 'ioctl == 0')
    expect(filtered).toMatchObject({ out: '', err: '' })
  })

  it('prints a file that is larger than the memory it may take', async () => {
    const issued = 120_000
    await fakeWorld({ ringBytes: 1 << 28 }).run(
      ...['record', '--driver', 'AFD', 'DrivermonEcho', '--out', file],
      ...['--count', String(issued), '--rate', 'max'],
    )
    const { capture } = await loadCaptureFile(file, { budgetBytes: 8 << 20 })
    expect(capture.firstRow).toBeGreaterThan(0) // it is larger
    let rows = 0
    let ended = 0
    const write = (text: string) => {
      if (text.startsWith(`{"row":${rows},`)) rows++
      if (text.includes('"state":"done"')) ended++
      return true
    }
    const world = fakeWorld({ out: { isTTY: false, write } })
    expect(await world.run('show', file, '--format', 'jsonl', '--memory', '8MB')).toBe(0)
    expect({ rows, ended }).toEqual({ rows: issued, ended: issued })
  }, 60_000)

  it('points at the mistake in a filter', async () => {
    await recorded()
    const world = fakeWorld()
    expect(await world.run('show', file, '--filter', 'pid == 4 && nosuch == 1')).toBe(2)
    expect(world.err).toMatch(/^drivermon: --filter, columns 13–18: .*nosuch.*\n$/)
    expect(world.out).toBe('')
  })

  it('stops when nobody reads any more', async () => {
    await recorded()
    let lines = 0
    const world = fakeWorld({ out: { isTTY: false, write: () => ++lines < 5 } })
    expect(await world.run('show', file)).toBe(0)
    expect(lines).toBe(5)
    expect(world.err).toBe('')
  })

  it('reads what is there of a file that was cut off', async () => {
    await recorded()
    truncateSync(file, statSync(file).size - 3000)
    const world = fakeWorld()
    expect(await world.run('show', file, '--format', 'jsonl')).toBe(0)
    expect(world.err).toMatch(/^drivermon: .*: the last block is cut off \(\d+ bytes\); the rest was read\n$/)
    expect(world.out.split('\n').length).toBeGreaterThan(300)
  })

  it('reads the files of a recording though the newest is empty', async () => {
    await recorded()
    const empty = join(folder, 'empty.pcapng')
    writeFileSync(empty, '')
    const world = fakeWorld()
    expect(await world.run('show', file, empty, '--format', 'jsonl')).toBe(0)
    expect(world.out.trimEnd().split('\n')).toHaveLength(400)
    expect(world.err).toMatch(
      /^drivermon: .*empty\.pcapng: the file ends before .*; nothing of it was read\n$/,
    )
  })

  it.each([
    ['no file', () => join(folder, 'none'), 'there is no such file'],
    ['a folder', () => folder, 'is a folder'],
    ['something else', () => write('hello world, this is no capture at all'), 'no pcapng'],
    ['an empty file', () => write(''), ''],
  ] as [string, () => string, string][])(
    'says in one line that %s cannot be read',
    async (_name, path, reason) => {
      for (const command of ['show', 'stats']) {
        const world = fakeWorld()
        expect(await world.run(command, path())).toBe(1)
        expect(world.err).toMatch(/^drivermon: .+\n$/)
        expect(world.err).toContain(reason)
        expect(world.out).toBe('')
      }
    },
  )
})

// It is many times faster, so a command without it works, and loses what it should not.
describe('the native store', () => {
  let asked: number
  const nativeCode = () => ({
    loops: portableLoops,
    writePackets,
    ingest: (_: Uint32Array, at: number) => {
      asked++
      return at
    },
  })
  const home = () => {
    mkdirSync(join(folder, 'app'))
    writeFileSync(join(folder, 'app', 'index.html'), '')
    return folder
  }
  beforeEach(async () => {
    await recorded()
    asked = 0
  })

  it.each([
    ['show', () => ['show', file]],
    ['stats', () => ['stats', file]],
    ['record', () => ['record', '--driver', 'AFD', '--out', file, '--force', '--count', '400']],
  ])('takes in the records of %s', async (_, args) => {
    expect(await fakeWorld({ nativeCode }).run(...args())).toBe(0)
    expect(asked).toBeGreaterThan(0)
  })

  it.each([
    ['a live capture', () => []],
    ['a file', () => [file]],
  ])('takes in the records of %s in the window', async (_, args) => {
    const world = fakeWorld({ nativeCode, home: home() })
    const running = world.run(...args())
    while (asked === 0 || world.out === '') await turn()
    world.interrupt()
    expect(await running).toBe(0)
  })
})

describe('drivermon stats', () => {
  it('counts by driver and function', async () => {
    await recorded()
    const world = fakeWorld()
    expect(await world.run('stats', file)).toBe(0)
    expect(world.out).toMatch(/^DRIVER +FUNCTION +COUNT +ERRORS +CANCELLED +PENDED/)
    expect(world.out).toMatch(/\\Driver\\AFD +DEVICE_CONTROL +200 /)
    expect(world.out).toContain('Simulated kernel; nothing dropped; 0 ends without a start')
  })

  it('gives the numbers to machines', async () => {
    const summary = await recorded()
    const world = fakeWorld()
    await world.run('stats', file, '--json')
    const { functions, recordedOnly } = JSON.parse(world.out) as {
      functions: { count: number; p50: number; max: number }[]
      recordedOnly: string
    }
    expect(recordedOnly).toBe('')
    expect(functions.reduce((sum, each) => sum + each.count, 0)).toBe(summary.requests)
    for (const each of functions) expect(each.max).toBeGreaterThanOrEqual(each.p50)
  })
})

describe('wildcards in the names of files', () => {
  const world = () => fakeWorld({ platform: 'win32', home: folder })
  let pattern: string
  beforeEach(async () => {
    await recorded()
    pattern = join(folder, '?.PCAP*')
    mkdirSync(join(folder, 'app'))
    writeFileSync(join(folder, 'app', 'index.html'), '')
  })

  it.each(['show', 'stats'])('are understood by %s where the shell leaves them to it', async (command) => {
    const shown = world()
    expect([await shown.run(command, pattern), shown.err]).toEqual([0, ''])
    const none = world()
    expect(await none.run(command, `${pattern}.none`)).toBe(1)
    expect(none.err).toBe(`drivermon: ${pattern}.none: there is no such file\n`)
  })

  it('are understood by the window, too', async () => {
    const shown = world()
    const running = shown.run('app', pattern, '--no-open')
    while (shown.out + shown.err === '') await turn()
    shown.interrupt()
    expect([await running, shown.err]).toEqual([0, ''])
    expect(shown.source.calls).toEqual([])
  })
})

// A capture may come from anybody, and so may the names in it.
describe('a file whose names a terminal would obey', () => {
  const detail = '\x1b[31m\n\u009b2J\u202egpj.exe\u2028'
  const shown = '\\u{1b}[31m\\u{a}\\u{9b}2J\\u{202e}gpj.exe\\u{2028}'
  beforeEach(() => {
    const flags = RequestFlags.PayloadIsName
    const create = start({ id: 1, at: 1, major: 0, flags, payload: utf16(detail) })
    writeCapture([hooked(1, '\\Driver\\\u202e'), create], { os: 'os \x1b[2J', recordedOnly: 'only \x1b[2J' })
  })

  it.each([
    [['show'], ['\\Driver\\\\u{202e}', shown, 'recorded: only \\u{1b}[2J']],
    [['stats'], ['\\Driver\\\\u{202e}', 'os \\u{1b}[2J; nothing dropped', 'recorded: only \\u{1b}[2J']],
    [['show', '--limit', '\x1b[2J'], ['\\u{1b}[2J']],
  ])('prints them without harm: %j', async (args, expected) => {
    const world = fakeWorld()
    await world.run(...args, file)
    const printed = world.out + world.err
    for (const text of expected) expect(printed).toContain(text)
    expect(printed).not.toMatch(/[^\P{Cc}\n]|[\p{Cf}\u2028\u2029]/u)
    const places = world.out.split('\n', 2).map((line) => line.search(/FUNCTION|IRP_MJ_CREATE|CREATE/))
    expect(new Set(places).size).toBe(1)
  })

  it('gives them to machines as they are', async () => {
    const world = fakeWorld()
    await world.run('show', file, '--format', 'jsonl')
    expect(JSON.parse(world.out)).toMatchObject({ driver: '\\Driver\\\u202e', detail })
    const csv = fakeWorld()
    await csv.run('show', file, '--format', 'csv')
    expect(csv.out).toContain(`"${detail}"`)
  })
})

/** Makes `file` a capture file of these records. */
function writeCapture(records: Uint8Array[], words: { os?: string; recordedOnly?: string } = {}): void {
  const { writer, bytes } = captureFile({
    ...TEST_INFO,
    source: 'device',
    ...words,
  })
  writer.begin()
  writer.write(concat(records))
  writer.end()
  writeFileSync(file, bytes())
}

function write(text: string): string {
  writeFileSync(file, text)
  return file
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
