// row-cache.ts: the last windows of one view, so that scrolling back shows rows at once instead of placeholders.
//
// What it hands out may be a moment old (a row that has ended since); the core sends the fresh window right after.

import { RowWindow } from '../rows/row-window.ts'

const WINDOWS_KEPT = 12

export class RowCache {
  /** Newest first: where two windows overlap, the newer row wins. */
  private windows: RowWindow[] = []

  /** The view shows something else now: nothing kept can be right. */
  clear(): void {
    this.windows = []
  }

  add(window: RowWindow): void {
    // A window that lies wholly under the new one can never be seen again.
    const kept = this.windows.filter(
      (old) => old.first < window.first || old.first + old.count > window.first + window.count,
    )
    this.windows = [window, ...kept].slice(0, WINDOWS_KEPT)
  }

  /** The asked-for window with the rows that are known, or null when none is. */
  assemble(first: number, count: number): RowWindow | null {
    const newest = this.windows[0]
    if (!newest) return null
    const end = Math.min(first + count, newest.shown)
    if (end <= first) return null
    const result = RowWindow.missing(first, end - first, newest.shown, newest.viewStamp)
    let found = 0
    for (let index = first; index < end; index++) {
      const source = this.windows.find((window) => window.has(index))
      if (!source) continue
      result.copyRow(index - first, source, index - source.first)
      found++
    }
    return found > 0 ? result : null
  }
}
