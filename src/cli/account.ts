// account.ts: what became of the requests that arrived. Recorded, dropped, kept out by capture options and sampled out
// add up to all of them, to the last one.
//
// A fast-I/O call that fell through is no request: the IRP that follows it is. The driver cannot know that when it
// records, drops or leaves out the call's start, so such calls are in each of its counts. It counts how many they
// were in all and among the dropped; how many are among the recorded, the rows tell.

import { LossReason } from '../protocol/layout.ts'
import type { Losses } from '../protocol/records.ts'
import type { Session } from '../session/session.ts'

export interface Account {
  requests: number
  losses: Losses
  /** Kept out by capture options, and by sampling those that they let through. */
  filtered: number
  sampledOut: number
}

export function accountOf({ capture, counters }: Pick<Session, 'capture' | 'counters'>): Account {
  const { starts, losses } = capture
  if (!counters) return { requests: starts - capture.fellThrough, losses, filtered: 0, sampledOut: 0 }
  const { drops, dropsFellThrough, filteredStarts, sampledOut } = counters
  const fellThrough = counters.functions.reduce((sum, each) => sum + each.fellThrough, 0)
  // Where the end of such a call was dropped its row looks like a request in flight. Without anything left out the
  // driver's count says better how many were recorded.
  const anyLeftOut = filteredStarts + sampledOut > 0
  const recorded = anyLeftOut ? capture.fellThrough : fellThrough - dropsFellThrough
  const [ringFull, recordTooLarge] = takeOff(dropsFellThrough, [
    drops.starts[LossReason.RingFull],
    drops.starts[LossReason.RecordTooLarge],
  ])
  const keptOut = takeOff(fellThrough - dropsFellThrough - recorded, [filteredStarts, sampledOut])
  return {
    requests: starts - recorded,
    losses: {
      ...drops,
      starts: drops.starts
        .with(LossReason.RingFull, ringFull)
        .with(LossReason.RecordTooLarge, recordTooLarge),
    },
    filtered: keptOut[0],
    sampledOut: keptOut[1],
  }
}

/** Takes so many off the first count, and what is too many for it off the next. */
function takeOff(many: number, counts: number[]): number[] {
  let left = Math.max(0, many)
  return counts.map((count) => {
    const taken = Math.min(left, count)
    left -= taken
    return count - taken
  })
}
