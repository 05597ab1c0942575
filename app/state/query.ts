// query.ts: what the grid shows: filter, order, and whether it stays at the tail. Which rows of it, the grid knows.

import { batch, effect, signal } from '@preact/signals'
import type { Sort } from '../../src/protocol/wire.ts'
import { filterProblem, session } from './link.ts'

/** The filter in force. What is being typed lives in the filter field. */
export const filter = signal('')
export const sort = signal<Sort | null>(null)
export const follow = signal(true)

// A file is read from its beginning.
effect(() => {
  if (session.value?.source === 'file') follow.value = false
})

export function setFilter(text: string): void {
  filterProblem.value = null
  filter.value = text
}

/** First up, then down, then capture order again. */
export function sortBy(field: string): void {
  const old = sort.value
  batch(() => {
    if (old?.field !== field) sort.value = { field, descending: false }
    else sort.value = old.descending ? null : { field, descending: true }
    // In another order than that of time the tail is no place to stay at.
    if (sort.value) follow.value = false
  })
}

export function toggleFollow(): void {
  batch(() => {
    if (!follow.value) sort.value = null
    follow.value = !follow.value
  })
}
