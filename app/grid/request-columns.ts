// request-columns.ts: the columns of this window's grid, bound to the names and the clock of its core, and as a person
// has arranged them.

import { batch, computed, signal } from '@preact/signals'
import { names } from '../state/link.ts'
import { columnOrder, columnWidths, hiddenColumns } from '../state/settings.ts'
import { RowText } from '../text/row-text.ts'
import { gridColumns } from './columns.ts'

export const rowText = new RowText(names)
const requestColumns = gridColumns(rowText)

/** All, from left to right. One that is new since a person arranged them comes last. */
export const columnsInOrder = computed(() => {
  const place = ({ id }: { id: string }) =>
    (columnOrder.value.indexOf(id) + 1 || requestColumns.length + 1) - 1
  return [...requestColumns].sort((a, b) => place(a) - place(b))
})

export const shownColumns = computed(() =>
  columnsInOrder.value.filter((column) => !hiddenColumns.value[column.id]),
)

/** Widths of columns that stay as they are since one on their right was resized, until the window is. */
export const heldWidths = signal<Record<string, number>>({})

/** Puts a column where another one is shown; that one makes room. */
export function placeColumn(id: string, at: string): void {
  const ids = columnsInOrder.value.map((column) => column.id)
  const to = ids.indexOf(at)
  ids.splice(ids.indexOf(id), 1)
  ids.splice(to, 0, id)
  columnOrder.value = ids
}

/** One shown column further to the left or right. */
export function moveColumn(id: string, by: 1 | -1): void {
  const shown = shownColumns.value
  const neighbour = shown[shown.findIndex((column) => column.id === id) + by]
  if (neighbour) placeColumn(id, neighbour.id)
}

export function resetColumns(): void {
  batch(() => {
    columnOrder.value = []
    hiddenColumns.value = {}
    columnWidths.value = {}
    heldWidths.value = {}
  })
}
