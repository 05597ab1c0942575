// account.ts: what became of the requests that arrived. Recorded, dropped, kept out by capture options and sampled out
// add up to all of them, to the last one.
//
// A fast-I/O call that fell through is no request: the IRP that follows it is. The driver cannot know that when it
// records, drops or leaves out the call's start, so such calls are in each of its counts; it counts how many they were.

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
  const { drops, dropsFellThrough, filteredFellThrough, sampledOutFellThrough } = counters
  // The rows do not tell it: where the end of such a call was dropped, its row looks like a request in flight.
  const fellThrough = sum(counters.functions.map((each) => each.fellThrough))
  const recorded = fellThrough - sum(dropsFellThrough) - filteredFellThrough - sampledOutFellThrough
  return {
    requests: starts - recorded,
    losses: { ...drops, starts: drops.starts.map((dropped, reason) => dropped - dropsFellThrough[reason]) },
    filtered: counters.filteredStarts - filteredFellThrough,
    sampledOut: counters.sampledOut - sampledOutFellThrough,
  }
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0)
}
