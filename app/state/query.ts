// query.ts: what the grid shows: filter, order, which rows, and whether it stays at the tail. Every change is told to
// the core, once.

import { batch, effect, signal, untracked } from '@preact/signals'
import type { Sort } from '../../src/protocol/wire.ts'
import { filterProblem, look } from './link.ts'

/** The filter in force. What is being typed lives in the filter field. */
export const filter = signal('')
export const sort = signal<Sort | null>(null)
export const follow = signal(true)

/** The rows that the grid wants. */
const wanted = { first: 0, count: 0 }

export function setFilter(text: string): void {
  filterProblem.value = null
  if (text === filter.value) return
  wanted.first = 0
  filter.value = text
}

/** First up, then down, then capture order again. */
export function sortBy(field: string): void {
  const old = sort.value
  wanted.first = 0
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

export function wantRows(first: number, count: number): void {
  if (first === wanted.first && count === wanted.count) return
  // While following, the core chooses the rows; only how many there are matters.
  const matters = !follow.value || count !== wanted.count
  wanted.first = first
  wanted.count = count
  if (matters) tell()
}

/** From now on the core is told of changes. */
export function followQuery(): void {
  effect(() => {
    void filter.value
    void sort.value
    void follow.value
    untracked(tell)
  })
}

function tell(): void {
  if (wanted.count > 0) look({ ...wanted, filter: filter.value, sort: sort.value, follow: follow.value })
}
