// table.ts: rows of text in columns, for a terminal. Numbers to the right, words to the left, one space-padded line each.

import stringWidth from 'string-width'
import { printable } from './printable.ts'

export interface Column {
  title: string
  align: 'left' | 'right'
}

export function formatTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const widths = columns.map((column, i) =>
    rows.reduce((width, row) => Math.max(width, stringWidth(printable(row[i]))), stringWidth(column.title)),
  )
  const lines = [columns.map((column) => column.title), ...rows].map((cells) =>
    formatLine(columns, widths, cells),
  )
  return `${lines.join('\n')}\n`
}

export function formatLine(
  columns: readonly Column[],
  widths: readonly number[],
  cells: readonly string[],
): string {
  return cells
    .map(printable)
    .map((cell, i) => {
      const space = ' '.repeat(Math.max(0, widths[i] - stringWidth(cell)))
      return columns[i].align === 'right' ? space + cell : cell + space
    })
    .join('  ')
    .trimEnd()
}
