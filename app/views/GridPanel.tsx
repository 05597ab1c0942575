// GridPanel.tsx: the request grid in its place: head, columns, what it says when there is nothing to show.

import { effect } from '@preact/signals'
import { useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'
import { formatCount } from '../../src/formats/values.ts'
import { RowState } from '../../src/protocol/wire.ts'
import { columnsThatFit, layoutColumns } from '../grid/column-layout.ts'
import { rowLook } from '../grid/columns.ts'
import { GridView } from '../grid/grid-view.ts'
import { heldWidths, rowText, shownColumns } from '../grid/request-columns.ts'
import {
  detail,
  filterProblem,
  goal,
  isSettled,
  look,
  readRows,
  refreshDetail,
  select,
  selectedRow,
  session,
  status,
} from '../state/link.ts'
import { openMenuAt } from '../state/menus.ts'
import { filter, follow, sort } from '../state/query.ts'
import { columnWidths, detailOpen } from '../state/settings.ts'
import { EmptyState } from './EmptyState.tsx'
import { GridHead } from './GridHead.tsx'

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
      (window, row, selected, active) => rowLook(window, row, selected, active, rowText.clock.ticksPerSecond),
      {
        look,
        follow: (on) => {
          follow.value = on
        },
        select: (row) => select(row),
        sawSelected: (window, row) => {
          const shown = detail.peek()?.detail
          const state = window.state(row)
          const ended = shown?.end === null && state !== RowState.InFlight && state !== RowState.EndLost
          if (ended && shown.row === window.rowId(row)) refreshDetail()
        },
        atTop: setAtTop,
        menu: (event, window, row, column, place) =>
          openMenuAt(event, { kind: 'cell', column: shown.current[column]!, window, row }, place),
        copy: async (window, row) => {
          const { copyText, rowLine } = await import('../menus/copy.ts')
          copyText(rowLine(window, row))
        },
        open: () => {
          detailOpen.value = true
        },
      },
    )
    view.current = gridView
    // By hand, as a component's own effects run a frame late: rows that come before must find what is asked for.
    const stops = [
      effect(() => {
        if (session.value) rowText.clock = session.value
      }),
      effect(() => {
        rowText.now = status.value?.at ?? 0
        // What is in flight grows older, though its row stays the same.
        gridView.redraw()
      }),
      effect(() => gridView.setSelected(selectedRow.value)),
      effect(() => {
        if (goal.value) gridView.goTo(goal.value.row)
      }),
      effect(() => gridView.setQuery({ filter: filter.value, sort: sort.value, follow: follow.value })),
      effect(() => {
        if (filterProblem.value) gridView.keepRows()
      }),
    ]
    readRows(({ window, asked }) => gridView.setWindow(window, asked))
    const resizes = new ResizeObserver(() => setWidth(scroller.current!.clientWidth))
    resizes.observe(scroller.current!)
    return () => {
      for (const stop of stops) stop()
      readRows(() => {})
      resizes.disconnect()
      gridView.dispose()
    }
  }, [])

  useLayoutEffect(() => {
    heldWidths.value = {}
  }, [width])
  const chosen = { ...heldWidths.value, ...columnWidths.value }
  const fitting = columnsThatFit(shownColumns.value, chosen, width)
  const fittingIds = fitting.map((column) => column.id).join()
  // The same columns are the same array: the pool is rebuilt only when they change.
  const columns = useMemo(() => fitting, [fittingIds])
  const shown = useRef(columns)
  shown.current = columns
  useLayoutEffect(() => view.current?.setColumns(columns), [columns])
  const widths = layoutColumns(columns, chosen, width)

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
          <GridHead columns={columns} widths={widths} />
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
