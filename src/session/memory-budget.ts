// memory-budget.ts: how much of this machine a capture may take unless the user says otherwise.
//
// Rows take a quarter of the memory: a long history, and enough left for whatever is being watched. The driver's rings
// are nonpaged memory, which the whole system shares and cannot swap out: they get little of it, but enough to bridge
// the moments in which nobody reads.

import os from 'node:os'
import { formatBytes } from '../formats/values.ts'
import { MIN_BUDGET_BYTES } from '../protocol/wire.ts'
import { SessionError } from './session-error.ts'

const ROWS_SHARE = 1 / 4
const RINGS_SHARE = 1 / 64
const MOST_RING_BYTES = 32 << 20
export const LEAST_RING_BYTES = 1 << 20

/** The machine's memory, or what this process may have of it (a container's limit). */
export function availableBytes(total = os.totalmem(), constrained = process.constrainedMemory()): number {
  return constrained > 0 ? Math.min(total, constrained) : total
}

/** Throws for more than there is. */
export function checkBudget(bytes: number): void {
  const most = availableBytes()
  if (bytes <= most) return
  throw new SessionError(
    `There are ${formatBytes(most)} of memory here: rows cannot take ${formatBytes(bytes)}.`,
  )
}

export function defaultBudgetBytes(memoryBytes = availableBytes()): number {
  return Math.max(MIN_BUDGET_BYTES, Math.floor(memoryBytes * ROWS_SHARE))
}

/** Per processor: a power of two, as the driver wants it. */
export function defaultRingBytes(memoryBytes = os.totalmem(), processors = os.cpus().length): number {
  const share = (memoryBytes * RINGS_SHARE) / Math.max(1, processors)
  const powerOfTwo = 2 ** Math.floor(Math.log2(Math.max(1, share)))
  return Math.min(MOST_RING_BYTES, Math.max(LEAST_RING_BYTES, powerOfTwo))
}
