// menus.ts: which menu is open, where, and of what it speaks. At most one is; its entries are made when it opens.

import { signal } from '@preact/signals'
import type { Column } from '../grid/columns.ts'
import type { RowWindow } from '../rows/row-window.ts'

export type MenuSubject =
  /** What is wanted rarely. */
  | { kind: 'more' }
  /** One value of a row. `row` counts from the window's beginning. */
  | { kind: 'cell'; column: Column; window: RowWindow; row: number }
  | { kind: 'column'; column: Column }
  /** Bytes of a payload, from `start` to `end` (exclusive). */
  | { kind: 'bytes'; field: 'input' | 'output'; bytes: Uint8Array; start: number; end: number }

export interface OpenMenu {
  subject: MenuSubject
  /** Its corner: of the button that opened it the lower right one, else where the pointer is. */
  x: number
  y: number
  from: 'left' | 'right'
}

export const openMenu = signal<OpenMenu | null>(null)

/** At the pointer; keys open it at what has the focus, without a place of its own. */
export function openMenuAt(event: MouseEvent, subject: MenuSubject, place?: DOMRect): void {
  event.preventDefault()
  const { clientX, clientY } = event
  const byKey = place !== undefined && event.button !== 2
  openMenu.value = {
    subject,
    x: byKey ? place.left + 8 : clientX,
    y: byKey ? place.bottom : clientY,
    from: 'left',
  }
}
