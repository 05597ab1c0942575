// detail-text.ts: the selected request in words: title, course in time, and fields with what their numbers mean.

import { describeControlCode, ioctlName } from '../../src/formats/ioctl.ts'
import { carriesControlCode, functionFullName, functionIndex, Major } from '../../src/formats/irp-names.ts'
import { statusName, statusSeverity } from '../../src/formats/ntstatus.ts'
import { type Clock, formatCount, formatDuration, formatHex, ticksToNs } from '../../src/formats/values.ts'
import type { FunctionIndex, RowId } from '../../src/protocol/ids.ts'
import { RequestFlags } from '../../src/protocol/layout.ts'
import type { Detail } from '../worker/frames.ts'
import { functionColour } from './function-colours.ts'
import { formatLocalTime } from './local-time.ts'
import { informationIsBytes, minorText } from './row-text.ts'

export interface DetailField {
  name: string
  value: string
  extra?: string
  tone?: string
  mono?: boolean
  /** The row that it speaks of. */
  row?: RowId
}

export interface DetailText {
  title: string
  code: string
  colour: number
  /** How the request went, and how it ended: decides how its line in time is drawn. */
  course: 'at-once' | 'pended' | 'in-flight' | 'end-lost'
  ending: 'none' | 'done' | 'failed' | 'refused'
  steps: string[]
  fields: DetailField[]
}

/** Why a payload is not there, for people. */
export function missedText(missed: NonNullable<Detail['output']['missed']>): string {
  return missed === 'unreadable'
    ? 'There were bytes here that could not be read.'
    : 'These bytes are in the caller’s address space (METHOD_NEITHER). They can be read only in the caller’s process, and only until the driver returns: not when a request that pended completes.'
}

/** Why there is no input, for people. */
export function noInputText(row: Detail): string {
  return isStartLost(row) ? 'start lost' : 'no input'
}

/** Why there is no output, for people. */
export function noOutputText(row: Detail): string {
  if (row.end) return 'no output'
  return isEndLost(row) ? 'end lost' : 'not completed yet'
}

/** The driver said when the request arrived that its end would not be recorded. */
function isEndLost(row: Detail): boolean {
  return row.end === null && (row.flags & RequestFlags.Uncaptured) !== 0
}

/** An end alone knows neither who asked nor for what: the numbers of its row's start mean nothing. */
function isStartLost(row: Detail): boolean {
  return row.deviceObject === ''
}

const FLAG_NAMES: [number, string][] = [
  [RequestFlags.Synchronous, 'synchronous'],
  [RequestFlags.Pended, 'pended'],
  [RequestFlags.Cancelled, 'cancelled'],
  [RequestFlags.FellThrough, 'fell through to an IRP'],
  [RequestFlags.Paging, 'paging I/O'],
  [RequestFlags.Associated, 'associated'],
  [RequestFlags.Unseen, 'completion unseen'],
  [RequestFlags.Uncaptured, 'completion not recorded'],
]

export function describe(row: Detail, clock: Clock): DetailText {
  const fn = functionIndex(row.major, row.fastIo ? RequestFlags.FastIo : 0)
  const isStarted = !isStartLost(row)
  const isControl = isStarted && carriesControlCode(fn, row.minor)
  const minor = minorText(fn, row.minor)
  return {
    title: isControl
      ? ioctlName(row.code) || 'Control code without a name'
      : functionFullName(fn) + (minor ? ` · ${minor}` : ''),
    code: isControl ? formatHex(row.code, 8) : '',
    colour: functionColour(fn),
    course: courseOf(row),
    ending: endingOf(row),
    steps: steps(row, clock),
    fields: [
      ...outcome(row, fn),
      ...link(row),
      { name: 'Function', value: functionFullName(fn) + (minor ? ` · ${minor}` : '') },
      ...(isControl ? [controlCodeField(row.code)] : []),
      ...(isStarted ? [...parameters(row), ...requestor(row)] : [START_LOST]),
      ...(row.end ? [endedIn(row, row.end)] : []),
      { name: 'Arrived', value: formatLocalTime(row.arrival, clock), mono: true },
      { name: 'Driver', value: row.driverName, ...(isStarted && { extra: `device ${row.deviceObject}` }) },
      ...(isStarted ? objects(row) : []),
      {
        name: 'Flags',
        value: FLAG_NAMES.flatMap(([bit, name]) => (row.flags & bit ? [name] : [])).join(', ') || 'none',
      },
    ],
  }
}

const START_LOST: DetailField = {
  name: 'Requestor',
  value: 'not known: the start was lost',
  tone: 'warning',
}

function requestor(row: Detail): DetailField[] {
  return [
    {
      name: 'Requestor',
      value: `${row.processName || 'process'} ${row.processId} / ${row.threadId}`,
      extra: `${row.requestorMode === 1 ? 'user' : 'kernel'} mode, IRQL ${row.irql}, CPU ${row.startProcessor}`,
    },
    ...(row.requestorProcessId !== 0 && row.requestorProcessId !== row.processId
      ? [{ name: 'On behalf of', value: `${row.requestorProcessName} ${row.requestorProcessId}` }]
      : []),
  ]
}

function objects(row: Detail): DetailField[] {
  return [
    ...(row.fastIo
      ? []
      : [{ name: 'IRP', value: row.irp, extra: `flags ${formatHex(row.irpFlags, 8)}`, mono: true }]),
    { name: 'File object', value: row.fileObject, mono: true },
  ]
}

/** A fast-I/O call that fell through, and the IRP that followed. */
function link({ continues, continuedBy }: Detail): DetailField[] {
  if (continuedBy !== null)
    return [{ name: 'Continued by', value: `the IRP in row ${formatCount(continuedBy)}`, row: continuedBy }]
  if (!continues) return []
  if (continues.row === null)
    return [{ name: 'Continues', value: 'a fast-I/O call that is not among the rows' }]
  return [
    {
      name: 'Continues',
      value: `a fast-I/O call in row ${formatCount(continues.row)}`,
      row: continues.row,
    },
  ]
}

function courseOf(row: Detail): DetailText['course'] {
  if (!row.end) return isEndLost(row) ? 'end-lost' : 'in-flight'
  return row.flags & RequestFlags.Pended ? 'pended' : 'at-once'
}

function endingOf(row: Detail): DetailText['ending'] {
  if (!row.end) return 'none'
  if (row.flags & RequestFlags.FellThrough) return 'refused'
  return statusSeverity(row.end.status) === 'error' ? 'failed' : 'done'
}

function withoutEnd(row: Detail): string {
  return isEndLost(row) ? 'end lost' : 'in flight'
}

function steps(row: Detail, clock: Clock): string[] {
  if (!row.end) return ['arrived', withoutEnd(row)]
  const took = formatDuration(ticksToNs(row.end.completion - row.arrival, clock.ticksPerSecond))
  const first = isStartLost(row) ? 'start lost' : 'arrived'
  if (row.flags & RequestFlags.FellThrough) return [first, `refused after ${took}`]
  const cpu = isStartLost(row) || row.end.processor === row.startProcessor ? '' : ', other CPU'
  return row.flags & RequestFlags.Pended
    ? [first, 'pended', `completed ${took}${cpu}`]
    : [first, `completed ${took}${cpu}`]
}

function outcome(row: Detail, fn: FunctionIndex): DetailField[] {
  if (!row.end) return [{ name: 'Status', value: withoutEnd(row), tone: 'warning' }]
  const { status, information } = row.end
  const severity = statusSeverity(status)
  const tone = severity === 'error' ? 'error' : severity === 'warning' ? 'warning' : 'ok'
  // It was asked, and did nothing: what it left there means nothing.
  if (row.flags & RequestFlags.FellThrough) return [{ name: 'Status', value: 'none: fell through to an IRP' }]
  return [
    { name: 'Status', value: statusName(status), extra: formatHex(status, 8), tone },
    {
      name: 'Information',
      value: informationIsBytes(fn) ? `${formatCount(Number(information))} bytes` : information,
    },
  ]
}

function controlCodeField(code: number): DetailField {
  const { parts, access } = describeControlCode(code)
  return { name: 'Code', value: parts, extra: access }
}

function parameters(row: Detail): DetailField[] {
  const lengths: DetailField = {
    name: 'Buffers',
    value: `in ${formatCount(row.inputLength)} · out ${formatCount(row.outputLength)} bytes`,
  }
  if (row.fastIo) return [lengths]
  if (row.major === Major.CREATE) return createFields(row)
  if (row.major === Major.READ || row.major === Major.WRITE)
    return [
      lengths,
      {
        name: 'Offset',
        value: formatCount(Number(row.byteOffset)),
        extra: formatHex(BigInt(row.byteOffset)),
      },
    ]
  return row.inputLength + row.outputLength > 0 ? [lengths] : []
}

const DISPOSITIONS = ['supersede', 'open', 'create', 'open or create', 'overwrite', 'overwrite or create']

/** CREATE packs its parameters into `code` and `byteOffset` (record.h). */
function createFields(row: Detail): DetailField[] {
  const packed = BigInt(row.byteOffset)
  const share = Number((packed >> 32n) & 7n)
  const shares = ['read', 'write', 'delete'].filter((_, bit) => share & (1 << bit))
  return [
    {
      name: 'Disposition',
      value: DISPOSITIONS[row.code >>> 24] ?? String(row.code >>> 24),
      extra: `options ${formatHex(row.code & 0xffffff, 6)}`,
    },
    {
      name: 'Access',
      value: formatHex(packed & 0xffffffffn, 8),
      extra: `share ${shares.join(', ') || 'nothing'}`,
      mono: true,
    },
  ]
}

function endedIn(row: Detail, end: NonNullable<Detail['end']>): DetailField {
  const same = !isStartLost(row) && end.processId === row.processId && end.threadId === row.threadId
  return {
    name: 'Completed in',
    value: same ? 'the same thread' : `${end.processName || 'process'} ${end.processId} / ${end.threadId}`,
    extra: `IRQL ${end.irql}, CPU ${end.processor}`,
  }
}
