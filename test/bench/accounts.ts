// accounts.ts: what must add up once a capture of the simulated callers has stopped, whatever was lost on the way.
//
//   sent by a caller = arrivals counted, of each driver that was watched from the start to the end
//   arrivals = starts seen + starts dropped + kept out by capture options
//   arrivals = ends seen + ends dropped + ends that could not be followed + outstanding + kept out
//   starts seen + ends without a start = rows at hand + evicted + cleared, each counted by what lies in its chunks
//   drops told by the records = drops counted by the driver
//
// The left and the right of each line are counted in different places: callers, driver, records, chunks.

import type { Chunk } from '../../src/model/chunk.ts'
import type { Counters } from '../../src/protocol/control.ts'
import { LossReason } from '../../src/protocol/layout.ts'
import type { Session } from '../../src/session/session.ts'

export const SIM_DRIVERS = ['\\Driver\\AFD', '\\Driver\\DrivermonEcho']

export function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0)
}

/** Of records that are missing; the other reasons tell of something missing in or after one that is there. */
export const lostOf = (byReason: readonly number[]) =>
  byReason[LossReason.RingFull] + byReason[LossReason.RecordTooLarge]

const keptOut = ({ filteredStarts, sampledOut }: Counters) => filteredStarts + sampledOut

/** Rows that leave a capture, counted one chunk after the other as they lay in it. Watches from before the start. */
export class Departures {
  evicted = 0
  cleared = 0
  /** When rows were cleared: ends whose start may have come since, to a row that was no longer there. */
  unpairedCleared = 0
  readonly #session: Session
  readonly #end: () => void
  #chunks: Chunk[] = []

  constructor(session: Session) {
    this.#session = session
    this.#end = session.subscribe({ state: () => {}, problem: () => {}, grown: () => this.look() })
  }

  /** Whatever was there and is not any more has been evicted. */
  look(): void {
    const now = this.#session.capture.chunks
    let gone = 0
    while (gone < this.#chunks.length && this.#chunks[gone] !== now[0])
      this.evicted += this.#chunks[gone++].rows
    if (gone > 0 || now.length !== this.#chunks.length) this.#chunks = [...now]
  }

  clear(): void {
    this.look()
    const { chunks, unpairedEnds } = this.#session.capture
    this.cleared += sum(chunks.map(({ rows }) => rows))
    this.unpairedCleared += unpairedEnds
    this.#session.clear()
    this.#chunks = []
  }

  end(): void {
    this.look()
    this.#end()
  }
}

export interface Sums {
  line: string
  /** What does not add up. */
  wrong: string[]
}

/** The sums of a capture that has stopped. `watched`: drivers that were from its start to its end. */
export function closingSums(session: Session, departures: Departures, watched = SIM_DRIVERS): Sums {
  const { capture, counters } = session
  if (!counters) return { line: '', wrong: ['the driver did not tell its counters'] }
  const wrong: string[] = []
  const expect = (what: string, left: number, right: number) => {
    if (left !== right) wrong.push(`${what}: ${left} is not ${right}`)
  }
  const issued = session.issued()
  for (const { name, driverId } of session
    .state()
    .drivers.filter((driver) => watched.includes(driver.name))) {
    const ofDriver = counters.functions.filter((each) => each.driverId === driverId)
    // Callers count a fast-I/O call that fell through as the IRP that followed it.
    const fellThrough = sum(ofDriver.map((each) => each.fellThrough))
    const arrivals = sum(ofDriver.map((each) => each.arrivals))
    expect(`${name}: requests sent = arrivals counted`, issued[name] + fellThrough, arrivals)
  }

  const { drops, outstanding } = counters
  const arrivals = sum(counters.functions.map((each) => each.arrivals))
  const startsLost = lostOf(capture.losses.starts)
  const endsLost = lostOf(capture.losses.ends)
  const unfollowed = capture.losses.ends[LossReason.CompletionQuota]
  expect('arrivals = starts', arrivals, capture.starts + startsLost + keptOut(counters))
  // Of all requests of which a record was seen, those whose end was.
  const endsSeen = sum(capture.stats().map(({ count, inFlight }) => count - inFlight)) - unfollowed
  expect('arrivals = ends', arrivals, endsSeen + endsLost + unfollowed + outstanding + keptOut(counters))

  const atHand = sum(capture.chunks.map(({ rows }) => rows))
  const { evicted, cleared, unpairedCleared } = departures
  // A start whose end's row was cleared makes none. If none was dropped, each of them has come.
  const rows = capture.starts + capture.unpairedEnds
  const counted = atHand + evicted + cleared
  const overtaken = counted - rows
  if (overtaken < 0 || overtaken > unpairedCleared || (startsLost === 0 && overtaken !== 0))
    wrong.push(`rows at hand + evicted + cleared: ${counted} is not ${rows}`)

  expect('starts dropped: records = driver', startsLost, lostOf(drops.starts))
  expect('ends dropped: records = driver', endsLost, lostOf(drops.ends))
  expect('others dropped: records = driver', capture.losses.others, drops.others)
  const line =
    `${arrivals} arrivals = ${capture.starts} starts + ${startsLost} dropped + ${keptOut(counters)} kept out` +
    ` = ${endsSeen} ends + ${endsLost} dropped + ${unfollowed + outstanding} open + ${keptOut(counters)} kept out` +
    `; ${atHand} rows at hand + ${evicted} evicted + ${cleared} cleared`
  return { line, wrong }
}
