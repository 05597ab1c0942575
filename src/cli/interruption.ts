// interruption.ts: Ctrl-C: the first asks for a clean end, the second ends the waiting for it.
//
// One press may arrive twice: from the terminal, and from a parent such as npm or timeout that passes it on.

import type { Io } from './io.ts'

const SAME_PRESS_MS = 300

export class Interruption {
  /** Presses so far. */
  count = 0
  readonly first: Promise<void>
  readonly second: Promise<void>
  readonly end: () => void

  constructor(io: Io) {
    const resolvers: (() => void)[] = []
    this.first = new Promise((resolve) => resolvers.push(resolve))
    this.second = new Promise((resolve) => resolvers.push(resolve))
    let last = Number.NEGATIVE_INFINITY
    this.end = io.onInterrupt(() => {
      const now = performance.now()
      if (now - last > SAME_PRESS_MS) resolvers[this.count++]?.()
      last = now
    })
  }
}
