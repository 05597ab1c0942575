// grid-view.ts: the request grid at work: where it is scrolled to, which rows it needs, which one is selected.
//
// It owns the position (a double, see scroll-map.ts) and asks for windows; it holds no rows but the newest window. Rows
// that a person looks at stay under the eye while others come or leave before them: each question names one of them as
// its anchor, and the answer says how far it has moved.

import type { RowId } from '../../src/protocol/ids.ts'
import type { Sort, ViewRequest } from '../../src/protocol/wire.ts'
import type { RowWindow } from '../rows/row-window.ts'
import { turns } from '../state/turns.ts'
import type { View } from '../worker/frames.ts'
import type { Column, RowLook } from './columns.ts'
import { RowPool, type SeenRow } from './row-pool.ts'
import { ScrollMap } from './scroll-map.ts'

/** Rows asked for above and below those that are seen. */
const OVERSCAN = 40
/** With fewer of them left on a side, more are asked for. */
const LEAST_OVERSCAN = 20
const WHEEL_LINE_PX = 16

/** What is to be shown, however far it is scrolled. */
export interface Query {
  filter: string
  sort: Sort | null
  follow: boolean
}

export interface GridEvents {
  /** Rows that are wanted now. */
  look(view: View): void
  /** A person moved away from the tail, or back to it. */
  follow(on: boolean): void
  select(row: RowId): void
  /** The selected row was drawn; its state may have changed since. */
  sawSelected(window: RowWindow, row: number): void
  /** The first row of the view is, or is no longer, at the top. */
  atTop(on: boolean): void
  /** A menu of one value is wanted. `place`: where that value stands, if it is no pointer that asks. */
  menu(event: MouseEvent, window: RowWindow, row: number, column: number, place?: DOMRect): void
  copy(window: RowWindow, row: number): void
  /** Everything about the selected row is wanted. */
  open(): void
}

export interface GridParts {
  grid: HTMLElement
  scroller: HTMLElement
  sizer: HTMLElement
  layer: HTMLElement
  rows: HTMLElement
}

export class GridView {
  private readonly pool: RowPool
  private map: ScrollMap
  /** The one by which the page is sized. */
  private sized: ScrollMap | null = null
  private position = 0
  private window: RowWindow | null = null
  private query: Query = { filter: '', sort: null, follow: true }
  /** The last change of filter and order was one of the order. */
  private isReordered = false
  /** Counts the changes of filter and order. */
  private queryNumber = 0
  private selected: RowId | null = null
  private selectedIndex = -1
  /** A row that is to be selected as soon as it is here. */
  private wantedIndex = -1
  /** Number of the column that arrow keys and presses have reached. */
  private activeColumn = 0
  private asked: View | null = null
  /** The row that stays where it is on the screen, and where it stood when it was last seen. */
  private anchor: ViewRequest['anchor'] = null
  /** Rows of another filter or order are on their way, and are to be shown around the anchor, or from their top. */
  private next: 'none' | 'anchored' | 'top' = 'none'
  /** What scrollTop we set ourselves: any other value is a person's. */
  private ownScrollTop = 0
  private columnCount = 0
  private readonly stopListening = new AbortController()
  private readonly resizes: ResizeObserver

  constructor(
    private readonly parts: GridParts,
    private readonly rowHeight: number,
    private readonly headHeight: number,
    private readonly look: (window: RowWindow, row: number, selected: boolean, active: number) => RowLook,
    private readonly events: GridEvents,
  ) {
    this.pool = new RowPool(parts.rows, rowHeight, 'row-')
    this.map = new ScrollMap(0, rowHeight, 0)
    const { signal } = this.stopListening
    parts.scroller.addEventListener('wheel', (event) => this.onWheel(event), { passive: false, signal })
    parts.scroller.addEventListener('scroll', () => this.onScroll(), { passive: true, signal })
    parts.rows.addEventListener('mousedown', (event) => this.onMouseDown(event), { signal })
    parts.rows.addEventListener('dblclick', () => events.open(), { signal })
    parts.grid.addEventListener('contextmenu', (event) => this.onMenu(event), { signal })
    parts.rows.addEventListener('mouseover', (event) => showWhole(event.target), { signal })
    parts.grid.addEventListener('keydown', (event) => this.onKey(event), { signal })
    this.resizes = new ResizeObserver(() => this.measure())
    this.resizes.observe(parts.scroller)
  }

  dispose(): void {
    this.stopListening.abort()
    this.resizes.disconnect()
    turns.drop(this.draw)
  }

  setColumns(columns: readonly Column[]): void {
    this.columnCount = columns.length
    this.activeColumn = Math.min(this.activeColumn, columns.length - 1)
    this.pool.setColumns(columns)
    this.pool.resize(this.map.rowsInView)
    this.drawSoon()
  }

  /** Texts, or looks, may be different now. */
  redraw(): void {
    this.pool.invalidate()
    this.drawSoon()
  }

  /** Selects a row wherever it is in the view, and brings it into sight. */
  goTo(row: RowId): void {
    this.selectNear(row, this.map.rowsInView >> 1)
  }

  /**
   * A row that is not here is taken to stand `above` rows below the topmost one, and is to be seen there: as the anchor
   * it is sought by the core, which knows where it is.
   */
  private selectNear(row: RowId, above: number): void {
    const index = this.window?.indexOf(row) ?? -1
    const near = this.map.firstRow(this.position) + above
    if (index < 0) this.anchor = { row, index: near }
    this.select(row, index < 0 ? near : index)
  }

  /**
   * Another filter or order begins where the selected row is in it; another filter alone, else, where the topmost row
   * is; another order at its top. Until its rows are here all stays as it is.
   */
  setQuery(query: Query): void {
    const { filter, sort, follow } = this.query
    const others = query.filter !== filter || query.sort !== sort
    const sorted = query.sort !== sort
    this.query = query
    if (others) {
      this.queryNumber++
      this.isReordered = sorted
      this.next = !query.follow && (this.selectedIndex >= 0 || !sorted) ? 'anchored' : 'top'
      this.anchor = null
      this.ask()
    }
    if (others || query.follow !== follow) this.drawSoon()
  }

  setSelected(row: RowId | null): void {
    if (this.selected === row) return
    this.selected = row
    if (row === null) this.selectedIndex = -1
    this.redraw()
  }

  /** The filter was wrong: what is shown stays, unless another order was asked for with it. */
  keepRows(): void {
    if (!this.isReordered) this.next = 'none'
  }

  /** `asked`: what the window is the answer to. */
  setWindow(window: RowWindow | null, asked: View | null): void {
    if (asked !== null && asked.query !== this.queryNumber) return
    if (window === null || asked === null) this.anchor = null
    else if (this.next !== 'none' && !window.isEarlier) {
      // Where the anchor stands among the next rows is known once they have been filtered.
      if (this.next === 'anchored' && !window.isAnchored && !window.isComplete && !this.query.sort) return
      this.begin(window, asked)
    } else this.moveWithAnchor(window, asked)
    const isOlderNews = window !== null && window !== this.window && window.continues(this.window)
    if (!isOlderNews) this.pool.invalidate()
    this.window = window
    const selectedIndex = this.selected === null ? -1 : (window?.indexOf(this.selected) ?? -1)
    if (selectedIndex >= 0) this.selectedIndex = selectedIndex
    this.resizeMap(window?.shown ?? 0, this.map.viewHeight)
    this.drawSoon()
  }

  /** The first rows of another filter or order. */
  private begin(window: RowWindow, { anchor }: View): void {
    this.position = this.nextPosition()
    this.next = 'none'
    this.wantedIndex = -1
    this.selectedIndex = anchor && anchor.row === this.selected && window.isAnchored ? anchor.index : -1
    this.anchor = anchor
    // In an order other than that of time, where a row that is not there would stand cannot be told.
    if (!window.isAnchored && this.query.sort) this.position = 0
    else if (anchor) this.move(window.anchorIndex - anchor.index)
    if (!window.isAnchored) this.anchor = null
  }

  /** Rows have come or left before those that are seen. */
  private moveWithAnchor(window: RowWindow, asked: View): void {
    const { anchor } = this
    if (anchor === null) return
    const answered = asked.anchor?.row === anchor.row
    const index = answered ? window.anchorIndex : window.indexOf(anchor.row)
    if (index >= 0) this.move(index - anchor.index)
    // It has left. Another row has to hold the place.
    if (answered && !window.isAnchored) this.anchor = null
  }

  /** What had an index has another one now, so many rows further down. */
  private move(by: number): void {
    if (by === 0) return
    this.position = Math.max(0, this.position + by * this.rowHeight)
    if (this.selectedIndex >= 0) this.selectedIndex = Math.max(-1, this.selectedIndex + by)
    if (this.wantedIndex >= 0) this.wantedIndex = Math.max(-1, this.wantedIndex + by)
    if (this.anchor) this.anchor = { ...this.anchor, index: Math.max(0, this.anchor.index + by) }
    if (this.asked) this.asked = { ...this.asked, first: Math.max(0, this.asked.first + by) }
  }

  /** The selected row if it is seen, else the topmost one. */
  private chooseAnchor(): ViewRequest['anchor'] {
    const { window, selected, selectedIndex } = this
    if (this.next === 'top') return null
    if (selected !== null && selectedIndex >= 0 && (this.next === 'anchored' || this.isSeen(selectedIndex)))
      return { row: selected, index: selectedIndex }
    const top = this.map.firstRow(this.position)
    // The top of an order stays the top of it.
    if (top === 0 && this.query.sort) return null
    return window?.has(top) ? { row: window.rowId(top - window.first), index: top } : null
  }

  private isSeen(index: number): boolean {
    const top = index * this.rowHeight - this.position
    return top > -this.rowHeight && top < this.map.viewHeight
  }

  /** Where the next rows begin, in terms of those that are here: the selected one is seen, or comes to the middle. */
  private nextPosition(): number {
    if (this.next === 'top') return 0
    if (this.selectedIndex < 0 || this.isSeen(this.selectedIndex)) return this.position
    return Math.max(0, this.selectedIndex * this.rowHeight - this.map.viewHeight / 2)
  }

  private measure(): void {
    const selectedSeen = this.selectedIndex >= 0 && this.isSeen(this.selectedIndex)
    this.resizeMap(this.map.rows, Math.max(0, this.parts.scroller.clientHeight - this.headHeight))
    this.pool.resize(this.map.rowsInView)
    // A panel that opens below must not cover the row that opened it.
    if (selectedSeen) this.position = this.map.reveal(this.selectedIndex, this.position)
    this.draw()
  }

  private resizeMap(rows: number, viewHeight: number): void {
    if (rows === this.map.rows && viewHeight === this.map.viewHeight) return
    this.map = new ScrollMap(rows, this.rowHeight, viewHeight)
  }

  /**
   * Only right before the thumb is placed: where there is less to scroll than before the browser moves the thumb itself,
   * and that is not to be taken for a person's hand.
   */
  private applySize(): void {
    const { map } = this
    if (this.sized === map) return
    this.sized = map
    this.parts.layer.style.height = `${map.viewHeight}px`
    this.parts.sizer.style.height = `${Math.max(map.viewHeight, map.scrollHeight)}px`
    this.parts.grid.setAttribute('aria-rowcount', String(map.rows + 1))
  }

  private drawSoon(): void {
    turns.markFirst(this.draw)
  }

  private readonly draw = (): void => {
    const { map, window } = this
    this.position = this.query.follow ? map.maxPosition : map.clamp(this.position)
    this.applySize()
    this.placeThumb()
    this.ask()
    this.events.atTop(this.position < this.rowHeight)
    const isDrawn = this.pool.draw(window, this.position, map.rows, (rows, row) => {
      const isSelected = rows.rowId(row) === this.selected
      if (isSelected) {
        this.selectedIndex = rows.first + row
        this.events.sawSelected(rows, row)
      }
      return this.look(rows, row, isSelected, this.activeColumn)
    })
    this.parts.grid.setAttribute('aria-activedescendant', this.pool.idOf(this.selectedIndex))
    if (window?.has(this.wantedIndex)) this.selectIndex(this.wantedIndex)
    if (!isDrawn) this.drawSoon()
  }

  /** Asks for rows if those asked for will not do. */
  private ask(): void {
    const { map, queryNumber, query } = this
    if (map.viewHeight === 0) return
    // While the next rows take their time, those that are here can still be scrolled.
    const soon = this.next !== 'none' && !this.window?.isEarlier
    const top = map.firstRow(soon ? this.nextPosition() : this.position)
    const count = map.rowsInView + 2 * OVERSCAN
    if (query.follow) this.anchor = null
    else this.anchor ??= this.chooseAnchor()
    const { asked, anchor } = this
    if (
      asked !== null &&
      asked.query === queryNumber &&
      asked.follow === query.follow &&
      asked.count === count &&
      (query.follow || (asked.anchor?.row === anchor?.row && this.isAmple(asked, top)))
    )
      return
    if (!query.follow) this.anchor = this.chooseAnchor() ?? this.anchor
    const first = Math.max(0, top - OVERSCAN)
    this.asked = { ...query, query: queryNumber, first, count, anchor: this.anchor }
    this.events.look(this.asked)
  }

  /** Whether enough rows were asked for around those that are seen. */
  private isAmple({ first, count }: View, top: number): boolean {
    const above = top - first
    const below = first + count - (top + this.map.rowsInView)
    return (first === 0 || above >= LEAST_OVERSCAN) && above >= 0 && below >= LEAST_OVERSCAN
  }

  private placeThumb(): void {
    // Whole pixels: what the browser would make of a fraction had to be read back.
    const top = Math.round(this.map.toScrollTop(this.position))
    if (Math.abs(this.ownScrollTop - top) < 1) return
    this.ownScrollTop = top
    this.parts.scroller.scrollTop = top
  }

  private onWheel(event: WheelEvent): void {
    if (event.shiftKey || event.ctrlKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) return
    event.preventDefault()
    const unit =
      event.deltaMode === WheelEvent.DOM_DELTA_LINE
        ? WHEEL_LINE_PX
        : event.deltaMode === WheelEvent.DOM_DELTA_PAGE
          ? this.map.viewHeight
          : 1
    this.moveTo(this.position + event.deltaY * unit)
  }

  private onScroll(): void {
    const { scrollTop, clientHeight } = this.parts.scroller
    if (Math.abs(scrollTop - this.ownScrollTop) < 1) return
    this.ownScrollTop = scrollTop
    // The grid has grown, and the browser moved the thumb: that is no hand.
    if (Math.max(0, clientHeight - this.headHeight) !== this.map.viewHeight) {
      this.measure()
      return
    }
    const position = this.map.toPosition(scrollTop)
    // Growing rows move the thumb, too; only a real step away counts as a person's.
    if (Math.abs(this.map.toScrollTop(this.position) - scrollTop) < 1) return
    this.moveTo(position)
  }

  /** A person moved. Leaving the tail ends following. */
  private moveTo(position: number): void {
    const clamped = this.map.clamp(position)
    if (clamped === this.position) return
    if (clamped < this.position) this.stopFollowing()
    this.position = clamped
    this.dropFarAnchor()
    this.drawSoon()
  }

  /** Where somebody has gone in an order, a row that is far from there must not drag him along as it is passed. */
  private dropFarAnchor(): void {
    if (this.query.sort && !this.window?.has(this.map.firstRow(this.position))) this.anchor = null
  }

  private stopFollowing(): void {
    if (this.query.follow) this.events.follow(false)
  }

  private onMouseDown(event: MouseEvent): void {
    if (event.button !== 0) return
    this.selectAt(event.target)
  }

  private selectAt(target: EventTarget | null): SeenRow | null {
    const seen = this.pool.rowAt(target)
    const column = this.pool.columnAt(target)
    if (column >= 0) this.activeColumn = column
    if (seen) this.selectNear(seen.row, seen.above)
    return seen
  }

  /** By the pointer of what is under it, by key of the active cell. */
  private onMenu(event: MouseEvent): void {
    const pressed = this.selectAt(event.target)
    const byKey = event.target === this.parts.grid && this.selected !== null
    const seen = byKey ? this.pool.find(this.selected!) : pressed
    if (!seen) return
    this.events.menu(event, seen.window, seen.offset, this.activeColumn, byKey ? seen.place() : undefined)
  }

  private onCommand(event: KeyboardEvent): void {
    const seen = event.key === 'c' && this.selected !== null ? this.pool.find(this.selected) : null
    if (!seen) return
    event.preventDefault()
    this.events.copy(seen.window, seen.offset)
  }

  private onKey(event: KeyboardEvent): void {
    if (event.altKey || event.target !== this.parts.grid) return
    if (event.ctrlKey || event.metaKey) this.onCommand(event)
    else if (event.key === 'Enter' && this.selected !== null) this.events.open()
    else if (event.key === 'ArrowLeft') this.moveActive(event, -1)
    else if (event.key === 'ArrowRight') this.moveActive(event, 1)
    else this.moveSelection(event)
  }

  private moveActive(event: KeyboardEvent, by: number): void {
    event.preventDefault()
    this.activeColumn = Math.min(Math.max(0, this.activeColumn + by), this.columnCount - 1)
    this.redraw()
  }

  private moveSelection(event: KeyboardEvent): void {
    const page = Math.max(1, Math.floor(this.map.viewHeight / this.rowHeight) - 1)
    const last = this.map.rows - 1
    const top = this.map.firstRow(this.position)
    const from =
      this.wantedIndex >= 0 ? this.wantedIndex : this.selectedIndex >= 0 ? this.selectedIndex : top - 1
    const target: Record<string, number> = {
      ArrowDown: from + 1,
      ArrowUp: from - 1,
      PageDown: from + page,
      PageUp: from - page,
      Home: 0,
      End: last,
    }
    const index = target[event.key]
    if (index === undefined || last < 0) return
    event.preventDefault()
    this.selectIndex(Math.min(Math.max(0, index), last))
  }

  private selectIndex(index: number): void {
    const { window } = this
    if (window?.has(index)) {
      this.select(window.rowId(index - window.first), index)
      return
    }
    this.stopFollowing()
    this.wantedIndex = index
    this.position = this.map.reveal(index, this.position)
    this.dropFarAnchor()
    this.drawSoon()
  }

  /** `index`: where the row stands in the view, or -1. */
  private select(row: RowId, index: number): void {
    this.stopFollowing()
    this.wantedIndex = -1
    this.selectedIndex = index
    this.selected = row
    if (index >= 0) this.position = this.map.reveal(index, this.position)
    this.events.select(row)
    this.redraw()
  }
}

/** A text that has no room shows whole as a tooltip. */
function showWhole(target: EventTarget | null): void {
  if (!(target instanceof HTMLElement) || !target.matches('.cell')) return
  target.title = target.scrollWidth > target.clientWidth ? (target.textContent ?? '') : ''
}
