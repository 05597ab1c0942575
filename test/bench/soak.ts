// soak.ts: `npm run soak`: the product under load for as long as one likes, and then the sums.
//
// The simulated callers ask for a million requests a second (0 = as many as they can), the capture is stopped and
// started again, every other time it is recorded to files that rotate, and meanwhile pages filter, sort, scroll, look at
// rows, stop reading, and vanish in the middle of an answer; rows are cleared, the budget, the capture options and the
// drivers change, processes turn up that no list had, and JavaScript's thread stands still for two seconds. After each
// stop every request must be accounted for (accounts.ts), the files must hold every record from the first that was
// kept to the last that the driver made (recorded.ts), and memory, open files and threads must be what they were after
// the first starts. At the end the driver's client vanishes under load, and nothing of it may be left.

import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { NativeSource } from '../../addon/binding.ts'
import { loadBinding } from '../../addon/load.ts'
import {
  type CapturePredicates,
  DEFAULT_PREDICATES,
  DEFAULT_SETTINGS,
} from '../../src/protocol/capture-settings.ts'
import type { ViewRequest } from '../../src/protocol/wire.ts'
import { Session } from '../../src/session/session.ts'
import { closingSums, Departures, SIM_DRIVERS, sum } from './accounts.ts'
import { median } from './figure.ts'
import { type Page, Site } from './page.ts'
import { readBack } from './recorded.ts'
import { random } from './traffic.ts'

const FILTERS = [
  '',
  'latency > 1ms',
  'error',
  'pid == 1208 && major == DEVICE_CONTROL',
  'process contains "s" && !error',
  'ioctl == IOCTL_AFD_RECV || status != 0',
  'information > 100 && latency > 10us',
  'input contains 00:00',
]
const SORTED_BY = ['latency', 'time', 'process', 'information', 'row']
const PREDICATES: Partial<CapturePredicates>[] = [
  {},
  { errorsOnly: true },
  { sampleEvery: 10 },
  { minimumLatencyNs: 20_000 },
  { processes: { mode: 'allBut', values: [6284] } },
  { drivers: { mode: 'only', values: [SIM_DRIVERS[0]] } },
]
const EPOCHS = 10
const BUDGETS = [128 << 20, 96 << 20, 32 << 20]
const BUDGET_BYTES = Math.max(...BUDGETS)
/** Its counters are not those of its callers: they go on while it is not watched. */
const COMES_AND_GOES = SIM_DRIVERS[1]
const ALWAYS_THERE = [SIM_DRIVERS[0]]
/** Rounds, of half a second on the mean. */
const DISTURBED_EVERY = 4
const STANDSTILL_MS = 2000
/** Of what is asked for, the callers must get to send so much: otherwise it was another load. */
const LEAST_SHARE_OF_RATE = 0.95
const ROTATION = { sizeBytes: 64 << 20, timeMs: 0, keep: 3 }
/** What rings, slots, the simulated kernel, compiled code and pages may take beside the rows. */
const BESIDE_ROWS = 320 << 20
/** What memory may move by without anything being kept: buffers are pooled, the collector takes its time. */
const GROWTH_ALLOWED = 48 << 20

const next = random(20261122)
const oneOf = <T>(list: readonly T[]): T => list[next() % list.length]
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** What a page asks for next. */
function something(rows: number): Partial<ViewRequest> {
  return {
    filter: oneOf(FILTERS),
    sort: next() % 8 === 0 ? { field: oneOf(SORTED_BY), descending: next() % 2 === 0 } : null,
    first: next() % (rows + 1),
    follow: next() % 3 === 0,
  }
}

type Resources = Awaited<ReturnType<typeof resources>>

async function resources() {
  // Twice: shared memory goes with the collection after the one that found it unused.
  globalThis.gc?.()
  await sleep(50)
  globalThis.gc?.()
  const threads = /Threads:\s*(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))
  return {
    rss: process.memoryUsage.rss(),
    files: readdirSync('/proc/self/fd').length,
    threads: Number(threads?.[1]),
  }
}

/** Lists only every other process at first, as if the others had come since. */
function withLateProcesses(source: NativeSource): NativeSource {
  const listed = source.processes()
  const early = listed.filter((_, i) => i % 2 === 0)
  let lists = 0
  return Object.defineProperty(source, 'processes', { value: () => (lists++ === 0 ? early : listed) })
}

/** One thing that happens to the session while everybody looks. */
function disturb(session: Session, departures: Departures): void {
  switch (next() % 6) {
    case 0:
      departures.clear()
      break
    case 1:
      session.setBudget(oneOf(BUDGETS))
      break
    case 2:
    case 3:
      session.configure({ ...DEFAULT_SETTINGS, predicates: { ...DEFAULT_PREDICATES, ...oneOf(PREDICATES) } })
      break
    case 4:
      if (session.state().drivers.some(({ name }) => name === COMES_AND_GOES))
        session.removeDriver(COMES_AND_GOES)
      else session.addDriver(COMES_AND_GOES)
      break
    case 5:
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, STANDSTILL_MS)
      break
  }
}

/** Everybody does what they like until `until`. */
async function unrest(site: Site, session: Session, departures: Departures, until: number): Promise<Page[]> {
  const reader = await site.open()
  const sluggard = await site.open()
  const pages = [reader, sluggard]
  for (let round = 1; performance.now() < until; round++) {
    const visitor = await site.open()
    pages.push(visitor)
    for (const page of [reader, sluggard, visitor]) page.look(something(session.capture.rowCount))
    const { firstRow, rowCount } = session.capture
    const row = (firstRow + (next() % (rowCount + 1))) as typeof firstRow
    reader.send({ type: 'detail', row, stamp: 1 })
    sluggard.stopReading()
    await sleep(200 + (next() % 600))
    if (round % DISTURBED_EVERY === 0) disturb(session, departures)
    sluggard.readOn()
    visitor.look(something(rowCount))
    visitor.vanish()
  }
  return pages
}

/** What is wrong with the files of a recording that has ended. */
async function wrongFiles(folder: string, session: Session): Promise<string[]> {
  const paths = readdirSync(folder)
    .sort()
    .map((name) => join(folder, name))
  const wrong: string[] = []
  if (paths.length === 0 || paths.length > ROTATION.keep)
    wrong.push(`${paths.length} files are kept, not 1 to ${ROTATION.keep}`)
  const largest = Math.max(...paths.map((path) => statSync(path).size))
  if (largest > ROTATION.sizeBytes)
    wrong.push(`a file has ${largest} bytes, not ${ROTATION.sizeBytes} at most`)
  const { starts, ends, gaps, offered } = await readBack(paths)
  if (starts === 0 || ends === 0) wrong.push('the files hold no requests')
  if (gaps > 0) wrong.push(`the files miss records in ${gaps} places, and no loss is told`)
  if (offered !== session.counters?.offered)
    wrong.push(`the files end with record ${offered}, the driver offered ${session.counters?.offered}`)
  return wrong
}

/** A client that is gone in the middle of it all leaves nothing behind: what is wrong with that. */
async function vanishUnderLoad(rate: number): Promise<string[]> {
  const before = await resources()
  const session = newSession(rate)
  for (const driver of SIM_DRIVERS) session.addDriver(driver)
  session.start()
  await sleep(1000)
  session.abort()
  await sleep(200)
  const after = await resources()
  return (['files', 'threads'] as const)
    .filter((kind) => after[kind] > before[kind])
    .map((kind) => `a client that vanished left ${after[kind] - before[kind]} ${kind} behind`)
}

function newSession(rate: number): Session {
  const { openSim, store } = loadBinding()
  return new Session(withLateProcesses(openSim()), {
    version: 'soak',
    budgetBytes: BUDGET_BYTES,
    native: store,
    traffic: { seed: 1, rate, count: 0 },
  })
}

interface Epoch {
  /** Requests, and milliseconds. */
  issued: number
  elapsed: number
  line: string
  wrong: string[]
}

/** From a start to a stop, with everything as it was at first, and its sums. */
async function runEpoch(
  session: Session,
  site: Site,
  milliseconds: number,
  recorded: boolean,
): Promise<Epoch> {
  session.configure(DEFAULT_SETTINGS)
  session.setBudget(BUDGET_BYTES)
  if (session.state().drivers.length < SIM_DRIVERS.length) session.addDriver(COMES_AND_GOES)
  const folder = recorded ? mkdtempSync(join(tmpdir(), 'drivermon-soak-')) : null
  if (folder) await session.record(join(folder, 'soak.pcapng'), ROTATION)
  const departures = new Departures(session)
  session.start()
  const begin = performance.now()
  const pages = await unrest(site, session, departures, begin + milliseconds)
  const elapsed = performance.now() - begin
  const bytes = session.recordedBytes
  await session.stop()
  departures.end()
  for (const page of pages) page.vanish()
  await sleep(200)
  const { line, wrong } = closingSums(session, departures, ALWAYS_THERE)
  wrong.push(...pages.flatMap(({ errors }) => errors))
  if (folder) {
    wrong.push(...(await wrongFiles(folder, session)))
    rmSync(folder, { recursive: true })
  }
  const windows = sum(pages.map(({ frames }) => frames))
  return {
    issued: sum(Object.values(session.issued())),
    elapsed,
    line: `${line}; ${folder ? `${mebibytes(bytes)} recorded, ` : ''}${windows} windows to ${pages.length} pages`,
    wrong,
  }
}

/** What is wrong with what was held after each epoch. */
function wrongResources(before: Resources, held: readonly Resources[]): string[] {
  const wrong: string[] = []
  // The first two epochs fill the budget and compile the code.
  for (const kind of ['files', 'threads'] as const) {
    const most = Math.max(...held.slice(2).map((each) => each[kind]))
    if (most > held[1][kind]) wrong.push(`${most} ${kind}, there were ${held[1][kind]}`)
  }
  const most = Math.max(...held.map(({ rss }) => rss)) - before.rss
  if (most > BUDGET_BYTES + BESIDE_ROWS)
    wrong.push(
      `memory is ${mebibytes(most)} more than before the first start, not ${mebibytes(BUDGET_BYTES + BESIDE_ROWS)} at most`,
    )
  if (growthOf(held) > GROWTH_ALLOWED) wrong.push(`memory has grown by ${mebibytes(growthOf(held))}`)
  return wrong
}

/** Of the second half over what came before it; a single epoch's peak says how far the collector had got. */
function growthOf(held: readonly Resources[]): number {
  const rss = held.map((each) => each.rss)
  return median(rss.slice(EPOCHS / 2)) - median(rss.slice(1, EPOCHS / 2))
}

const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MiB`

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { minutes: { type: 'string', default: '10' }, rate: { type: 'string', default: '1000000' } },
  })
  const rate = Number(values.rate)
  const session = newSession(rate)
  for (const driver of SIM_DRIVERS) session.addDriver(driver)
  const problems: string[] = []
  session.subscribe({ state: () => {}, problem: (message) => problems.push(message) })
  const site = await Site.of(session)

  const before = await resources()
  const held: Resources[] = []
  let issued = 0
  let elapsed = 0
  for (let number = 1; number <= EPOCHS; number++) {
    const epoch = await runEpoch(session, site, (Number(values.minutes) * 60_000) / EPOCHS, number % 2 === 0)
    issued += epoch.issued
    elapsed += epoch.elapsed
    problems.push(...epoch.wrong)
    held.push(await resources())
    const { rss, files, threads } = held[held.length - 1]
    process.stdout.write(
      `${number}/${EPOCHS}  ${epoch.line}; ${mebibytes(rss)}, ${files} files, ${threads} threads\n`,
    )
  }
  await site.close()
  await session.close()
  problems.push(...wrongResources(before, held), ...(await vanishUnderLoad(rate)))
  const achieved = (issued * 1000) / elapsed
  if (achieved < LEAST_SHARE_OF_RATE * rate)
    problems.push(`the callers got to send ${achieved.toFixed(0)} requests a second, not ${rate}`)
  for (const problem of new Set(problems)) process.stdout.write(`WRONG: ${problem}\n`)
  process.stdout.write(
    problems.length === 0
      ? `Every request is accounted for: ${issued} in ${(elapsed / 1000).toFixed(0)} s, ${achieved.toFixed(0)} a second; ` +
          `memory ${growthOf(held) > 0 ? 'grew' : 'shrank'} by ${mebibytes(Math.abs(growthOf(held)))}.\n`
      : 'The sums do not hold.\n',
  )
  return problems.length === 0 ? 0 : 1
}

process.exitCode = await main()
