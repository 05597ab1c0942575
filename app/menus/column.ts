// column.ts: the menu of a column's head: order, place, width, and which columns there are.

import type { Column } from '../grid/columns.ts'
import { columnsInOrder, moveColumn, resetColumns } from '../grid/request-columns.ts'
import { setSort, sort } from '../state/query.ts'
import { columnWidths, hiddenColumns } from '../state/settings.ts'
import type { MenuEntry } from './entry.ts'

export function columnMenu({ id, title, field }: Column): MenuEntry[] {
  const order = (descending: boolean) => () => setSort({ field, descending })
  const isOrder = (descending: boolean) => sort.value?.field === field && sort.value.descending === descending
  return [
    { kind: 'heading', label: title },
    { kind: 'radio', label: 'Ascending', on: isOrder(false), run: order(false) },
    { kind: 'radio', label: 'Descending', on: isOrder(true), run: order(true) },
    { kind: 'radio', label: 'As captured', on: sort.value === null, run: () => setSort(null) },
    { kind: 'line' },
    { kind: 'action', label: 'Move left', keys: 'Alt ←', run: () => moveColumn(id, -1) },
    { kind: 'action', label: 'Move right', keys: 'Alt →', run: () => moveColumn(id, 1) },
    {
      kind: 'action',
      label: 'Reset width',
      disabled: columnWidths.value[id] === undefined,
      run: () => {
        const { [id]: _, ...others } = columnWidths.value
        columnWidths.value = others
      },
    },
    {
      kind: 'action',
      label: 'Hide',
      run: () => {
        hiddenColumns.value = { ...hiddenColumns.value, [id]: true }
      },
    },
    { kind: 'line' },
    ...columnChecks(),
  ]
}

/** Which columns are shown. */
export function columnChecks(): MenuEntry[] {
  return [
    ...columnsInOrder.value.map(
      ({ id, title }): MenuEntry => ({
        kind: 'check',
        label: title,
        on: !hiddenColumns.value[id],
        run: () => {
          hiddenColumns.value = { ...hiddenColumns.value, [id]: !hiddenColumns.value[id] }
        },
      }),
    ),
    { kind: 'action', label: 'Reset columns', run: resetColumns },
  ]
}
