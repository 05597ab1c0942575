// GridHead.tsx: the heads of the columns: press to sort, drag to move, drag the edge to resize; keys do the same.

import { useState } from 'preact/hooks'
import { SMALLEST_WIDTH } from '../grid/column-layout.ts'
import type { Column } from '../grid/columns.ts'
import { heldWidths, moveColumn, placeColumn } from '../grid/request-columns.ts'
import { openMenuAt } from '../state/menus.ts'
import { sort, sortBy } from '../state/query.ts'
import { columnWidths } from '../state/settings.ts'

/** A hand that presses is not quite still. */
const DRAG_PX = 6
const KEY_STEP = 16

export function GridHead({ columns, widths }: { columns: readonly Column[]; widths: number[] }) {
  /** The column that is dragged, and the one in whose place it would be put. */
  const [drag, setDrag] = useState<{ id: string; at: string } | null>(null)
  const order = sort.value
  const grab = (down: PointerEvent & { currentTarget: HTMLElement }, id: string) => {
    if (down.button !== 0) return
    const head = down.currentTarget.closest('.grid-head')!
    const controller = new AbortController()
    const { signal } = controller
    let at = id
    const move = ({ clientX }: PointerEvent) => {
      if (at === id && Math.abs(clientX - down.clientX) < DRAG_PX) return
      const under = [...head.children].findIndex((cell) => clientX < cell.getBoundingClientRect().right)
      at = columns[under < 0 ? columns.length - 1 : under]!.id
      setDrag({ id, at })
    }
    const drop = () => {
      controller.abort()
      setDrag(null)
      if (at !== id) placeColumn(id, at)
    }
    // What was dragged was not pressed.
    const press = (event: MouseEvent) => {
      if (at !== id) event.stopPropagation()
    }
    const cancel = () => {
      at = id
      drop()
    }
    addEventListener('pointermove', move, { signal })
    addEventListener('pointerup', drop, { signal })
    addEventListener('pointercancel', cancel, { signal })
    addEventListener('click', press, { capture: true, once: true })
  }
  /** Those on its left stay as they are: its edge is where the hand is. */
  const hold = (index: number) => {
    heldWidths.value = Object.fromEntries(columns.slice(0, index).map(({ id }, i) => [id, widths[i]!]))
  }
  const onKey = (event: KeyboardEvent, index: number) => {
    const direction = ({ ArrowLeft: -1, ArrowRight: 1 } as const)[event.key as 'ArrowLeft']
    if (direction === undefined || event.altKey === event.shiftKey) return
    event.preventDefault()
    const { id } = columns[index]!
    if (event.altKey) return moveColumn(id, direction)
    hold(index)
    resize(id, widths[index]! + direction * KEY_STEP)
  }
  return (
    // biome-ignore lint/a11y/useSemanticElements: a table of millions of rows cannot be a <table>.
    <div class="grid-head" role="row" aria-rowindex={1} tabIndex={-1}>
      {columns.map((column, index) => {
        const on = order?.field === column.field
        const direction = on ? (order.descending ? 'descending' : 'ascending') : 'none'
        const mark = drag?.id === column.id ? ' dragged' : drag?.at === column.id ? ' target' : ''
        return (
          // biome-ignore lint/a11y/useSemanticElements: see above.
          <div
            key={column.id}
            class={column.className + mark}
            role="columnheader"
            aria-sort={direction}
            tabIndex={-1}
            onContextMenu={(event) =>
              openMenuAt(event, { kind: 'column', column }, event.currentTarget.getBoundingClientRect())
            }
          >
            <button
              type="button"
              title={`Sort by ${column.title.toLowerCase()}; drag to move`}
              onClick={() => sortBy(column.field)}
              onPointerDown={(event) => grab(event, column.id)}
              onKeyDown={(event) => onKey(event, index)}
            >
              <span>{column.title}</span>
              {on && (
                <span class="arrow" aria-hidden="true">
                  {order.descending ? '▾' : '▴'}
                </span>
              )}
            </button>
            <Resizer column={column} width={widths[index]!} hold={() => hold(index)} />
          </div>
        )
      })}
    </div>
  )
}

function Resizer({ column: { id }, width, hold }: { column: Column; width: number; hold: () => void }) {
  const drag = (down: PointerEvent) => {
    const handle = down.currentTarget as HTMLElement
    handle.setPointerCapture(down.pointerId)
    hold()
    const move = (event: PointerEvent) => resize(id, width + event.clientX - down.clientX)
    handle.addEventListener('pointermove', move)
    handle.addEventListener('lostpointercapture', () => handle.removeEventListener('pointermove', move), {
      once: true,
    })
  }
  const reset = () => {
    const { [id]: _, ...others } = columnWidths.value
    columnWidths.value = others
    heldWidths.value = {}
  }
  return (
    <span
      class="resizer"
      title="Drag to resize; double-click to reset"
      aria-hidden="true"
      onPointerDown={drag}
      onDblClick={reset}
    />
  )
}

function resize(id: string, width: number): void {
  columnWidths.value = { ...columnWidths.value, [id]: Math.max(SMALLEST_WIDTH, Math.round(width)) }
}
