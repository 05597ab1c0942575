// steady-order.ts: the busiest first, without places that are swapped to and fro while one reads.
//
// CREATE, CLEANUP and CLOSE come in the same numbers, a few more of the one or the other at any moment. An entry passes
// the one above only when it is clearly busier.

import type { TopEntry } from './frames.ts'

const CLEARLY = 1.25
/** Few requests differ by chance. */
const LEAST = 5

export class SteadyOrder {
  private keys: number[] = []

  sorted(entries: readonly TopEntry[]): TopEntry[] {
    const places = new Map(this.keys.map((key, place) => [key, place]))
    const known = entries.filter(({ key }) => places.has(key))
    const fresh = entries.filter(({ key }) => !places.has(key))
    known.sort((a, b) => places.get(a.key)! - places.get(b.key)!)
    const order: TopEntry[] = []
    for (const entry of [...known, ...fresh.sort((a, b) => b.requests - a.requests)]) {
      let at = order.length
      while (at > 0 && isBusier(entry, order[at - 1]!)) at--
      order.splice(at, 0, entry)
    }
    this.keys = order.map(({ key }) => key)
    return order
  }
}

function isBusier(a: TopEntry, b: TopEntry): boolean {
  return a.requests > b.requests * CLEARLY + LEAST
}
