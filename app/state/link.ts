// link.ts: the page's end of the worker: frames arrive here and become signals; commands leave from here.
//
// Rows and charts are no signals: they come many times a second and have one reader each, which draws at its turn.

import { computed, signal } from '@preact/signals'
import { proxy, type Remote, wrap } from 'comlink'
import type { DriverId, RowId } from '../../src/protocol/ids.ts'
import type { DriverEntry, InFlightList, SessionState } from '../../src/protocol/wire.ts'
import { RowWindow } from '../rows/row-window.ts'
import type {
  ChartsFrame,
  Command,
  ConnectionState,
  Detail,
  Frame,
  Status,
  View,
  WorkerApi,
} from '../worker/frames.ts'
import { turns } from './turns.ts'

export const connection = signal<ConnectionState>({ kind: 'connecting' })
export const session = signal<SessionState | null>(null)
/** Requests are counted now: the newest figures are those of this moment. */
export const isLive = computed(() => connection.value.kind === 'open' && session.value?.running === true)
export const status = signal<Status | null>(null)
export const drivers = signal<DriverEntry[] | null>(null)
/** Requests in flight, as of the last asking. */
export const inFlight = signal<InFlightList | null>(null)
/** Something asked for did not work. Stays until it is dismissed or something else is tried. */
export const problem = signal('')
/** What went wrong by itself, oldest first. Each stays until it is dismissed. */
export const notices = signal<readonly string[]>([])
export const filterProblem = signal<{ filter: string; message: string; start: number; end: number } | null>(
  null,
)
/** All rows have been filtered and sorted as is wanted now. Rows that come later do not unsettle it. */
export const isSettled = signal(true)
export const selectedRow = signal<RowId | null>(null)
/** null = nothing selected, or on its way; `gone` = the row has left the store. */
export const detail = signal<{ row: RowId; detail: Detail | null } | null>(null)

/** Strings that rows carry as numbers. */
export const names = {
  drivers: new Map<DriverId, string>(),
  processes: new Map<number, string>(),
  details: new Map<number, string>(),
}

/** The newest picture. */
export const live = { charts: null as ChartsFrame | null }

const chartReaders = new Set<() => void>()

/** Gives `draw` a turn after each new picture, until the returned function is called. */
export function subscribeToCharts(draw: () => void): () => void {
  chartReaders.add(draw)
  if (live.charts) turns.mark(draw)
  return () => {
    chartReaders.delete(draw)
    turns.drop(draw)
  }
}

/** The newest rows, and what they are the answer to. */
interface Rows {
  window: RowWindow | null
  asked: View | null
}

let rows: Rows = { window: null, asked: null }
let rowReader = (_rows: Rows): void => {}

/** Hands the rows, now and whenever they or the names in them change, to their one reader. */
export function readRows(reader: (rows: Rows) => void): void {
  rowReader = reader
  reader(rows)
}

/** More than anybody reads. */
const MOST_NOTICES = 100

let worker: Remote<WorkerApi>
let lookedAt = -1

export function openLink(): void {
  worker = wrap<WorkerApi>(
    new Worker(new URL('../worker/worker.ts', import.meta.url), { type: 'module', name: 'core-client' }),
  )
  const url = new URL('ws', location.href)
  url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:'
  url.search = ''
  void worker.connect(url.href, proxy(take))
}

export function command(message: Command): void {
  problem.value = ''
  void worker.command(message)
}

/** By itself, so it dismisses no problem. */
export function askInFlight(): void {
  void worker.command({ type: 'inFlight' })
}

export function look(view: View): void {
  if (view.query !== lookedAt) isSettled.value = false
  lookedAt = view.query
  void worker.look(view)
}

export function reconnect(): void {
  void worker.reconnect()
}

/** A row that is to be brought into sight; an object, as one may be wanted again. */
export const goal = signal<{ row: RowId } | null>(null)

/** Selects a row that may be far from those that are seen. */
export function goTo(row: RowId): void {
  goal.value = { row }
}

export function select(row: RowId | null): void {
  selectedRow.value = row
  if (row === null) detail.value = null
  else void worker.detail(row)
}

/** Asks again for the selected row: it has ended since. */
export function refreshDetail(): void {
  if (selectedRow.value !== null) void worker.detail(selectedRow.value)
}

function take(frame: Frame): void {
  switch (frame.type) {
    case 'connection':
      if (frame.state.kind === 'open') forget()
      connection.value = frame.state
      return
    case 'state':
      // A new capture has other rows with the same numbers.
      if (frame.state.running && session.peek()?.running === false) select(null)
      session.value = frame.state
      return
    case 'status':
      status.value = frame.status
      return
    case 'drivers':
      drivers.value = frame.drivers
      return
    case 'inFlight':
      inFlight.value = frame.list
      return
    case 'names':
      if (frame.names.forgetDetails) names.details.clear()
      for (const [id, name] of frame.names.drivers) names.drivers.set(id, name)
      for (const [id, name] of frame.names.processes) names.processes.set(id, name)
      for (const [id, name] of frame.names.details) names.details.set(id, name)
      rowReader(rows)
      return
    case 'rows':
      rows = { window: RowWindow.decode(frame.buffer, rows.window), asked: frame.view }
      if (frame.view.query === lookedAt) isSettled.value ||= rows.window!.isComplete
      rowReader(rows)
      return
    case 'charts':
      live.charts = frame
      drawCharts()
      return
    case 'detail':
      if (frame.row === selectedRow.peek()) detail.value = { row: frame.row, detail: frame.detail }
      return
    case 'filterError':
      filterProblem.value = frame
      return
    case 'error':
      problem.value = frame.message
      return
    case 'notice':
      dismiss(frame.message)
      notices.value = [...notices.value, frame.message].slice(-MOST_NOTICES)
      return
  }
}

export function dismiss(notice: string): void {
  notices.value = notices.value.filter((each) => each !== notice)
}

/** A new connection may be to a new core: its numbers and names are its own. */
function forget(): void {
  names.drivers.clear()
  names.processes.clear()
  names.details.clear()
  rows = { window: null, asked: null }
  live.charts = null
  drivers.value = null
  inFlight.value = null
  problem.value = ''
  select(null)
  rowReader(rows)
  drawCharts()
}

function drawCharts(): void {
  for (const draw of chartReaders) turns.mark(draw)
}
