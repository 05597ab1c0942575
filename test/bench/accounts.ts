// accounts.ts: what must add up once a capture of the simulated callers has stopped, whatever was lost on the way.
//
//   truth (what the callers sent) = starts that made or completed a row + starts counted as dropped
//   rows made = rows at hand + rows evicted;  drops told by the records = drops counted by the driver

import { LossReason } from '../../src/protocol/layout.ts'
import type { Session } from '../../src/session/session.ts'

export const SIM_DRIVERS = ['\\Driver\\AFD', '\\Driver\\DrivermonEcho']

/** Rows there should be: what the callers sent, and fast-I/O calls that fell through, which callers count as their IRP. */
function truthOf(session: Session): number {
  const issued = Object.values(session.issued()).reduce((sum, count) => sum + count, 0)
  return session.counters!.functions.reduce((sum, each) => sum + each.fellThrough, issued)
}

export function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0)
}

const lostRecords = (byReason: readonly number[]) =>
  byReason[LossReason.RingFull] + byReason[LossReason.RecordTooLarge]

/** The sums of a capture that has stopped, and what does not add up. */
export function closingSums(session: Session): { line: string; wrong: string[] } {
  const { capture, counters } = session
  if (!counters) return { line: '', wrong: ['the driver did not tell its counters'] }
  const truth = truthOf(session)
  const arrivals = sum(counters.functions.map((each) => each.arrivals))
  const rowsMade = capture.endRow
  const startsSeen = rowsMade - capture.unpairedEnds
  const startsLost = lostRecords(capture.losses.starts)
  const wrong: string[] = []
  const expect = (what: string, left: number, right: number) => {
    if (left !== right) wrong.push(`${what}: ${left} is not ${right}`)
  }
  expect('requests sent = arrivals counted', truth, arrivals)
  expect('requests sent = starts seen + starts dropped', truth, startsSeen + startsLost)
  expect('rows made = at hand + evicted', rowsMade, capture.rowCount + capture.firstRow)
  expect('starts dropped: records = driver', startsLost, lostRecords(counters.drops.starts))
  expect('ends dropped: records = driver', lostRecords(capture.losses.ends), lostRecords(counters.drops.ends))
  const line =
    `${truth} requests = ${capture.rowCount} rows + ${capture.firstRow} evicted` +
    ` - ${capture.unpairedEnds} ends without a start + ${startsLost} starts dropped` +
    `; ${lostRecords(capture.losses.ends)} ends dropped`
  return { line, wrong }
}
