// what-wine-cannot-show.ts: where the same scenario may differ between Wine's kernel and the simulated one, which
// follows NT. Everything else must be equal.
//
// Seen in rows, and left out of the comparison by `comparable`:
//   CLEANUP                   Wine sends none.
//   CLOSE, its thread         On Wine it comes when the server drops the file: without a thread, or in another one.
//   IRQL, processor           On Wine IRQL is a fiction and one thread per driver process dispatches everything, so
//                             that requests of different threads never run in parallel.
//
// Not seen in these rows, and so tested on the simulator alone (test/native):
//   clearing of the stack location before a completion routine, the topmost driver without a routine of its own (Wine
//   puts one there), a location skipped and then set (Wine hangs, hook or no hook), mapping of MDLs, fast I/O, access
//   control lists and exclusive open, notification of processes.

import type { Request, Threads } from './truth.ts'

const notComparable = new Set(['IRP_MJ_CLEANUP', 'IRP_MJ_CLOSE'])

/** The requests that both kernels must show alike, by thread: the one with the most first. */
export function comparable(threads: Threads): Request[][] {
  return [...threads.values()]
    .map((requests) => requests.filter((request) => !notComparable.has(request.function)))
    .filter((requests) => requests.length > 0)
    .toSorted((a, b) => b.length - a.length)
}
