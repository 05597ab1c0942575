// soak.ts: `npm run soak`: the product under load for as long as one likes, and then the sums.
//
// The simulated callers ask for a million requests a second (0 = as many as they can), the capture is stopped and
// started again, every other time it is recorded to files that rotate, and meanwhile pages filter, sort, scroll, look at
// rows, stop reading, and vanish. After each stop every request must be accounted for (accounts.ts), the files kept must
// be those that were asked for, and memory, open files and threads must be what they were after the first starts.

import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { loadBinding } from '../../addon/load.ts'
import type { ViewRequest } from '../../src/protocol/wire.ts'
import { Session } from '../../src/session/session.ts'
import { closingSums, SIM_DRIVERS, sum } from './accounts.ts'
import { median } from './figure.ts'
import { type Page, Site } from './page.ts'
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
const EPOCHS = 10
const BUDGET_BYTES = 128 << 20
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

/** Everybody does what they like until `until`. */
async function unrest(site: Site, session: Session, until: number): Promise<Page[]> {
  const reader = await site.open()
  const sluggard = await site.open()
  const pages = [reader, sluggard]
  while (performance.now() < until) {
    const visitor = await site.open()
    pages.push(visitor)
    for (const page of [reader, sluggard, visitor]) page.look(something(session.capture.rowCount))
    const { firstRow, rowCount } = session.capture
    const row = (firstRow + (next() % (rowCount + 1))) as typeof firstRow
    reader.send({ type: 'detail', row, stamp: 1 })
    sluggard.stopReading()
    await sleep(200 + (next() % 600))
    sluggard.readOn()
    visitor.vanish()
  }
  return pages
}

/** What is wrong with the files of a recording that has ended. */
function wrongFiles(folder: string): string[] {
  const files = readdirSync(folder).map((name) => statSync(join(folder, name)).size)
  const wrong: string[] = []
  if (files.length === 0 || files.length > ROTATION.keep)
    wrong.push(`${files.length} files are kept, not 1 to ${ROTATION.keep}`)
  const largest = Math.max(...files)
  if (largest > ROTATION.sizeBytes)
    wrong.push(`a file has ${largest} bytes, not ${ROTATION.sizeBytes} at most`)
  return wrong
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { minutes: { type: 'string', default: '10' }, rate: { type: 'string', default: '1000000' } },
  })
  const epochMs = (Number(values.minutes) * 60_000) / EPOCHS
  const session = new Session(loadBinding().openSim(), {
    version: 'soak',
    budgetBytes: BUDGET_BYTES,
    native: loadBinding().store,
    traffic: { seed: 1, rate: Number(values.rate), count: 0 },
  })
  for (const driver of SIM_DRIVERS) session.addDriver(driver)
  const problems: string[] = []
  session.subscribe({ state: () => {}, problem: (message) => problems.push(message) })
  const site = await Site.of(session)

  const { rss: before } = await resources()
  let baseline: Awaited<ReturnType<typeof resources>> | null = null
  const memory: number[] = []
  for (let epoch = 1; epoch <= EPOCHS; epoch++) {
    const folder = epoch % 2 === 0 ? mkdtempSync(join(tmpdir(), 'drivermon-soak-')) : null
    if (folder) await session.record(join(folder, 'soak.pcapng'), ROTATION)
    session.start()
    const pages = await unrest(site, session, performance.now() + epochMs)
    const recorded = session.recordedBytes
    await session.stop()
    for (const page of pages) page.vanish()
    await sleep(200)
    const { line, wrong } = closingSums(session)
    if (folder) {
      wrong.push(...wrongFiles(folder))
      rmSync(folder, { recursive: true })
    }
    const { rss, files, threads } = await resources()
    process.stdout.write(
      `${epoch}/${EPOCHS}  ${line}; ${(rss / 2 ** 20).toFixed(0)} MiB, ${files} files, ${threads} threads, ` +
        `${folder ? `${(recorded / 2 ** 20).toFixed(0)} MiB recorded, ` : ''}` +
        `${sum(pages.map(({ frames }) => frames))} windows to ${pages.length} pages\n`,
    )
    problems.push(...wrong, ...pages.flatMap(({ errors }) => errors))
    // The first two epochs fill the budget and compile the code.
    if (epoch === 2) baseline = { rss, files, threads }
    memory.push(rss)
    if (baseline && files > baseline.files)
      problems.push(`${files} files are open, there were ${baseline.files}`)
    if (baseline && threads > baseline.threads)
      problems.push(`${threads} threads, there were ${baseline.threads}`)
  }
  const most = BUDGET_BYTES + BESIDE_ROWS
  if (Math.max(...memory) - before > most)
    problems.push(
      `memory is ${((Math.max(...memory) - before) / 2 ** 20).toFixed(0)} MiB more than before the first start, not ${most >> 20} at most`,
    )
  // Of the second half over what came before it; a single epoch's peak says how far the collector had got.
  const growth = median(memory.slice(EPOCHS / 2)) - median(memory.slice(1, EPOCHS / 2))
  if (growth > GROWTH_ALLOWED) problems.push(`memory has grown by ${(growth / 2 ** 20).toFixed(0)} MiB`)
  await site.close()
  await session.close()
  for (const problem of new Set(problems)) process.stdout.write(`WRONG: ${problem}\n`)
  process.stdout.write(
    problems.length === 0
      ? `Every request is accounted for; memory ${growth > 0 ? 'grew' : 'shrank'} by ${(Math.abs(growth) / 2 ** 20).toFixed(0)} MiB.\n`
      : 'The sums do not hold.\n',
  )
  return problems.length === 0 ? 0 : 1
}

process.exitCode = await main()
