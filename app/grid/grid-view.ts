// grid-view.ts: the request grid at work: where it is scrolled to, which rows it needs, which one is selected.
//
// It owns the position (a double, see scroll-map.ts) and asks for windows; it holds no rows but the newest window.

import type { RowId } from '../../src/protocol/ids.ts'
import type { RowWindow } from '../rows/row-window.ts'
import type { Column, RowLook } from './columns.ts'
import { RowPool } from './row-pool.ts'
import { ScrollMap } from './scroll-map.ts'

/** Rows asked for above and below those that are seen. */
const OVERSCAN = 60
const WHEEL_LINE_PX = 16

export interface GridEvents {
  /** Rows that are wanted now. */
  need(first: number, count: number): void
  /** A person moved away from the tail, or back to it. */
  follow(on: boolean): void
  select(row: RowId): void
  /** The selected row was drawn; its state may have changed since. */
  sawSelected(window: RowWindow, row: number): void
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
  private position = 0
  private window: RowWindow | null = null
  private following = true
  private selected: RowId | null = null
  private selectedIndex = -1
  /** A row that is to be selected as soon as it is here. */
  private wantedIndex = -1
  /** What scrollTop we set ourselves: any other value is a person's. */
  private ownScrollTop = 0
  private frame = 0
  private othersExpected = false
  private readonly stopListening = new AbortController()
  private readonly resizes: ResizeObserver

  constructor(
    private readonly parts: GridParts,
    private readonly rowHeight: number,
    private readonly headHeight: number,
    private readonly look: (window: RowWindow, row: number, selected: boolean) => RowLook,
    private readonly events: GridEvents,
  ) {
    this.pool = new RowPool(parts.rows, 'row-')
    this.map = new ScrollMap(0, rowHeight, 0)
    const { signal } = this.stopListening
    parts.scroller.addEventListener('wheel', (event) => this.onWheel(event), { passive: false, signal })
    parts.scroller.addEventListener('scroll', () => this.onScroll(), { passive: true, signal })
    parts.rows.addEventListener('mousedown', (event) => this.onMouseDown(event), { signal })
    parts.rows.addEventListener('mouseover', (event) => showWhole(event.target), { signal })
    parts.grid.addEventListener('keydown', (event) => this.onKey(event), { signal })
    this.resizes = new ResizeObserver(() => this.measure())
    this.resizes.observe(parts.scroller)
  }

  dispose(): void {
    this.stopListening.abort()
    this.resizes.disconnect()
    cancelAnimationFrame(this.frame)
  }

  setColumns(columns: readonly Column[]): void {
    this.pool.setColumns(columns)
    this.pool.resize(this.map.rowsInView)
    this.drawSoon()
  }

  /** Texts may read differently now. */
  redraw(): void {
    this.drawSoon()
  }

  setFollowing(on: boolean): void {
    if (this.following === on) return
    this.following = on
    this.drawSoon()
  }

  setSelected(row: RowId | null): void {
    if (this.selected === row) return
    this.selected = row
    if (row === null) this.selectedIndex = -1
    this.drawSoon()
  }

  /** The next window has the rows of another filter or order. Until then all stays where it is. */
  expectOtherRows(): void {
    this.othersExpected = true
  }

  /** The filter was wrong: what is shown stays. */
  keepRows(): void {
    this.othersExpected = false
  }

  setWindow(window: RowWindow | null): void {
    this.window = window
    if (this.othersExpected) {
      this.othersExpected = false
      this.position = 0
      this.selectedIndex = -1
      this.wantedIndex = -1
    }
    this.resizeMap(window?.shown ?? 0, this.map.viewHeight)
    this.draw()
  }

  private measure(): void {
    const selectedTop = this.selectedIndex * this.rowHeight - this.position
    const selectedSeen = this.selectedIndex >= 0 && selectedTop >= 0 && selectedTop < this.map.viewHeight
    this.resizeMap(this.map.rows, Math.max(0, this.parts.scroller.clientHeight - this.headHeight))
    this.pool.resize(this.map.rowsInView)
    // A panel that opens below must not cover the row that opened it.
    if (selectedSeen) this.position = this.map.reveal(this.selectedIndex, this.position)
    this.draw()
  }

  private resizeMap(rows: number, viewHeight: number): void {
    if (rows === this.map.rows && viewHeight === this.map.viewHeight) return
    this.map = new ScrollMap(rows, this.rowHeight, viewHeight)
    this.parts.layer.style.height = `${viewHeight}px`
    this.parts.sizer.style.height = `${Math.max(viewHeight, this.map.scrollHeight)}px`
    this.parts.grid.setAttribute('aria-rowcount', String(rows + 1))
  }

  private drawSoon(): void {
    if (this.frame) return
    this.frame = requestAnimationFrame(() => {
      this.frame = 0
      this.draw()
    })
  }

  private draw(): void {
    const { map, window } = this
    this.position = this.following ? map.maxPosition : map.clamp(this.position)
    this.placeThumb()
    const first = map.firstRow(this.position)
    this.events.need(Math.max(0, first - OVERSCAN), map.rowsInView + 2 * OVERSCAN)
    this.parts.rows.style.transform = `translateY(${first * this.rowHeight - this.position}px)`
    this.pool.draw(window, first, map.rows, (rows, row) => {
      const isSelected = rows.rowId(row) === this.selected
      if (isSelected) {
        this.selectedIndex = rows.first + row
        this.events.sawSelected(rows, row)
      }
      return this.look(rows, row, isSelected)
    })
    this.parts.grid.setAttribute('aria-activedescendant', this.pool.idOf(this.selectedIndex))
    if (this.wantedIndex >= 0) this.selectIndex(this.wantedIndex)
  }

  private placeThumb(): void {
    const top = this.map.toScrollTop(this.position)
    if (Math.abs(this.parts.scroller.scrollTop - top) < 1) return
    this.parts.scroller.scrollTop = top
    // The browser rounds; what it made of it is ours, too.
    this.ownScrollTop = this.parts.scroller.scrollTop
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
    const { scrollTop } = this.parts.scroller
    if (Math.abs(scrollTop - this.ownScrollTop) < 1) return
    this.ownScrollTop = scrollTop
    const position = this.map.toPosition(scrollTop)
    // Growing rows move the thumb, too; only a real step away counts as a person's.
    if (Math.abs(this.map.toScrollTop(this.position) - scrollTop) < 1) return
    this.moveTo(position)
  }

  /** A person moved. Leaving the tail ends following. */
  private moveTo(position: number): void {
    const clamped = this.map.clamp(position)
    if (clamped === this.position) return
    if (clamped < this.position && this.following) {
      this.following = false
      this.events.follow(false)
    }
    this.position = clamped
    this.drawSoon()
  }

  private onMouseDown(event: MouseEvent): void {
    if (event.button !== 0) return
    const index = this.pool.indexOf(event.target)
    if (index >= 0) this.selectIndex(index)
  }

  private onKey(event: KeyboardEvent): void {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target !== this.parts.grid) return
    const page = Math.max(1, Math.floor(this.map.viewHeight / this.rowHeight) - 1)
    const last = this.map.rows - 1
    const from = this.selectedIndex >= 0 ? this.selectedIndex : this.map.firstRow(this.position) - 1
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
    if (this.following) {
      this.following = false
      this.events.follow(false)
    }
    this.wantedIndex = index
    const revealed = this.map.reveal(index, this.position)
    if (revealed !== this.position) {
      this.position = revealed
      this.drawSoon()
    }
    const { window } = this
    if (!window?.has(index)) return
    this.wantedIndex = -1
    this.selectedIndex = index
    this.selected = window.rowId(index - window.first)
    this.events.select(this.selected)
    this.drawSoon()
  }
}

/** A text that has no room shows whole as a tooltip. */
function showWhole(target: EventTarget | null): void {
  if (!(target instanceof HTMLElement) || !target.matches('.cell')) return
  target.title = target.scrollWidth > target.clientWidth ? (target.textContent ?? '') : ''
}
