// ui-memory.ts: what the page and its worker hold after each half minute of a million requests a second, garbage collected.
//
// Flat is what it must be: a window that is left open for a day must not grow. Compared is the least that was held in the
// second half of the time with the least of the first: what arrives between collecting and asking is not held. Before
// that, the charts' minute fills.

import type { CDPSession, Page } from 'playwright-core'
import { startFakeCore } from '../app/fake-core.ts'
import { launchBrowser } from '../support/browser.ts'
import { ASSETS, firstChart, openPage, watch } from './browser.ts'
import type { Figure } from './figure.ts'
import { number } from './table.ts'

const RATE = 1_000_000
const ROWS = 50_000_000
const SECONDS = 600
const QUICK_SECONDS = 30
const SAMPLES = 20
/** By then everything has run that will, and is compiled, and the charts are full. */
const WARM_UP_SECONDS = 75
const QUICK_WARM_UP_SECONDS = 10
const MOST_GROWTH_KB = 128

interface Sample {
  pageKb: number
  workerKb: number
  nodes: number
}

export async function benchUiMemory(quick: boolean): Promise<Figure[]> {
  const seconds = quick ? QUICK_SECONDS : SECONDS
  const browser = await launchBrowser()
  const core = await startFakeCore({ assets: ASSETS, rows: ROWS, rate: RATE, live: true })
  try {
    const { page } = await openPage(browser, core.url)
    await firstChart(page)
    const memory = await Memory.of(page)
    await watch(page, quick ? QUICK_WARM_UP_SECONDS : WARM_UP_SECONDS)
    const samples = [await memory.sample()]
    while (samples.length < SAMPLES) {
      await watch(page, seconds / (SAMPLES - 1))
      samples.push(await memory.sample())
    }
    return [
      growth(
        'the page',
        seconds,
        samples.map(({ pageKb }) => pageKb),
      ),
      growth(
        'its worker',
        seconds,
        samples.map(({ workerKb }) => workerKb),
      ),
      {
        ...growth(
          'the page',
          seconds,
          samples.map(({ nodes }) => nodes),
        ),
        name: `growth of the number of the page's nodes in ${number(seconds)} s`,
        unit: 'nodes',
        target: '0',
        met: samples.every(({ nodes }) => nodes <= samples[0].nodes),
      },
    ]
  } finally {
    await browser.close()
    await core.close()
  }
}

function growth(what: string, seconds: number, curve: readonly number[]): Figure {
  const half = curve.length / 2
  const ours = Math.min(...curve.slice(half)) - Math.min(...curve.slice(0, half))
  return {
    name: `growth of the heap of ${what} in ${number(seconds)} s`,
    unit: 'KB',
    better: 'lower',
    ours,
    yardsticks: [],
    target: `≤ ${MOST_GROWTH_KB} KB`,
    met: ours <= MOST_GROWTH_KB,
    note: `${RATE.toLocaleString('en')} requests/s, following; ${curve.map((value) => value.toFixed(0)).join(' ')}`,
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
    await this.page.send('HeapProfiler.collectGarbage')
    await this.askWorker('HeapProfiler.collectGarbage')
    const page = await this.page.send('Runtime.getHeapUsage')
    const worker = await this.askWorker('Runtime.getHeapUsage')
    const { nodes } = await this.page.send('Memory.getDOMCounters')
    return { pageKb: page.usedSize / 1024, workerKb: worker.usedSize / 1024, nodes }
  }

  /** A worker is a target of its own; what it is told travels inside messages to the page. */
  private askWorker(method: string): Promise<{ usedSize: number }> {
    const { page, workerSession: sessionId } = this
    return new Promise((resolve) => {
      const take = (event: { sessionId: string; message: string }) => {
        if (event.sessionId !== sessionId) return
        page.off('Target.receivedMessageFromTarget', take)
        const { result } = JSON.parse(event.message) as { result: { usedSize: number } }
        resolve(result)
      }
      page.on('Target.receivedMessageFromTarget', take)
      void page.send('Target.sendMessageToTarget', { sessionId, message: JSON.stringify({ id: 1, method }) })
    })
  }
}
