// quiet.ts: a capture with next to nothing to capture: how soon a lone request is seen, and what waiting for it costs.
//
// Under load a batch is always on its way; here nothing is. A lone record is found by the driver's timer, handed over by
// the pump, taken into the store, and shown by the server's next beat. A page is connected all the time.

import { loadBinding } from '../../addon/load.ts'
import { Session } from '../../src/session/session.ts'
import { SIM_DRIVERS } from './accounts.ts'
import { type Figure, median } from './figure.ts'
import { Site } from './page.ts'
import { number } from './table.ts'
import { random } from './traffic.ts'

/** Of which the paint of a page takes at most a frame at 60 Hz. */
const ON_SCREEN_MS = 50
const FRAME_MS = 1000 / 60
const MOST_CPU_PERCENT = 2

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]
}

/** Of this process, in percent of one processor. */
async function cpuPercent(seconds: number): Promise<number> {
  const [cpu, time] = [process.cpuUsage(), performance.now()]
  await sleep(seconds * 1000)
  const { user, system } = process.cpuUsage(cpu)
  return (user + system) / 10 / (performance.now() - time)
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
  const site = await Site.of(session)
  const page = await site.open()
  page.look({ follow: true })
  const seconds = quick ? 2 : 5
  // The first round of each does not count: then code is still being compiled.
  const idle: number[] = []
  const capturing: number[] = []
  for (let round = 0; round < 4; round++) {
    session.start()
    await sleep(1000)
    capturing.push(await cpuPercent(seconds))
    await session.stop()
    await sleep(1000)
    idle.push(await cpuPercent(seconds))
  }
  session.start()

  const next = random(20261123)
  const inStore: number[] = []
  const atPage: number[] = []
  for (let i = 0; i < (quick ? 40 : 200); i++) {
    // At any moment of the timers' and the server's rhythms.
    await sleep(60 + (next() % 120))
    const before = session.capture.endRow
    const begin = performance.now()
    source.startTraffic({ seed: 1, rate: 0, count: 3 })
    await new Promise<void>((resolve) => {
      page.onWindow = (rows) => {
        if (rows > before) resolve()
      }
      const look = setInterval(() => {
        if (session.capture.endRow === before) return
        inStore.push(performance.now() - begin)
        clearInterval(look)
      }, 1)
    })
    atPage.push(performance.now() - begin)
    source.stopTraffic()
  }
  page.vanish()
  await session.stop()
  await site.close()
  await session.close()
  const onScreen = percentile(atPage, 0.99) + FRAME_MS
  return [
    {
      name: 'a lone request, from its issue to the screen, the slowest in a hundred',
      unit: 'ms',
      better: 'lower',
      ours: onScreen,
      yardsticks: [],
      target: `≤ ${ON_SCREEN_MS} ms`,
      met: onScreen <= ON_SCREEN_MS,
      note:
        `into the store: median ${number(median(inStore))} ms, slowest in a hundred ${number(percentile(inStore, 0.99))} ms; ` +
        `to the page over the socket: ${number(median(atPage))} and ${number(percentile(atPage, 0.99))} ms; a frame at 60 Hz added`,
    },
    {
      name: 'processor time of the core, two drivers hooked, capturing, a page open, no traffic',
      unit: '% of a processor',
      better: 'lower',
      ours: median(capturing.slice(1)),
      yardsticks: [{ name: 'the same, but not capturing', value: median(idle.slice(1)) }],
      target: `< ${MOST_CPU_PERCENT} %`,
      met: median(capturing.slice(1)) < MOST_CPU_PERCENT,
      note: 'the simulated kernel and its timers included',
    },
  ]
}
