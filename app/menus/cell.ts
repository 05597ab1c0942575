// cell.ts: the menu of a value in the grid: filter by it, copy it, or its row.

import type { Column } from '../grid/columns.ts'
import { columnsInOrder, rowText } from '../grid/request-columns.ts'
import type { RowWindow } from '../rows/row-window.ts'
import { names } from '../state/link.ts'
import { filter, setFilter } from '../state/query.ts'
import { detailOpen } from '../state/settings.ts'
import { conditionOf, narrowed } from './conditions.ts'
import { copyText, rowLine } from './copy.ts'
import type { MenuEntry } from './entry.ts'

export function cellMenu(column: Column, rows: RowWindow, row: number): MenuEntry[] {
  const condition = conditionOf(column.id, rows, row, names, rowText.clock)
  const value = column.text(rows, row)
  const current = filter.value
  const put = (text: string) => () => setFilter(text)
  return [
    ...(condition
      ? [
          {
            kind: 'action' as const,
            label: 'Only',
            code: condition,
            run: put(narrowed(current, condition, true)),
          },
          {
            kind: 'action' as const,
            label: 'All but',
            code: condition,
            run: put(narrowed(current, condition, false)),
          },
          ...(current
            ? [
                {
                  kind: 'action' as const,
                  label: 'Instead of the filter',
                  code: condition,
                  run: put(condition),
                },
                { kind: 'action' as const, label: 'Clear the filter', run: put('') },
              ]
            : []),
          { kind: 'line' as const },
        ]
      : []),
    {
      kind: 'action',
      label: `Copy ${column.title.toLowerCase()}`,
      code: value,
      disabled: value === '',
      run: () => copyText(value),
    },
    { kind: 'action', label: 'Copy row', keys: 'Ctrl C', run: () => copyText(rowLine(rows, row)) },
    { kind: 'action', label: 'Copy row with names', run: () => copyText(namedRow(rows, row)) },
    { kind: 'line' },
    {
      kind: 'check',
      label: 'Details',
      on: detailOpen.value,
      run: () => {
        detailOpen.value = !detailOpen.value
      },
    },
  ]
}

function namedRow(rows: RowWindow, row: number): string {
  return columnsInOrder.value.map((column) => `${column.title}: ${column.text(rows, row)}`).join('\n')
}
