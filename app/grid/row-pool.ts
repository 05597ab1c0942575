// row-pool.ts: the grid's rows on the page: as many as can be seen, made once, their texts exchanged.
//
// Only text nodes and a few attributes change, and only where something is different: forty rows that all change cost
// about a millisecond.

import type { RowWindow } from '../rows/row-window.ts'
import type { Column, RowLook } from './columns.ts'

interface Cell {
  element: HTMLElement
  text: Text
  shown: string
}

interface PooledRow {
  element: HTMLElement
  cells: Cell[]
  /** Those that show the row's mark and bar; undefined where the column is hidden. */
  marked: HTMLElement | undefined
  barred: HTMLElement | undefined
  className: string
  index: number
  mark: number
  barWidth: number
}

export class RowPool {
  private rows: PooledRow[] = []
  private columns: readonly Column[] = []

  constructor(
    private readonly parent: HTMLElement,
    private readonly idPrefix: string,
  ) {}

  setColumns(columns: readonly Column[]): void {
    this.columns = columns
    this.parent.replaceChildren()
    this.rows = []
  }

  resize(count: number): void {
    while (this.rows.length > count) this.rows.pop()!.element.remove()
    while (this.rows.length < count) this.rows.push(this.makeRow(this.rows.length))
  }

  /** Shows the rows of the view from `first` on; what the window does not hold is shown as on its way. */
  draw(
    window: RowWindow | null,
    first: number,
    total: number,
    look: (window: RowWindow, row: number) => RowLook,
  ): void {
    for (const [offset, pooled] of this.rows.entries()) {
      const index = first + offset
      if (index >= total) this.setClass(pooled, 'row void', -1)
      else if (window?.has(index)) this.drawRow(pooled, window, index, look)
      else this.drawWaiting(pooled, index)
    }
  }

  /** The index, within the view, of the row that holds that element; -1 = none. */
  indexOf(target: EventTarget | null): number {
    const element = target instanceof Element ? target.closest('.row') : null
    return this.rows.find((row) => row.element === element)?.index ?? -1
  }

  /** The element id of the row with that index, for aria-activedescendant. */
  idOf(index: number): string {
    return this.rows.find((row) => row.index === index)?.element.id ?? ''
  }

  private drawRow(
    pooled: PooledRow,
    window: RowWindow,
    index: number,
    look: (window: RowWindow, row: number) => RowLook,
  ): void {
    const row = index - window.first
    const { className, mark, bar } = look(window, row)
    this.setClass(pooled, className, index)
    for (const [i, column] of this.columns.entries()) setText(pooled.cells[i]!, column.text(window, row))
    // Set on the one cell that shows it: on the row, every cell would inherit it and be styled anew.
    if (mark !== pooled.mark) {
      pooled.mark = mark
      pooled.marked?.style.setProperty('--fn', `var(--f${mark})`)
    }
    if (bar !== pooled.barWidth) {
      pooled.barWidth = bar
      pooled.barred?.style.setProperty('--bar-part', String(bar))
    }
  }

  private drawWaiting(pooled: PooledRow, index: number): void {
    this.setClass(pooled, 'row waiting', index)
    for (const cell of pooled.cells) setText(cell, '')
  }

  private setClass(pooled: PooledRow, className: string, index: number): void {
    if (pooled.className !== className) {
      pooled.className = className
      pooled.element.className = className
      pooled.element.ariaSelected = String(className.includes('selected'))
      pooled.element.ariaHidden = className.includes('void') ? 'true' : null
    }
    if (pooled.index !== index) {
      pooled.index = index
      // Row 1 is the header.
      pooled.element.setAttribute('aria-rowindex', String(index + 2))
    }
  }

  private makeRow(number: number): PooledRow {
    const element = document.createElement('div')
    element.id = `${this.idPrefix}${number}`
    element.setAttribute('role', 'row')
    const cells = this.columns.map((column) => {
      const cell = document.createElement('div')
      cell.className = column.className
      cell.setAttribute('role', 'gridcell')
      const text = document.createTextNode('')
      cell.append(text)
      element.append(cell)
      return { element: cell, text, shown: '' }
    })
    this.parent.append(element)
    const cellOf = (id: string) => cells[this.columns.findIndex((column) => column.id === id)]?.element
    return {
      element,
      cells,
      marked: cellOf('function'),
      barred: cellOf('duration'),
      className: '',
      index: -2,
      mark: -1,
      barWidth: -1,
    }
  }
}

function setText(cell: Cell, text: string): void {
  if (cell.shown === text) return
  cell.shown = text
  cell.text.data = text
}
