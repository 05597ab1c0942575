// whole-path.ts: the product itself at growing rates: simulated callers → hooks → rings → pump → session → rows.
//
// The simulated kernel shares the machine's processors with us: its callers, its I/O manager and the hooks run beside
// the pump and the store. So what is found at full speed is the sum of all of them, not the store's limit.

import { loadBinding } from '../../addon/load.ts'
import { DEFAULT_SETTINGS } from '../../src/protocol/capture-settings.ts'
import { lostRecords } from '../../src/protocol/records.ts'
import { Session } from '../../src/session/session.ts'
import type { Figure } from './figure.ts'

export const SIM_DRIVERS = ['\\Driver\\AFD', '\\Driver\\DrivermonEcho']

/** Rows there should be: what the callers sent, and fast-I/O calls that fell through, which callers count as their IRP. */
export function truthOf(session: Session): number {
  const issued = Object.values(session.issued()).reduce((sum, count) => sum + count, 0)
  return session.counters!.functions.reduce((sum, each) => sum + each.fellThrough, issued)
}

interface Outcome {
  /** Requests a second. */
  issued: number
  rows: number
  truth: number
  lost: number
  longestGapMs: number
}

async function run(rate: number, seconds: number): Promise<Outcome> {
  const session = new Session(loadBinding().openSim(), {
    version: 'bench',
    budgetBytes: 1 << 30,
    native: loadBinding().store,
    settings: { ...DEFAULT_SETTINGS, inputSnapLength: 0, outputSnapLength: 0 },
    traffic: { seed: 1, rate, count: 0 },
  })
  for (const driver of SIM_DRIVERS) session.addDriver(driver)
  const begin = performance.now()
  session.start()
  let last = begin
  let longestGapMs = 0
  const beat = setInterval(() => {
    const now = performance.now()
    longestGapMs = Math.max(longestGapMs, now - last)
    last = now
  }, 1)
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
  const elapsed = (performance.now() - begin) / 1000
  clearInterval(beat)
  await session.stop()
  const truth = truthOf(session)
  const { losses, endRow } = session.capture
  await session.close()
  return {
    issued: truth / elapsed,
    rows: endRow,
    truth,
    lost: lostRecords(losses),
    longestGapMs,
  }
}

export async function benchWholePath(quick: boolean): Promise<Figure[]> {
  const seconds = quick ? 1 : 4
  const notes: string[] = []
  let best = 0
  let most = 0
  for (const rate of [100_000, 250_000, 500_000, 1_000_000, 2_000_000, 0]) {
    const { issued, rows, truth, lost, longestGapMs } = await run(rate, seconds)
    const records = (2 * issued) / 1e6
    notes.push(
      `${rate === 0 ? 'full speed' : `${rate / 1000} k requests/s asked`}: ${records.toFixed(2)} M records/s issued, ` +
        `${truth} requests, ${rows} rows, ${lost} records lost, longest stall of the event loop ${longestGapMs.toFixed(0)} ms`,
    )
    most = Math.max(most, records)
    if (lost === 0) best = Math.max(best, records)
  }
  return [
    {
      name: 'simulated callers to paired rows, without loss',
      unit: 'M records/s',
      better: 'higher',
      ours: best,
      yardsticks: [{ name: 'what the simulated callers issued at most', value: most }],
      target: '≥ 5 M records/s, no loss',
      met: best >= 5,
      note: notes.join('\n       '),
    },
  ]
}
