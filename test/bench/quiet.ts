// quiet.ts: a capture with next to nothing to capture: how soon a lone request is seen, and what waiting for it costs.
//
// Under load a batch is always on its way; here nothing is. A lone record is found by the driver's timer, handed over by
// the pump, taken into the store, shown by the server's next beat, and painted by a page in Chromium, which is open all
// the time: it tells when a row's text is there and the frame with it has been drawn.
//
// The simulated kernel has threads of its own where NT has interrupts: what they cost is measured with the driver's
// timer running and nobody fetching, and is not the product's.

import type { Page } from 'playwright-core'
import { loadBinding } from '../../addon/load.ts'
import { DEFAULT_SETTINGS } from '../../src/protocol/capture-settings.ts'
import { assetsOfFolder } from '../../src/server/assets.ts'
import { startAppServer } from '../../src/server/server.ts'
import { Session } from '../../src/session/session.ts'
import { launchBrowser } from '../support/browser.ts'
import { SIM_DRIVERS } from './accounts.ts'
import { ASSETS, openPage } from './browser.ts'
import { type Figure, median } from './figure.ts'
import { number } from './table.ts'
import { random } from './traffic.ts'

const ON_SCREEN_MS = 50
const MOST_CPU_PERCENT = 2
const RING_BYTES = 1 << 20

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]
}

/** Of this process, in percent of one processor; after a second for what a start sets off. */
async function cpuPercent(seconds: number): Promise<number> {
  await sleep(1000)
  const [cpu, time] = [process.cpuUsage(), performance.now()]
  await sleep(seconds * 1000)
  const { user, system } = process.cpuUsage(cpu)
  return (user + system) / 10 / (performance.now() - time)
}

/** What this process costs while nothing comes: idle, with the driver's timer alone, and capturing. Medians. */
async function quietCosts(session: Session, rounds: number, seconds: number) {
  const costs = { idle: [] as number[], driverAlone: [] as number[], capturing: [] as number[] }
  const { inputSnapLength, outputSnapLength } = DEFAULT_SETTINGS
  // The first round does not count: then code is still being compiled.
  for (let round = 0; round <= rounds; round++) {
    costs.idle.push(await cpuPercent(seconds))
    session.driver.start({ ringBytes: RING_BYTES, inputSnapLength, outputSnapLength })
    costs.driverAlone.push(await cpuPercent(seconds))
    session.driver.stop()
    session.start()
    costs.capturing.push(await cpuPercent(seconds))
    await session.stop()
  }
  const counted = (values: number[]) => median(values.slice(1))
  return {
    idle: counted(costs.idle),
    driverAlone: counted(costs.driverAlone),
    capturing: counted(costs.capturing),
  }
}

/** When the page has shown a row, by its own clock: its text is there, and a frame has been drawn since. */
function painted(page: Page, index: number): Promise<number> {
  return page.evaluate(
    // Row 1 is the header.
    (selector) =>
      new Promise<number>((resolve) => {
        const look = () => {
          if (!document.querySelector(selector)?.textContent) return
          observer.disconnect()
          // The frame in which the text was written is on its way when the next one begins.
          requestAnimationFrame(() => resolve(performance.timeOrigin + performance.now()))
        }
        const observer = new MutationObserver(look)
        const everything = { subtree: true, childList: true, characterData: true, attributes: true }
        observer.observe(document.querySelector('.grid')!, everything)
        look()
      }),
    `.row[aria-rowindex="${index + 2}"]:not(.void, .waiting)`,
  )
}

const now = () => performance.timeOrigin + performance.now()

/** By how much the page's clock is ahead of ours: from the question that was answered soonest. */
async function clockOffset(page: Page): Promise<number> {
  let soonest = Number.POSITIVE_INFINITY
  let offset = 0
  for (let i = 0; i < 20; i++) {
    const asked = now()
    const answer = await page.evaluate(() => performance.timeOrigin + performance.now())
    const took = now() - asked
    if (took >= soonest) continue
    soonest = took
    offset = answer - (asked + took / 2)
  }
  return offset
}

async function loneRequests(session: Session, send: () => void, page: Page, times: number) {
  const next = random(20261123)
  const inStore: number[] = []
  const onScreen: number[] = []
  const offset = await clockOffset(page)
  for (let i = 0; i < times; i++) {
    const before = session.capture.endRow
    const shown = painted(page, before)
    // At any moment of the timers' and the server's rhythms, and of the page's.
    await sleep(60 + (next() % 120))
    const begin = now()
    const arrived = new Promise<void>((resolve) => {
      const end = session.subscribe({
        state: () => {},
        problem: () => {},
        grown: () => {
          if (session.capture.endRow === before) return
          end()
          resolve()
        },
      })
    })
    send()
    await arrived
    inStore.push(now() - begin)
    onScreen.push((await shown) - offset - begin)
  }
  return { inStore, onScreen }
}

export async function benchQuiet(quick: boolean): Promise<Figure[]> {
  const { openSim, store } = loadBinding()
  const source = openSim()
  const session = new Session(source, {
    version: 'bench',
    budgetBytes: 1 << 28,
    native: store,
    traffic: null,
  })
  for (const driver of SIM_DRIVERS) session.addDriver(driver)
  const assets = assetsOfFolder(ASSETS)
  const server = await startAppServer({ subject: session, assets, version: 'bench', port: 0 })
  const browser = await launchBrowser()
  try {
    const { page } = await openPage(browser, server.url)
    await page.locator('.grid').waitFor()
    const costs = await quietCosts(session, quick ? 1 : 3, quick ? 2 : 5)
    session.start()
    const send = () => source.startTraffic({ seed: 1, rate: 0, count: 3 })
    const { inStore, onScreen } = await loneRequests(session, send, page, quick ? 40 : 200)
    const slowest = percentile(onScreen, 0.99)
    const kernel = costs.driverAlone - costs.idle
    const ours = costs.capturing - kernel
    return [
      {
        name: 'a lone request, from its issue until it is painted, the slowest in a hundred',
        unit: 'ms',
        better: 'lower',
        ours: slowest,
        yardsticks: [{ name: 'until it is in the store', value: percentile(inStore, 0.99) }],
        target: `≤ ${ON_SCREEN_MS} ms`,
        met: slowest <= ON_SCREEN_MS,
        note: `median ${number(median(onScreen))} ms, into the store ${number(median(inStore))} ms`,
      },
      {
        name: 'processor time of the core, two drivers hooked, capturing, a page open, no traffic',
        unit: '% of a processor',
        better: 'lower',
        ours,
        yardsticks: [{ name: 'the same, not capturing', value: costs.idle }],
        target: `< ${MOST_CPU_PERCENT} %`,
        met: ours < MOST_CPU_PERCENT,
        note:
          `${number(costs.capturing)} % less ${number(kernel)} % that the simulated kernel's own threads take ` +
          "while the driver's timer runs and nobody fetches",
      },
    ]
  } finally {
    await browser.close()
    await server.close()
    await session.close()
  }
}
