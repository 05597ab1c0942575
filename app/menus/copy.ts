// copy.ts: puts a text on the clipboard, and says so where that is not allowed.

import { columnsInOrder } from '../grid/request-columns.ts'
import type { RowWindow } from '../rows/row-window.ts'
import { problem } from '../state/link.ts'

export function copyText(text: string): void {
  navigator.clipboard.writeText(text).catch(() => {
    problem.value = 'The clipboard could not be written: the browser does not allow it here.'
  })
}

/** All columns, also hidden ones: between tabs, as a spreadsheet takes it. */
export function rowLine(rows: RowWindow, row: number): string {
  return columnsInOrder.value.map((column) => column.text(rows, row)).join('\t')
}
