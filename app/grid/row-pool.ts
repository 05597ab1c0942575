// row-pool.ts: the grid's rows on the page: as many as can be seen, made once, their texts exchanged.
//
// A row that is scrolled stays as it is; one that leaves at the top comes in again at the bottom. Only what has changed
// is looked at anew, and only what is different is written; and so much of it per frame as a frame has room for: forty
// rows that all change at once take six frames, and until its turn comes a row keeps what it showed. Where frames come
// slowly there is no haste to save: the second one writes the rest, so that what is seen is of one moment.

import type { RowId } from '../../src/protocol/ids.ts'
import type { RowWindow } from '../rows/row-window.ts'
import type { Column, RowLook } from './columns.ts'

/** What a browser lays out and paints in about 5 ms on a slow machine without graphics hardware. */
const CELLS_PER_FRAME = 70
/** Frames are slow from here on. */
const SLOW_FRAME_MS = 50
/** Places are counted anew from here on: the browser's numbers for them are small. */
const FARTHEST_ROWS = 100_000

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
  /** Which row of the view it stands for; -1 = none. */
  index: number
  /** Which row it shows, and where in which window that is; null = none yet. */
  row: RowId | null
  window: RowWindow | null
  offset: number
  mark: number
  barWidth: number
  active: number
  /** Which of the pool's pictures it is part of. */
  picture: number
}

/** A row as it is seen. */
export interface SeenRow {
  row: RowId
  /** Rows that are seen above it. */
  above: number
  /** The window that it was drawn from; `offset` counts from its beginning. */
  window: RowWindow
  offset: number
  /** Where the active cell is. */
  place(): DOMRect
}

export class RowPool {
  /** From top to bottom. */
  private rows: PooledRow[] = []
  private columns: readonly Column[] = []
  /** The row of the view at the top, and the one that places are counted from. */
  private first = 0
  private origin = 0
  private made = 0
  /** Counts what makes rows look different, but for their places. */
  private picture = 0
  /** When a picture had to be left unfinished. */
  private leftAt = 0

  constructor(
    private readonly parent: HTMLElement,
    private readonly rowHeight: number,
    private readonly idPrefix: string,
  ) {}

  setColumns(columns: readonly Column[]): void {
    this.columns = columns
    this.resize(0)
  }

  /** All rows are to be looked at anew. */
  invalidate(): void {
    this.picture++
  }

  resize(count: number): void {
    while (this.rows.length > count) this.rows.pop()!.element.remove()
    while (this.rows.length < count) {
      const row = this.makeRow()
      this.place(row, this.first - this.origin + this.rows.length)
      this.rows.push(row)
    }
  }

  /**
   * Shows the rows of the view from `position` on, in pixels; what the window does not hold is shown as on its way.
   * False: there was too much to write for one frame, and the rest is left to the next call.
   */
  draw(
    window: RowWindow | null,
    position: number,
    total: number,
    look: (window: RowWindow, row: number) => RowLook,
  ): boolean {
    this.moveTo(Math.floor(position / this.rowHeight))
    this.parent.style.transform = `translateY(${this.origin * this.rowHeight - position}px)`
    const now = performance.now()
    const isSlow = this.leftAt > 0 && now - this.leftAt > SLOW_FRAME_MS
    let room = isSlow ? Number.POSITIVE_INFINITY : CELLS_PER_FRAME
    this.leftAt = now
    for (const [offset, pooled] of this.rows.entries()) {
      if (room <= 0) return false
      const index = this.first + offset
      if (pooled.picture === this.picture && pooled.index === index) continue
      pooled.picture = this.picture
      if (index >= total) this.setClass(pooled, 'row void', -1)
      else if (window?.has(index)) room -= this.drawRow(pooled, window, index, look)
      else room -= this.drawWaiting(pooled, index)
    }
    this.leftAt = 0
    return true
  }

  /** The row that an element shows: the one that a person sees there, wherever it may stand by now. */
  rowAt(target: EventTarget | null): SeenRow | null {
    const element = target instanceof Element ? target.closest('.row') : null
    return this.seen(this.rows.findIndex((each) => each.element === element))
  }

  /** Where a row is seen; null = nowhere. */
  find(row: RowId): SeenRow | null {
    return this.seen(this.rows.findIndex((each) => each.row === row))
  }

  private seen(above: number): SeenRow | null {
    const pooled = this.rows[above]
    if (!pooled || pooled.row === null || !pooled.window) return null
    const { row, window, offset, cells, active, element } = pooled
    const place = () => (cells[active]?.element ?? element).getBoundingClientRect()
    return { row, above, window, offset, place }
  }

  /** The number of the column that an element belongs to; -1 = none. */
  columnAt(target: EventTarget | null): number {
    const element = target instanceof Element ? target.closest('.cell') : null
    return element ? [...element.parentElement!.children].indexOf(element) : -1
  }

  /** The element id of the row with that index, for aria-activedescendant. */
  idOf(index: number): string {
    return this.rows.find((row) => row.index === index)?.element.id ?? ''
  }

  /** The rows that are seen before and after keep their elements, and their places. */
  private moveTo(first: number): void {
    const by = first - this.first
    this.first = first
    const stay = this.rows.length - Math.abs(by)
    if (by > 0 && stay > 0) this.rows.push(...this.rows.splice(0, by))
    if (by < 0 && stay > 0) this.rows.unshift(...this.rows.splice(by, -by))
    // If none stays, each element remains where it is on the screen, with what it shows, until it is written.
    const anew = stay <= 0 || Math.abs(first - this.origin) > FARTHEST_ROWS
    if (anew) this.origin = first
    for (const [offset, pooled] of this.rows.entries()) {
      const moved = by > 0 ? offset >= stay : offset < -by
      if (moved || anew) this.place(pooled, first - this.origin + offset)
    }
  }

  private place({ element }: PooledRow, place: number): void {
    element.style.transform = `translateY(${place * this.rowHeight}px)`
  }

  /** Returns how many cells had to be written. */
  private drawRow(
    pooled: PooledRow,
    window: RowWindow,
    index: number,
    look: (window: RowWindow, row: number) => RowLook,
  ): number {
    const row = index - window.first
    const { className, mark, bar, active } = look(window, row)
    this.setClass(pooled, className, index)
    pooled.row = window.rowId(row)
    pooled.window = window
    pooled.offset = row
    let written = 0
    for (const [i, column] of this.columns.entries())
      written += setText(pooled.cells[i]!, column.text(window, row))
    // Set on the one cell that shows it: on the row, every cell would inherit it and be styled anew.
    if (mark !== pooled.mark) {
      pooled.mark = mark
      pooled.marked?.style.setProperty('--fn', `var(--f${mark})`)
    }
    if (bar !== pooled.barWidth) {
      pooled.barWidth = bar
      pooled.barred?.style.setProperty('--bar-part', String(bar))
    }
    if (active !== pooled.active) {
      pooled.cells[pooled.active]?.element.classList.remove('active')
      pooled.cells[active]?.element.classList.add('active')
      pooled.active = active
    }
    return written
  }

  private drawWaiting(pooled: PooledRow, index: number): number {
    this.setClass(pooled, 'row waiting', index)
    pooled.row = null
    let written = 0
    for (const cell of pooled.cells) written += setText(cell, '')
    return written
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

  private makeRow(): PooledRow {
    const element = document.createElement('div')
    element.id = `${this.idPrefix}${this.made++}`
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
      row: null,
      window: null,
      offset: 0,
      mark: -1,
      barWidth: -1,
      active: -1,
      picture: -1,
    }
  }
}

/** Returns 1 if the text had to be written, else 0. */
function setText(cell: Cell, text: string): number {
  if (cell.shown === text) return 0
  cell.shown = text
  cell.text.data = text
  return 1
}
