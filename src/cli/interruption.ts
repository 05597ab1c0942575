// interruption.ts: what ends a command that would go on: Ctrl-C, or a fault of ours that nobody has caught. The first
// asks for a clean end, the second ends the waiting for it.
//
// One press may arrive twice: from the terminal, and from a parent such as npm or timeout that passes it on.

import { CLOSING_PATIENCE_MS } from '../session/recorder.ts'
import { CommandError, type Io, stackOf } from './io.ts'

const SAME_PRESS_MS = 300
/** After a fault nobody need be there to press a second time. Longer than any part of a clean end waits. */
const FAULT_PATIENCE_MS = CLOSING_PATIENCE_MS + 60_000

export class Interruption {
  /** Presses so far. */
  count = 0
  readonly first: Promise<void>
  readonly second: Promise<void>
  readonly end: () => void
  #io: Io
  #resolvers: (() => void)[] = []
  #faulty = false

  constructor(io: Io) {
    this.#io = io
    this.first = new Promise((resolve) => this.#resolvers.push(resolve))
    this.second = new Promise((resolve) => this.#resolvers.push(resolve))
    let last = Number.NEGATIVE_INFINITY
    const endInterrupts = io.onInterrupt(() => {
      const now = performance.now()
      if (now - last > SAME_PRESS_MS) this.#press()
      last = now
    })
    const endFaults = io.onFault((error) => this.#fault(error))
    this.end = () => {
      endInterrupts()
      endFaults()
    }
  }

  /** Throws if it was a fault that has ended the command. */
  checkNoFault(): void {
    if (this.#faulty)
      throw new CommandError('ended by the error above, which is a fault of DriverMon: please report it')
  }

  #press(): void {
    this.#resolvers[this.count++]?.()
  }

  /** Others may follow from the first, and say no more. */
  #fault(error: unknown): void {
    if (this.#faulty) return
    this.#faulty = true
    this.#io.err.write(`drivermon: ${stackOf(error)}\n`)
    this.#press()
    setTimeout(() => this.#press(), FAULT_PATIENCE_MS).unref()
  }
}
