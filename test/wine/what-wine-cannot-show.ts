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
//   clearing of the stack location before a completion routine   Wine leaves it as it is.
//   the topmost driver without a routine of its own   Wine puts one there. A location copied whole is therefore shown
//                             one layer below: Wine's own routine does not bear being called twice, hook or no hook.
//   a location skipped and then set   Wine hangs, hook or no hook.
//   fast I/O                  Wine never calls it. (That a routine that raises leaves nothing behind is shown there alone:
//                             a driver asks itself, `caller raise`; the simulated kernel knows no exceptions.)
//   mapping of MDLs           Every MDL is mapped there from the beginning.
//   access control lists, exclusive open   Wine consults neither.
//   processes that come and go   Wine accepts the routine and never calls it. Names come from user mode's list.
//   a cancel that races with the end   Wine's server hands the driver a cancel of a request that has just ended; it hits
//                             whichever has the IRP's memory now, hook or no hook.
//   unloading refused, then granted   Wine asks a driver that has refused no more.
//   an endpoint of AFD, opened   Wine hands no extended attributes to a driver, and AFD's sockets are opened with them.

import type { Request, Threads } from './truth.ts'

const leftOut = new Set(['IRP_MJ_CLEANUP', 'IRP_MJ_CLOSE'])

export function isComparable(request: { function: string }): boolean {
  return !leftOut.has(request.function)
}

/** The requests that both kernels must show alike, by thread: the one with the most first. */
export function comparable(threads: Threads): Request[][] {
  return [...threads.values()]
    .map((requests) => requests.filter(isComparable))
    .filter((requests) => requests.length > 0)
    .toSorted((a, b) => b.length - a.length)
}
