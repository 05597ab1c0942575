// whole-path.ts: the product itself at growing rates: simulated callers → hooks → rings → pump → session → rows.
//
// The simulated kernel shares the machine's processors with us: its callers, its I/O manager and the hooks run beside
// the pump and the store. So what is found at full speed is the sum of all of them, not the store's limit.

import { loadBinding } from '../../addon/load.ts'
import { DEFAULT_SETTINGS } from '../../src/protocol/capture-settings.ts'
import { lostRecords } from '../../src/protocol/records.ts'
import { Session } from '../../src/session/session.ts'
import { closingSums, Departures, SIM_DRIVERS, sum } from './accounts.ts'
import type { Figure } from './figure.ts'
import { number } from './table.ts'

const WARM_UP_MS = 500
/** Requests a second. */
const ASKED = [100_000, 500_000, 1_000_000, 2_000_000, 2_600_000, 0]

interface Outcome {
  /** Requests a second, and the processor time of the whole process for each. */
  issued: number
  cpuNs: number
  /** How every request is accounted for. */
  line: string
  /** Of the records. */
  lostShare: number
  longestGapMs: number
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const total = (counts: Record<string, number>) => sum(Object.values(counts))

/** The rate between two looks, and what it costs. */
async function measure(issued: () => Record<string, number>, seconds: number) {
  await sleep(WARM_UP_MS)
  const [count, time, cpu] = [total(issued()), performance.now(), process.cpuUsage()]
  await sleep(seconds * 1000)
  const requests = total(issued()) - count
  const { user, system } = process.cpuUsage(cpu)
  return {
    issued: (requests * 1000) / (performance.now() - time),
    cpuNs: ((user + system) * 1000) / requests,
  }
}

async function run(rate: number, seconds: number): Promise<Outcome> {
  const { openSim, store } = loadBinding()
  const session = new Session(openSim(), {
    version: 'bench',
    budgetBytes: 1 << 30,
    native: store,
    settings: { ...DEFAULT_SETTINGS, inputSnapLength: 0, outputSnapLength: 0 },
    traffic: { seed: 1, rate, count: 0 },
  })
  for (const driver of SIM_DRIVERS) session.addDriver(driver)
  const departures = new Departures(session)
  session.start()
  let last = performance.now()
  let longestGapMs = 0
  const beat = setInterval(() => {
    const now = performance.now()
    longestGapMs = Math.max(longestGapMs, now - last)
    last = now
  }, 1)
  const { issued, cpuNs } = await measure(() => session.issued(), seconds)
  clearInterval(beat)
  await session.stop()
  departures.end()
  const { line, wrong } = closingSums(session, departures)
  const records = 2 * session.capture.endRow
  const lost = lostRecords(session.capture.losses)
  await session.close()
  if (wrong.length > 0) throw new Error(wrong.join('; '))
  return { issued, cpuNs, line, lostShare: lost / (records + lost), longestGapMs }
}

/** The same callers, flat out, with nobody watching. */
async function runUnwatched(seconds: number): Promise<number> {
  const source = loadBinding().openSim()
  source.startTraffic({ seed: 1, rate: 0, count: 0 })
  const { issued } = await measure(() => source.issued(), seconds)
  source.stopTraffic()
  source.close()
  return issued
}

export async function benchWholePath(quick: boolean): Promise<Figure[]> {
  const seconds = quick ? 1 : 4
  const notes: string[] = []
  let best = 0
  for (const rate of ASKED) {
    const { issued, cpuNs, line, lostShare, longestGapMs } = await run(rate, seconds)
    const records = (2 * issued) / 1e6
    notes.push(
      `${rate === 0 ? 'full speed' : `${rate / 1000} k requests/s asked`}: ${number(issued / 1000)} k issued, ` +
        `${(100 * lostShare).toFixed(2)} % of the records lost, ${cpuNs.toFixed(0)} ns of processor time per request, ` +
        `longest stall of the event loop ${longestGapMs.toFixed(0)} ms; ${line}`,
    )
    if (lostShare === 0) best = Math.max(best, records)
  }
  const unwatched = (2 * (await runUnwatched(seconds))) / 1e6
  return [
    {
      name: 'simulated callers to paired rows, without loss',
      unit: 'M records/s',
      better: 'higher',
      ours: best,
      yardsticks: [{ name: 'the same callers on the same processors, not watched', value: unwatched }],
      target: '≥ 5 M records/s, no loss',
      met: best >= 5,
      note: notes.join('\n       '),
    },
  ]
}
