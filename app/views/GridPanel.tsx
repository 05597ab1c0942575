// GridPanel.tsx: the request grid in its place: head, columns, what it says when there is nothing to show.

import { useComputed, useSignalEffect } from '@preact/signals'
import { useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'
import { formatCount } from '../../src/formats/values.ts'
import { RowState } from '../../src/protocol/wire.ts'
import { columnsThatFit, layoutColumns, SMALLEST_WIDTH } from '../grid/column-layout.ts'
import { type Column, rowLook } from '../grid/columns.ts'
import { GridView } from '../grid/grid-view.ts'
import { requestColumns, rowText } from '../grid/request-columns.ts'
import {
  detail,
  filterProblem,
  isSettled,
  look,
  readRows,
  refreshDetail,
  select,
  selectedRow,
  session,
  status,
} from '../state/link.ts'
import { filter, follow, sort, sortBy } from '../state/query.ts'
import { columnWidths, hiddenColumns } from '../state/settings.ts'
import { EmptyState } from './EmptyState.tsx'

/** As the style sheet has them. */
const ROW_PX = 22
const HEAD_PX = 27

export function GridPanel() {
  const grid = useRef<HTMLDivElement>(null)
  const scroller = useRef<HTMLDivElement>(null)
  const sizer = useRef<HTMLDivElement>(null)
  const layer = useRef<HTMLDivElement>(null)
  const rows = useRef<HTMLDivElement>(null)
  const view = useRef<GridView | null>(null)
  const [width, setWidth] = useState(0)
  const [atTop, setAtTop] = useState(true)

  useLayoutEffect(() => {
    const parts = {
      grid: grid.current!,
      scroller: scroller.current!,
      sizer: sizer.current!,
      layer: layer.current!,
      rows: rows.current!,
    }
    const gridView = new GridView(
      parts,
      ROW_PX,
      HEAD_PX,
      (window, row, selected) => rowLook(window, row, selected, rowText.clock.ticksPerSecond),
      {
        look,
        follow: (on) => {
          follow.value = on
        },
        select: (row) => select(row),
        sawSelected: (window, row) => {
          const shown = detail.peek()?.detail
          const ended = shown?.end === null && window.state(row) !== RowState.InFlight
          if (ended && shown.row === window.rowId(row)) refreshDetail()
        },
        atTop: setAtTop,
      },
    )
    view.current = gridView
    readRows(({ window, asked }) => gridView.setWindow(window, asked))
    const resizes = new ResizeObserver(() => setWidth(scroller.current!.clientWidth))
    resizes.observe(scroller.current!)
    return () => {
      readRows(() => {})
      resizes.disconnect()
      gridView.dispose()
    }
  }, [])

  const wanted = useComputed(() => requestColumns.filter((column) => !hiddenColumns.value[column.id])).value
  const chosen = columnWidths.value
  const fitting = columnsThatFit(wanted, chosen, width)
  const fittingIds = fitting.map((column) => column.id).join()
  // The same columns are the same array: the pool is rebuilt only when they change.
  const columns = useMemo(() => fitting, [fittingIds])
  useLayoutEffect(() => view.current?.setColumns(columns), [columns])
  const widths = layoutColumns(columns, chosen, width)

  useSignalEffect(() => {
    if (session.value) rowText.clock = session.value
  })
  useSignalEffect(() => {
    rowText.now = status.value?.at ?? 0
    // What is in flight grows older, though its row stays the same.
    view.current?.redraw()
  })
  useSignalEffect(() => view.current?.setSelected(selectedRow.value))
  useSignalEffect(() =>
    view.current?.setQuery({ filter: filter.value, sort: sort.value, follow: follow.value }),
  )
  useSignalEffect(() => {
    if (filterProblem.value) view.current?.keepRows()
  })

  const total = widths.reduce((sum, each) => sum + each, 0)
  return (
    <main class="grid-panel">
      {/* biome-ignore lint/a11y/useSemanticElements: a table of millions of rows cannot be a <table>. */}
      <div
        class="grid"
        role="grid"
        aria-label="Requests"
        aria-colcount={columns.length}
        aria-readonly="true"
        tabIndex={0}
        ref={grid}
        style={{ '--columns': widths.map((each) => `${each}px`).join(' '), '--width': `${total}px` }}
      >
        <div class="grid-scroll" ref={scroller}>
          <Head columns={columns} widths={widths} />
          <div class="grid-sizer" ref={sizer}>
            <div class="grid-layer" ref={layer}>
              <div class="grid-rows" ref={rows} />
            </div>
          </div>
        </div>
      </div>
      <Progress />
      {atTop && <OlderRows />}
      <EmptyState />
    </main>
  )
}

/** Until all rows have been filtered and sorted; what takes no time shows nothing (see the style sheet). */
function Progress() {
  if (isSettled.value) return null
  return (
    <div class="grid-progress" role="status">
      {sort.value ? 'Sorting…' : 'Filtering…'}
    </div>
  )
}

/** At the top of what is here, where older rows would stand. */
function OlderRows() {
  const evicted = status.value?.evictedRows ?? 0
  if (evicted === 0 || follow.value || sort.value) return null
  return (
    <p class="older-rows" role="status">
      {formatCount(evicted)} older requests have left memory
      <span class="dim"> · more memory for rows keeps more of them, a capture file all</span>
    </p>
  )
}

function Head({ columns, widths }: { columns: readonly Column[]; widths: number[] }) {
  const order = sort.value
  return (
    // biome-ignore lint/a11y/useSemanticElements: see the grid.
    <div class="grid-head" role="row" aria-rowindex={1} tabIndex={-1}>
      {columns.map((column, index) => {
        const on = order?.field === column.field
        const direction = on ? (order.descending ? 'descending' : 'ascending') : 'none'
        return (
          // biome-ignore lint/a11y/useSemanticElements: see the grid.
          <div
            key={column.id}
            class={column.className}
            role="columnheader"
            aria-sort={direction}
            tabIndex={-1}
          >
            <button
              type="button"
              title={`Sort by ${column.title.toLowerCase()}`}
              onClick={() => sortBy(column.field)}
            >
              <span>{column.title}</span>
              {on && <span class="arrow">{order.descending ? '▾' : '▴'}</span>}
            </button>
            <Resizer column={column} width={widths[index]!} />
          </div>
        )
      })}
    </div>
  )
}

function Resizer({ column, width }: { column: Column; width: number }) {
  const drag = (down: PointerEvent) => {
    const handle = down.currentTarget as HTMLElement
    handle.setPointerCapture(down.pointerId)
    const move = (event: PointerEvent) => {
      const wanted = Math.max(SMALLEST_WIDTH, Math.round(width + event.clientX - down.clientX))
      columnWidths.value = { ...columnWidths.value, [column.id]: wanted }
    }
    handle.addEventListener('pointermove', move)
    handle.addEventListener('lostpointercapture', () => handle.removeEventListener('pointermove', move), {
      once: true,
    })
  }
  const reset = () => {
    const { [column.id]: _, ...others } = columnWidths.value
    columnWidths.value = others
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
