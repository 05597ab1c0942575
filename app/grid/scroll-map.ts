// scroll-map.ts: a scroll bar that can stand for 50 million rows.
//
// Browsers stop at some ten million pixels of scroll height, so above a cap the bar is a picture of the whole at a
// smaller scale. The true position is a double in pixels of the whole: the wheel and the keys move it exactly; only
// the thumb moves in proportion.

export const MAX_SCROLL_HEIGHT = 8_000_000

export class ScrollMap {
  constructor(
    readonly rows: number,
    readonly rowHeight: number,
    /** Height of the window through which rows are seen. */
    readonly viewHeight: number,
  ) {}

  /** Height that the scrolled element gets. */
  get scrollHeight(): number {
    return Math.min(this.rows * this.rowHeight, MAX_SCROLL_HEIGHT)
  }

  /** The largest position: the last row at the bottom. */
  get maxPosition(): number {
    return Math.max(0, this.rows * this.rowHeight - this.viewHeight)
  }

  clamp(position: number): number {
    return Math.min(Math.max(0, position), this.maxPosition)
  }

  /** Where the thumb goes for a position. */
  toScrollTop(position: number): number {
    const range = this.scrollRange
    return this.maxPosition === 0 ? 0 : (position / this.maxPosition) * range
  }

  /** What position a thumb stands for. */
  toPosition(scrollTop: number): number {
    const range = this.scrollRange
    return range === 0 ? 0 : this.clamp((scrollTop / range) * this.maxPosition)
  }

  /** The first row that is at least partly seen. */
  firstRow(position: number): number {
    return Math.floor(position / this.rowHeight)
  }

  /** Rows that can be seen at once, partly seen ones included. */
  get rowsInView(): number {
    return Math.ceil(this.viewHeight / this.rowHeight) + 1
  }

  /** The nearest position at which the row is wholly seen. */
  reveal(row: number, position: number): number {
    const top = row * this.rowHeight
    if (top < position) return this.clamp(top)
    const bottom = top + this.rowHeight
    if (bottom > position + this.viewHeight) return this.clamp(bottom - this.viewHeight)
    return this.clamp(position)
  }

  private get scrollRange(): number {
    return Math.max(0, this.scrollHeight - this.viewHeight)
  }
}
