// booted.ts: a machine for the tests of one file: made from nothing before them, gone after.

import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { decodeHello, HELLO_REPLY_BYTES } from '../../src/protocol/control.ts'
import { captureFile } from '../support/capture-file.ts'
import { buildForWindows, caller, Machine } from './machine.mjs'
import { type Row, showRows } from './truth.ts'
import { Wine } from './wine.mjs'

const root = resolve(import.meta.dirname, '../..')
const drivermon = join(root, 'dist/drivermon.cjs')
const callerSimulated = join(root, 'build-tests/caller_simulated')

export const drivers = {
  echo: '\\Driver\\DrivermonEcho',
  layer: '\\Driver\\DrivermonLayer',
  mountMgr: '\\Driver\\MountMgr',
}

export type Program = ReturnType<Machine['start']>

export interface Booted {
  machine: Machine
  /** For the tests' files. */
  folder: string
}

export function bootForThisFile(options: { allowUnload?: boolean } = {}): Booted {
  mkdirSync(join(root, 'build-wine'), { recursive: true })
  const folder = mkdtempSync(join(root, 'build-wine/test-'))
  const machine = new Machine(join(folder, 'prefix'), options)
  beforeAll(async () => {
    buildForWindows()
    await machine.boot()
  })
  afterAll(() => {
    machine.leave()
    machine.powerOff()
    rmSync(folder, { recursive: true, force: true })
  })
  return { machine, folder }
}

/** Waits for something that a program is going to do. */
export async function until(program: Program, what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 60_000
  while (!condition()) {
    if (!program.running) throw new Error(`It ended before ${what}: ${JSON.stringify(await program.ended)}`)
    if (performance.now() > deadline) throw new Error(`No ${what} within a minute: ${program.stderr()}`)
    await new Promise((resume) => setTimeout(resume, 20))
  }
}

/** `drivermon record`, capturing. Its first line of progress says that it is. */
export async function startRecorder(
  machine: Machine,
  file: string,
  watched: string[],
  ...options: string[]
): Promise<Program> {
  const recorder = machine.startDrivermon([
    ...['record', '--source', 'device', '--json', '--progress', ...options],
    ...watched.flatMap((driver) => ['--driver', driver]),
    ...['--out', Wine.path(file)],
  ])
  await until(recorder, 'progress', () => recorder.stderr().includes('requests'))
  return recorder
}

/** Ends a recorder as Ctrl-C does. Returns its summary. */
export async function endRecorder(recorder: Program): Promise<Record<string, unknown>> {
  recorder.interrupt()
  const { status, stdout, stderr } = await recorder.end(30_000)
  if (status !== 0) throw new Error(`drivermon record ended with ${status}: ${stderr}`)
  return JSON.parse(stdout)
}

/** The caller on the Windows machine, started. Its subject is a folder; for the stress, seconds. */
export function startCaller(machine: Machine, what: string, subject: string): Program {
  return machine.start([caller, what, what === 'stress' ? subject : Wine.path(subject)])
}

/** The caller on the Windows machine, from its start to its end. */
export async function runCaller(machine: Machine, what: string, subject: string): Promise<void> {
  const { status, stdout, stderr } = await startCaller(machine, what, subject).end(60_000)
  if (status !== 0 || stderr !== '')
    throw new Error(`caller ${what} ended with ${status}: ${stdout}${stderr}`)
}

/** The caller on the simulated machine. */
export function runCallerSimulated(what: string, subject: string): void {
  const { status, stderr } = spawnSync(callerSimulated, [what, subject], { encoding: 'utf8' })
  if (status !== 0 || stderr !== '')
    throw new Error(`caller_simulated ${what} ended with ${status}: ${stderr}`)
}

export function rowsOf(captureFile: string): Row[] {
  return showRows(drivermon, captureFile)
}

/** The rows of what a caller captured itself: a HelloReply and records, as the driver gave them. */
export function rowsOfRecords(recordsFile: string): Row[] {
  const records = readFileSync(recordsFile)
  const hello = decodeHello(records.subarray(0, HELLO_REPLY_BYTES))
  const { writer, bytes } = captureFile({
    abiVersion: hello.abiVersion,
    ticksPerSecond: hello.ticksPerSecond,
    anchorTicks: hello.anchorTicks,
    anchorUtcMs: hello.anchorUtcMs,
    os: 'A test kernel',
    application: 'DriverMon tests',
    source: 'sim',
    series: 0,
    recordedOnly: '',
  })
  writer.begin()
  writer.write(records.subarray(HELLO_REPLY_BYTES))
  writer.end()
  const file = `${recordsFile}.pcapng`
  writeFileSync(file, bytes())
  return rowsOf(file)
}
