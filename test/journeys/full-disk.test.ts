// full-disk.test.ts: the built program on disks that really are full: one of a few megabytes, and a limit on a file's
// size. What was written can be read, and what could not be is counted, to the record.

import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Summary } from '../../src/cli/record.ts'
import { PcapngReader } from '../../src/formats/pcapng-reader.ts'
import { RecordType } from '../../src/protocol/layout.ts'
import { forEachRecord } from '../../src/protocol/records.ts'

const PROGRAM = resolve(import.meta.dirname, '../../dist/drivermon.cjs')
const DISK_BYTES = 3 << 20

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'drivermon-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

/** Runs the program as a child of `around`, which sets the limit. */
function record(around: string[], ...options: string[]) {
  const [program, ...args] = [
    ...[
      ...around,
      process.execPath,
      PROGRAM,
      'record',
      '--source',
      'sim',
      '--driver',
      'AFD',
      'DrivermonEcho',
    ],
    ...['--count', '60000', '--rate', 'max', '--json', ...options],
  ]
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' })
  return { status, err: stderr, summary: JSON.parse(stdout) as Summary }
}

/** A disk of its own, gone with the program; what is on it then is copied to `folder`. */
function onSmallDisk(path: string): string[] {
  const script = `mount -t tmpfs -o size=${DISK_BYTES} tmpfs "$0" || exit; "$@"; status=$?; cp "$0"/* ${folder}; exit $status`
  return ['unshare', '--mount', '--map-root-user', 'sh', '-c', script, path]
}

/** What says why not, if no disk can be made here. */
function missingRights(): string {
  const { status, stderr, error } = spawnSync('unshare', [
    ...['--mount', '--map-root-user', 'mount', '-t', 'tmpfs', 'tmpfs', tmpdir()],
  ])
  return status === 0 ? '' : `no disk can be made here: ${error?.message ?? stderr}`
}

/** Records in a file by what they are; fails where it is not whole. */
function recordsIn(path: string) {
  const reader = new PcapngReader()
  const records = reader.push(readFileSync(path))
  const types: number[] = []
  forEachRecord(records, (_words, _at, type) => types.push(type))
  expect(reader.end()).toEqual({ tornBytes: 0 })
  const firstRequest = types.findIndex(
    (type) => type === RecordType.RequestStart || type === RecordType.RequestEnd,
  )
  return { total: types.length, beforeRequests: firstRequest < 0 ? types.length : firstRequest }
}

describe('a disk that is full', () => {
  const noDisk = missingRights()

  it.skipIf(noDisk)(`stops the recording; all is accounted for ${noDisk}`, () => {
    const disk = join(folder, 'disk')
    mkdirSync(disk)
    const { status, err, summary } = record(onSmallDisk(disk), '--out', join(disk, 'x.pcapng'))
    expect(status).toBe(1)
    expect(err).toMatch(/x\.pcapng: recording stopped: the disk is full: make room.* can be read\n/)
    const { offered, written, discarded } = summary.records
    expect(discarded).toBeGreaterThan(0)
    expect(written + discarded).toBe(offered)
    const file = join(folder, 'x.pcapng')
    expect(recordsIn(file).total).toBe(written)
    expect(summary.bytes).toBe(statSync(file).size)
    expect(summary.requests + summary.dropped.starts.ringFull).toBe(summary.issued)
  })

  it.skipIf(noDisk)(`stops it in whichever file it is ${noDisk}`, () => {
    const disk = join(folder, 'disk')
    mkdirSync(disk)
    const { status, err, summary } = record(
      onSmallDisk(disk),
      ...['--out', join(disk, 'x.pcapng'), '--rotate-size', '1MB'],
    )
    expect(status).toBe(1)
    expect(err).toMatch(/x_0000000\d_\w+\.pcapng: recording stopped: .*the disk is full/)
    const { offered, written, discarded } = summary.records
    expect(discarded).toBeGreaterThan(0)
    expect(written + discarded).toBe(offered)
    const files = readdirSync(folder)
      .filter((name) => name.endsWith('.pcapng'))
      .sort()
    expect(files.length).toBeGreaterThan(2)
    expect(summary.files).toEqual(files.map((name) => join(disk, name)))
    // Each file but the first says again what was said of drivers and processes.
    const found = files.map((name) => recordsIn(join(folder, name)))
    const repeated = found.slice(1).reduce((sum, { beforeRequests }) => sum + beforeRequests, 0)
    expect(found.reduce((sum, { total }) => sum + total, 0) - repeated).toBe(written)
  })

  it.skipIf(process.platform === 'win32')('is told from a limit on the size of a file', () => {
    const file = join(folder, 'x.pcapng')
    const { status, err, summary } = record(['prlimit', '--fsize=1000000'], '--out', file)
    expect(status).toBe(1)
    expect(err).toMatch(/x\.pcapng: recording stopped: the file may not become larger: rotate/)
    const { offered, written, discarded } = summary.records
    expect(discarded).toBeGreaterThan(0)
    expect(written + discarded).toBe(offered)
    expect(recordsIn(file).total).toBe(written)
    expect(summary.bytes).toBe(statSync(file).size)
  })
})
