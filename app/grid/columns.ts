// columns.ts: the grid's columns: what each says of a row, how the core calls it when it sorts, how wide it is.

import { statusSeverity } from '../../src/formats/ntstatus.ts'
import { RequestFlags } from '../../src/protocol/layout.ts'
import { RowState } from '../../src/protocol/wire.ts'
import type { RowWindow } from '../rows/row-window.ts'
import { functionColour } from '../text/function-colours.ts'
import type { RowText } from '../text/row-text.ts'
import type { ColumnSize } from './column-layout.ts'

export interface Column extends ColumnSize {
  title: string
  /** The name of the field in src/model/fields.ts. */
  field: string
  className: string
  text(window: RowWindow, row: number): string
}

/** How a whole row looks. */
export interface RowLook {
  className: string
  /** Number of its function's colour. */
  mark: number
  /** Length of the duration's bar, 0 … 1. */
  bar: number
  /** Number of the cell that the arrow keys have reached; -1 = another row has it. */
  active: number
}

export function gridColumns(text: RowText): Column[] {
  return [
    column('time', 'Time', 'time', 132, 122, 'mono', text.time),
    column('driver', 'Driver', 'driver', 96, 60, '', text.driver),
    column('process', 'Process', 'process', 124, 104, '', text.process),
    column('pid', 'PID', 'pid', 62, 58, 'number', text.processId),
    { ...column('tid', 'TID', 'tid', 64, 64, 'number', text.threadId), dispensable: 2 },
    column('function', 'Function', 'function', 200, 150, 'function', text.functionName),
    column('operation', 'Operation', 'ioctl', 190, 124, 'mono', text.operation),
    column('status', 'Status', 'status', 196, 150, 'status', text.status),
    column('duration', 'Duration', 'latency', 92, 88, 'number duration', text.duration),
    column('in', 'In', 'input_length', 64, 64, 'number', text.input),
    column('out', 'Out', 'output_length', 64, 64, 'number', text.output),
    { ...column('details', 'Details', 'detail', 120, 80, 'details', text.details), dispensable: 1 },
  ]
}

function column(
  id: string,
  title: string,
  field: string,
  width: number,
  min: number,
  kind: string,
  text: Column['text'],
): Column {
  return { id, title, field, width, min, className: `cell ${kind}`, text }
}

/** The longest duration bar stands for this many seconds; each tenth of that makes it an eighth shorter. */
const FULL_BAR_SECONDS = 10

/** `active`: number of the active column if the row is the selected one, else -1. */
export function rowLook(
  window: RowWindow,
  row: number,
  selected: boolean,
  active: number,
  ticksPerSecond: number,
): RowLook {
  const state = window.state(row)
  const inFlight = state === RowState.InFlight
  const pended = window.flags(row) & RequestFlags.Pended ? ' pended' : ''
  const seconds = inFlight ? FULL_BAR_SECONDS : window.latency(row) / ticksPerSecond
  return {
    className: `row ${outcome(window, row)}${pended}${selected ? ' selected' : ''}`,
    mark: functionColour(window.functionIndex(row)),
    bar: durationBar(seconds),
    active: selected ? active : -1,
  }
}

/** How the request ended, as the style sheet calls it. */
function outcome(window: RowWindow, row: number): string {
  const state = window.state(row)
  if (state === RowState.InFlight) return 'in-flight'
  if (state === RowState.EndLost) return 'lost'
  if (window.flags(row) & RequestFlags.FellThrough) return 'fell-through'
  return statusSeverity(window.status(row))
}

function durationBar(seconds: number): number {
  if (!(seconds > 0)) return 0
  const decades = Math.log10(seconds / FULL_BAR_SECONDS) / 8 + 1
  return Math.round(Math.min(1, Math.max(0.04, decades)) * 100) / 100
}
