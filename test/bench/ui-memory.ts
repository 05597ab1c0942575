// ui-memory.ts: what the page and its worker hold after each quarter of a minute of a million requests a second, garbage
// collected: JavaScript's objects, the browser's own behind them (nodes, sockets), and the bytes of their buffers. Within
// each quarter somebody follows the newest rows, filters, scrolls far, and goes back to following.
//
// Flat is what it must be: a window that is left open for a day must not grow. Compared is the least that was held in the
// second half of the time with the least of the first: what arrives between collecting and asking is not held. Before
// that, the charts' minute fills.

import type { CDPSession, Page } from 'playwright-core'
import { startFakeCore } from '../app/fake-core.ts'
import { launchBrowser } from '../support/browser.ts'
import { ASSETS, filter, firstChart, openPage, scroll, watch } from './browser.ts'
import type { Figure } from './figure.ts'
import { number } from './table.ts'

const RATE = 1_000_000
const ROWS = 50_000_000
const MINUTES = 2
const QUICK_MINUTES = 0.5
const SAMPLES_PER_MINUTE = 4
/** Enough to compare halves. */
const LEAST_SAMPLES = 6
/** By then everything has run that will, and is compiled, and the charts are full. */
const WARM_UP_SECONDS = 75
const QUICK_WARM_UP_SECONDS = 10
const MOST_GROWTH_KB = 256

interface HeapUsage {
  usedSize: number
  embedderHeapUsedSize: number
  backingStorageSize: number
}

function kilobytes({ usedSize, embedderHeapUsedSize, backingStorageSize }: HeapUsage): number {
  return (usedSize + embedderHeapUsedSize + backingStorageSize) / 1024
}

interface Sample {
  pageKb: number
  workerKb: number
  nodes: number
}

export async function benchUiMemory(
  quick: boolean,
  minutes = quick ? QUICK_MINUTES : MINUTES,
): Promise<Figure[]> {
  const count = Math.max(LEAST_SAMPLES, SAMPLES_PER_MINUTE * minutes)
  const seconds = minutes * 60
  const browser = await launchBrowser()
  const core = await startFakeCore({ assets: ASSETS, rows: ROWS, rate: RATE, live: true })
  try {
    const { page } = await openPage(browser, core.url)
    await firstChart(page)
    const memory = await Memory.of(page)
    await useForAWhile(page, quick ? QUICK_WARM_UP_SECONDS : WARM_UP_SECONDS)
    const samples = [await memory.sample()]
    while (samples.length < count) {
      await useForAWhile(page, seconds / (count - 1))
      samples.push(await memory.sample())
    }
    const curve = (kind: keyof Sample) => samples.map((sample) => sample[kind])
    return [
      growth('what the page holds', 'KB', seconds, curve('pageKb'), MOST_GROWTH_KB),
      growth('what its worker holds', 'KB', seconds, curve('workerKb'), MOST_GROWTH_KB),
      // The browser keeps what was typed over, to undo it: a node each time that the filter is.
      growth("the number of the page's nodes", 'nodes', seconds, curve('nodes'), count),
    ]
  } finally {
    await browser.close()
    await core.close()
  }
}

/** Everything that a window is for, and in the end as at the beginning. */
async function useForAWhile(page: Page, seconds: number): Promise<void> {
  await watch(page, seconds / 4)
  await filter(page, 'errors')
  await watch(page, seconds / 4)
  await filter(page, '')
  await scroll(page, seconds / 4)
  const follow = page.getByRole('button', { name: 'Follow' })
  if ((await follow.getAttribute('aria-pressed')) !== 'true') await follow.click()
  await watch(page, seconds / 4)
}

/** Of the least that was there in the second half of the time over the least of the first. */
function growth(what: string, unit: string, seconds: number, curve: readonly number[], most: number): Figure {
  const half = curve.length / 2
  const first = Math.min(...curve.slice(0, half))
  const second = Math.min(...curve.slice(half))
  return {
    name: `growth of ${what} in ${number(seconds)} s`,
    unit,
    better: 'lower',
    ours: second - first,
    yardsticks: [{ name: 'all there was before', value: first }],
    target: `≤ ${most} ${unit}`,
    met: second - first <= most,
    note: `${RATE.toLocaleString('en')} requests/s; ${curve.map((value) => value.toFixed(0)).join(' ')}`,
  }
}

/** Asks the page and its worker what they hold. */
class Memory {
  private constructor(
    private readonly page: CDPSession,
    private readonly workerSession: string,
  ) {}

  static async of(page: Page): Promise<Memory> {
    const session = await page.context().newCDPSession(page)
    const attached = new Promise<string>((resolve) => {
      session.on('Target.attachedToTarget', ({ sessionId }) => resolve(sessionId))
    })
    await session.send('Target.setAutoAttach', {
      autoAttach: true,
      waitForDebuggerOnStart: false,
      flatten: false,
    })
    return new Memory(session, await attached)
  }

  async sample(): Promise<Sample> {
    // Twice: what only garbage held goes with the second collection.
    for (let turn = 0; turn < 2; turn++) {
      await this.page.send('HeapProfiler.collectGarbage')
      await this.askWorker('HeapProfiler.collectGarbage')
    }
    const page = await this.page.send('Runtime.getHeapUsage')
    const worker = await this.askWorker('Runtime.getHeapUsage')
    const { nodes } = await this.page.send('Memory.getDOMCounters')
    return { pageKb: kilobytes(page), workerKb: kilobytes(worker), nodes }
  }

  /** A worker is a target of its own; what it is told travels inside messages to the page. */
  private askWorker(method: string): Promise<HeapUsage> {
    const { page, workerSession: sessionId } = this
    return new Promise((resolve) => {
      const take = (event: { sessionId: string; message: string }) => {
        if (event.sessionId !== sessionId) return
        page.off('Target.receivedMessageFromTarget', take)
        const { result } = JSON.parse(event.message) as { result: HeapUsage }
        resolve(result)
      }
      page.on('Target.receivedMessageFromTarget', take)
      void page.send('Target.sendMessageToTarget', { sessionId, message: JSON.stringify({ id: 1, method }) })
    })
  }
}
