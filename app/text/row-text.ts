// row-text.ts: what a row says, column by column: numbers from the window, names from src/formats and the core.

import { ioctlName } from '../../src/formats/ioctl.ts'
import {
  carriesControlCode,
  functionMajors,
  functionName,
  Major,
  minorName,
} from '../../src/formats/irp-names.ts'
import { statusName } from '../../src/formats/ntstatus.ts'
import { formatCount, formatDuration, formatHex, ticksToNs } from '../../src/formats/values.ts'
import type { DriverId, FunctionIndex, Ticks } from '../../src/protocol/ids.ts'
import { RequestFlags } from '../../src/protocol/layout.ts'
import { RowState, type SessionState } from '../../src/protocol/wire.ts'
import type { RowWindow } from '../rows/row-window.ts'
import { formatLocalTime } from './local-time.ts'

export interface RowNames {
  drivers: ReadonlyMap<DriverId, string>
  processes: ReadonlyMap<number, string>
  details: ReadonlyMap<number, string>
}

type Clock = Pick<SessionState, 'ticksPerSecond' | 'anchorTicks' | 'anchorUtcMs'>

export class RowText {
  clock: Clock = { ticksPerSecond: 1e7, anchorTicks: 0 as Ticks, anchorUtcMs: 0 }
  /** The newest time known of the driver's clock: what is in flight has been so until now. */
  now = 0

  constructor(private readonly names: RowNames) {}

  // To the microsecond: the seventh digit is noise in a list; the detail pane has it.
  time = (rows: RowWindow, row: number): string => formatLocalTime(rows.arrival(row), this.clock).slice(0, -1)

  driver = (rows: RowWindow, row: number): string =>
    shortDriverName(this.names.drivers.get(rows.driverId(row)) ?? '')

  process = (rows: RowWindow, row: number): string => this.names.processes.get(rows.process(row)) ?? ''

  processId = (rows: RowWindow, row: number): string => started(rows, row, rows.processId(row))

  threadId = (rows: RowWindow, row: number): string => started(rows, row, rows.threadId(row))

  functionName = (rows: RowWindow, row: number): string => functionName(rows.functionIndex(row))

  operation = (rows: RowWindow, row: number): string => {
    const fn = rows.functionIndex(row)
    if (rows.state(row) === RowState.StartLost) return ''
    const minor = rows.minor(row)
    if (!carriesControlCode(fn, minor)) return minorText(fn, minor)
    const code = rows.code(row)
    // What an unknown code says of itself is in the detail pane.
    return ioctlName(code) || formatHex(code, 8)
  }

  status = (rows: RowWindow, row: number): string => {
    switch (rows.state(row)) {
      case RowState.InFlight:
        return 'in flight'
      case RowState.EndLost:
        return 'end lost'
      case RowState.Unseen:
        return `${statusName(rows.status(row))} (end unseen)`
      default:
        return rows.flags(row) & RequestFlags.FellThrough
          ? 'fell through to an IRP'
          : statusName(rows.status(row))
    }
  }

  duration = (rows: RowWindow, row: number): string => {
    const { ticksPerSecond } = this.clock
    if (rows.state(row) !== RowState.InFlight)
      return formatDuration(ticksToNs(rows.latency(row), ticksPerSecond))
    const age = this.now - rows.arrival(row)
    return age > 0 ? `${formatDuration(ticksToNs(age, ticksPerSecond))} …` : '…'
  }

  input = (rows: RowWindow, row: number): string => size(rows.inputLength(row))

  output = (rows: RowWindow, row: number): string => size(rows.outputLength(row))

  /** What the other columns do not say: a name, a size that is not the one asked for, and the course. */
  details = (rows: RowWindow, row: number): string => {
    const name = this.names.details.get(rows.detail(row))
    const parts = name ? [name] : []
    const flags = rows.flags(row)
    const state = rows.state(row)
    if (state === RowState.StartLost) parts.push('start lost')
    const moved = rows.information(row)
    const isExpected = moved === 0 || moved === rows.outputLength(row) || moved === rows.inputLength(row)
    const hasMoved = state === RowState.Done && !(flags & RequestFlags.FellThrough) && !isExpected
    if (hasMoved && informationIsBytes(rows.functionIndex(row))) parts.push(`${formatCount(moved)} bytes`)
    if (flags & RequestFlags.Pended) parts.push('pended')
    if (flags & RequestFlags.Paging) parts.push('paging I/O')
    return parts.join(' · ')
  }
}

// Bytes are what Information counts for these; elsewhere it is whatever the driver means by it.
const INFORMATION_IS_BYTES: readonly number[] = [
  Major.READ,
  Major.WRITE,
  Major.DEVICE_CONTROL,
  Major.FILE_SYSTEM_CONTROL,
]

export function informationIsBytes(fn: FunctionIndex): boolean {
  return INFORMATION_IS_BYTES.includes(functionMajors[fn])
}

/** A number that the start brought. */
function started(rows: RowWindow, row: number, value: number): string {
  return rows.state(row) === RowState.StartLost ? '' : String(value)
}

/** What the minor says beyond the function's name: reading normally is reading. */
export function minorText(fn: FunctionIndex, minor: number): string {
  const name = minorName(fn, minor)
  return name === 'NORMAL' ? '' : name
}

/** `AFD` for `\Driver\AFD`: what a column has room for. */
export function shortDriverName(name: string): string {
  return name.slice(name.lastIndexOf('\\') + 1)
}

function size(bytes: number): string {
  return bytes === 0 ? '' : formatCount(bytes)
}
