// conditions.ts: a value of a row as a condition of the filter language, so that a person can point instead of type.

import { ioctlName } from '../../src/formats/ioctl.ts'
import { carriesControlCode, functionFullName, minorName } from '../../src/formats/irp-names.ts'
import { statusName } from '../../src/formats/ntstatus.ts'
import { type Clock, formatHex, formatTimestamp, ticksToNs } from '../../src/formats/values.ts'
import { quoted } from '../../src/model/filter/lexer.ts'
import { RequestFlags } from '../../src/protocol/layout.ts'
import { RowState } from '../../src/protocol/wire.ts'
import type { RowWindow } from '../rows/row-window.ts'
import type { RowNames } from '../text/row-text.ts'

type Condition = (rows: RowWindow, row: number, names: RowNames, clock: Clock) => string

const CONDITIONS: Readonly<Record<string, Condition>> = {
  time: (rows, row, _, clock) => `time >= "${formatTimestamp(rows.arrival(row), clock)}"`,
  driver: (rows, row, names) => equals('driver', names.drivers.get(rows.driverId(row))),
  process: (rows, row, names) => equals('process', names.processes.get(rows.process(row))),
  pid: (rows, row) => `pid == ${rows.processId(row)}`,
  tid: (rows, row) => `tid == ${rows.threadId(row)}`,
  function: (rows, row) => `function == ${functionFullName(rows.functionIndex(row))}`,
  operation: (rows, row) => {
    const fn = rows.functionIndex(row)
    const minor = rows.minor(row)
    if (!carriesControlCode(fn, minor)) return equals('minor', minorName(fn, minor))
    return `ioctl == ${ioctlName(rows.code(row)) || formatHex(rows.code(row), 8)}`
  },
  status: (rows, row) => {
    const missing = missingEnd(rows, row)
    if (missing) return missing
    if (rows.flags(row) & RequestFlags.FellThrough) return 'fellthrough'
    const status = rows.status(row)
    const name = statusName(status)
    return `status == ${/^\w+$/.test(name) ? name : formatHex(status, 8)}`
  },
  duration: (rows, row, _, clock) => {
    // Rounded down: rounded up it could leave out the row itself.
    const ns = Math.floor(ticksToNs(rows.latency(row), clock.ticksPerSecond))
    return missingEnd(rows, row) || `latency >= ${ns.toFixed(0)}ns`
  },
  in: (rows, row) => `input_length == ${rows.inputLength(row)}`,
  out: (rows, row) => `output_length == ${rows.outputLength(row)}`,
  details: (rows, row, names) => {
    const name = names.details.get(rows.detail(row))
    if (name) return equals('detail', name)
    return rows.flags(row) & RequestFlags.Pended ? 'pended' : ''
  },
}

/** What there is to say of a row without an end; '' for all others. */
function missingEnd(rows: RowWindow, row: number): string {
  switch (rows.state(row)) {
    case RowState.InFlight:
      return 'state == in_flight'
    case RowState.EndLost:
      return 'state == end_lost'
    default:
      return ''
  }
}

/** '' = there is nothing to compare with. */
export function conditionOf(
  columnId: string,
  rows: RowWindow,
  row: number,
  names: RowNames,
  clock: Clock,
): string {
  // An end alone knows no more than when and how.
  const isKnown =
    rows.state(row) !== RowState.StartLost ||
    ['time', 'driver', 'function', 'status', 'duration'].includes(columnId)
  return isKnown ? (CONDITIONS[columnId]?.(rows, row, names, clock) ?? '') : 'state == start_lost'
}

/** A filter that also asks for the condition, or for its contrary. */
export function narrowed(filter: string, condition: string, holds: boolean): string {
  const test = holds ? condition : `!(${condition})`
  if (filter.trim() === '') return test
  return `${/\|\||\bor\b/i.test(filter) ? `(${filter})` : filter} && ${test}`
}

function equals(field: string, text: string | undefined): string {
  return text ? `${field} == ${quoted(text)}` : ''
}
