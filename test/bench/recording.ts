// recording.ts: the built product records what a million records a second bring, while its window is open in Chromium.
//
// A second client, with the window's cookie, says record, start and stop, and hears what the driver has counted. Then
// the files are read back with the product's reader: of every request that arrived start and end must be in there, or
// be told as dropped, and no record may be missing untold. Beside it: the same without recording, and plain writes of
// the same bytes. Simulated callers, core and browser share the processors.

import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Page as BrowserPage } from 'playwright-core'
import type { ClientMessage, Rotation, SessionState, Tick } from '../../src/protocol/wire.ts'
import { launchBrowser, startProduct } from '../support/browser.ts'
import { lostOf, sum } from './accounts.ts'
import { firstChart, openPage, PRODUCT, watch } from './browser.ts'
import { type Figure, median } from './figure.ts'
import { Page } from './page.ts'
import { readBack } from './recorded.ts'
import { number } from './table.ts'

/** Requests a second, of two records each: a little more than a million records. */
const RATE = 520_000
const ROTATION: Rotation = { sizeBytes: 256 << 20, timeMs: 0, keep: 0 }
const BLOCK_BYTES = 1 << 20

/** Beside the page that the product was opened with: a client that commands, and hears what comes of it. */
class Remote {
  state: SessionState | null = null
  tick: Tick | null = null
  readonly #page: Page
  #heard = () => {}

  private constructor(page: Page) {
    this.#page = page
    page.onMessage = (message) => {
      if (message.type === 'state') this.state = message.state
      if (message.type === 'tick') this.tick = message.tick
      this.#heard()
    }
  }

  static async beside(page: BrowserPage): Promise<Remote> {
    const [{ name, value }] = await page.context().cookies()
    const client = new Page(new URL(page.url()).origin, `${name}=${value}`)
    const remote = new Remote(client)
    await client.open()
    await remote.until(() => remote.tick !== null)
    return remote
  }

  /** Resolves when that holds; throws if the product complains meanwhile. */
  until(holds: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#heard = () => {
        if (this.#page.errors.length > 0) reject(new Error(this.#page.errors.join('; ')))
        else if (holds()) resolve()
      }
      this.#heard()
    })
  }

  tell(message: ClientMessage, holds: (state: SessionState) => boolean): Promise<void> {
    this.#page.send(message)
    return this.until(() => this.state !== null && holds(this.state))
  }

  async nextTick(): Promise<Tick> {
    const { tick } = this
    await this.until(() => this.tick !== tick)
    return this.tick!
  }

  vanish(): void {
    this.#page.vanish()
  }
}

interface Outcome {
  /** Millions of records a second that were taken in. */
  rate: number
  framesPerSecond: number
  /** Once stopped. */
  final: Tick
}

const arrivalsOf = ({ functions }: Tick) => sum(functions.map(([, , arrivals]) => arrivals))
const droppedOf = ({ droppedStarts, droppedEnds }: Tick) => lostOf(droppedStarts) + lostOf(droppedEnds)
const takenOf = (tick: Tick) => 2 * arrivalsOf(tick) - droppedOf(tick)

/** From a start to a stop; recorded, if there is a path. */
async function capture(page: BrowserPage, seconds: number, path = '', rotation: Rotation | null = null) {
  const remote = await Remote.beside(page)
  if (path) await remote.tell({ type: 'record', path, rotation }, ({ recording }) => recording !== '')
  await remote.tell({ type: 'start' }, ({ running }) => running)
  await watch(page, 1)
  const first = await remote.nextTick()
  const frames = await watch(page, seconds)
  const last = await remote.nextTick()
  await remote.tell({ type: 'stop' }, ({ running }) => !running)
  remote.vanish()
  // A client that comes now hears the final counts first.
  const auditor = await Remote.beside(page)
  const final = auditor.tick!
  auditor.vanish()
  const elapsed = (last.at - first.at) / auditor.state!.ticksPerSecond
  const rate = (takenOf(last) - takenOf(first)) / elapsed / 1e6
  return { rate, framesPerSecond: frames / seconds, final } satisfies Outcome
}

/** Throws unless every request of a capture is in its files, or told as dropped. */
async function audit(paths: readonly string[], final: Tick): Promise<void> {
  const { starts, ends, before, gaps, losses } = await readBack(paths)
  const expect = (what: string, left: number, right: number) => {
    if (left !== right) throw new Error(`${what}: ${left} is not ${right}`)
  }
  expect('starts in the files + dropped = arrivals', starts + lostOf(losses.starts), arrivalsOf(final))
  expect('ends in the files + dropped = arrivals', ends + lostOf(losses.ends), arrivalsOf(final))
  expect('dropped: files = driver', lostOf(losses.starts) + lostOf(losses.ends), droppedOf(final))
  expect('records that are missing untold', gaps + before, 0)
}

async function plainWrites(path: string, bytes: number): Promise<number> {
  const block = Buffer.alloc(BLOCK_BYTES, 7)
  const begin = performance.now()
  const file = await open(path, 'w')
  for (let left = bytes; left > 0; left -= BLOCK_BYTES)
    await file.write(block, 0, Math.min(left, BLOCK_BYTES))
  await file.datasync()
  await file.close()
  return (performance.now() - begin) / 1000
}

export async function benchRecording(quick: boolean): Promise<Figure[]> {
  const seconds = quick ? 3 : 8
  const folder = mkdtempSync(join(dirname(process.argv[1]), 'recording-'))
  const product = await startProduct(
    join(PRODUCT, 'drivermon.cjs'),
    '--rate',
    String(RATE),
    '--memory',
    '1GB',
  )
  const browser = await launchBrowser()
  try {
    const { page } = await openPage(browser, product.url)
    await firstChart(page)
    const remote = await Remote.beside(page)
    await remote.tell({ type: 'stop' }, ({ running }) => !running)
    remote.vanish()

    const unrecorded: number[] = []
    const written: number[] = []
    const kinds = [
      { name: 'into one file', rotation: null, outcomes: [] as Outcome[], files: 0 },
      { name: 'into files of 256 MiB', rotation: ROTATION, outcomes: [] as Outcome[], files: 0 },
    ]
    for (let round = 0; round < (quick ? 1 : 2); round++) {
      unrecorded.push((await capture(page, seconds)).rate)
      for (const kind of kinds) {
        const outcome = await capture(page, seconds, join(folder, 'capture.pcapng'), kind.rotation)
        const paths = readdirSync(folder)
          .sort()
          .map((name) => join(folder, name))
        await audit(paths, outcome.final)
        const bytes = sum(paths.map((path) => statSync(path).size))
        for (const path of paths) rmSync(path)
        kind.outcomes.push(outcome)
        kind.files = paths.length
        if (kind.rotation) continue
        const path = join(folder, 'plain')
        written.push(takenOf(outcome.final) / (await plainWrites(path, bytes)) / 1e6)
        rmSync(path)
      }
    }
    return kinds.map(({ name, outcomes, files }): Figure => {
      const rate = median(outcomes.map((each) => each.rate))
      const dropped = sum(outcomes.map(({ final }) => droppedOf(final)))
      const records = sum(outcomes.map(({ final }) => takenOf(final)))
      const megabytes = sum(outcomes.map(({ final }) => final.recordedBytes)) / 1e6
      return {
        name: `recording ${name}, the window open, simulated callers beside it`,
        unit: 'M records/s',
        better: 'higher',
        ours: rate,
        yardsticks: [
          { name: 'the same, not recording', value: median(unrecorded) },
          { name: 'plain writes of the same bytes, nothing beside them', value: median(written) },
        ],
        target: '≥ 1 M records/s, no loss',
        met: rate >= 1 && dropped === 0,
        note:
          `${number((2 * RATE) / 1e6)} M/s asked; ${dropped} of ${records + dropped} records dropped because rings were full; ` +
          `${megabytes.toFixed(0)} MB, ${files} files at last; the page drew ${number(median(outcomes.map((each) => each.framesPerSecond)))} ` +
          'frames/s; read back, the files hold every other record',
      }
    })
  } finally {
    await browser.close()
    await product.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}
