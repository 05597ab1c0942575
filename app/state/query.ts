// query.ts: what the grid shows: filter, order, and whether it stays at the tail. Which rows of it, the grid knows.

import { batch, effect, signal } from '@preact/signals'
import { MAX_FILTER_LENGTH, type Sort } from '../../src/protocol/wire.ts'
import { filterProblem, session } from './link.ts'

/** The filter in force. What is being typed lives in the filter field. */
export const filter = signal('')
export const sort = signal<Sort | null>(null)
export const follow = signal(true)

// A file is read from its beginning.
effect(() => {
  if (session.value?.source === 'file') follow.value = false
})

/** What is longer than the core takes is cut where the core will still say so. */
export function setFilter(text: string): void {
  const asked = text.slice(0, MAX_FILTER_LENGTH + 1)
  // The same again is not asked again, and remains as wrong as it was.
  if (asked !== filter.value) filterProblem.value = null
  filter.value = asked
}

export function setSort(to: Sort | null): void {
  batch(() => {
    sort.value = to
    // In another order than that of time the tail is no place to stay at.
    if (to) follow.value = false
  })
}

/** First up, then down, then capture order again. */
export function sortBy(field: string): void {
  const old = sort.value
  if (old?.field !== field) setSort({ field, descending: false })
  else setSort(old.descending ? null : { field, descending: true })
}

export function toggleFollow(): void {
  batch(() => {
    if (!follow.value) sort.value = null
    follow.value = !follow.value
  })
}
