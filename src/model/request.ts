// request.ts: one row while one looks at it: its fields by name, as values, as text, and as everything at once.

import { hexText, toBase64 } from '../formats/hex.ts'
import { describeIoctl } from '../formats/ioctl.ts'
import { functionFullName, isFastIo, majorName } from '../formats/irp-names.ts'
import { statusName } from '../formats/ntstatus.ts'
import { formatDuration, formatHex, formatTimestamp, ticksToNs } from '../formats/values.ts'
import type { DriverId, FunctionIndex, RowId, Ticks } from '../protocol/ids.ts'
import { MAJOR_FUNCTION_COUNT, RequestFlags } from '../protocol/layout.ts'
import { type Payload, type RowDetail, RowState } from '../protocol/wire.ts'
import type { Capture } from './capture.ts'
import { Caller, type Chunk, Extra, Kind, Outcome } from './chunk.ts'
import {
  ENTRIES,
  type EntrySource,
  type Field,
  fieldNamed,
  rowFlags,
  STATE_NAMES,
  type Value,
} from './fields.ts'

const one = new Float64Array(1)

export class Request {
  constructor(
    readonly capture: Capture,
    readonly chunk: Chunk,
    /** Row within the chunk. */
    public at: number,
  ) {}

  get row(): RowId {
    return (this.chunk.first + this.at) as RowId
  }

  /** null = absent. Durations and instants are in ticks, payload is hexadecimal text. */
  value(of: Field | string): Value {
    const field = typeof of === 'string' ? fieldNamed(of) : of
    if (!field) throw new RangeError(`there is no field ${String(of)}`)
    const { chunk, at } = this
    const { source, present } = field
    if (present && this.#entryValue(present) !== true) return null
    if (source.in === 'payload') {
      const payload = chunk.payload(at, source.extra)
      return payload ? hexText(payload.bytes) : null
    }
    if (source.in === 'column') {
      source.fill(chunk, at, 1, one)
      if (Number.isNaN(one[0])) return null
      if (field.type === 'flag') return one[0] !== 0
      return source.exact ? source.exact(chunk, at) : one[0]
    }
    return this.#entryValue(source)
  }

  #entryValue(source: EntrySource): Value {
    const { entries, width } = this.chunk[ENTRIES[source.in]]
    return source.value(entries, this.chunk[source.in][this.at] * width, this.capture)
  }

  /** As a person reads it: `1.25 ms`, `IOCTL_AFD_RECV`, `STATUS_SUCCESS`; '' if absent. */
  text(of: Field | string): string {
    const field = typeof of === 'string' ? fieldNamed(of) : of
    const value = this.value(of)
    if (!field || value === null) return ''
    if (field.type === 'duration') {
      return formatDuration(ticksToNs(Number(value), this.capture.options.ticksPerSecond))
    }
    return named(field, value, this.capture)
  }

  /** As an export carries it: quantities as exact numbers (durations in ns), the rest as `text`. */
  cell(field: Field): string | number | boolean | null {
    const value = this.value(field)
    if (value === null || typeof value === 'boolean') return value
    if (field.type === 'duration') return ticksToNs(Number(value), this.capture.options.ticksPerSecond)
    if (field.type === 'integer' || field.type === 'size') {
      return typeof value === 'bigint' && value > Number.MAX_SAFE_INTEGER ? value.toString() : Number(value)
    }
    return named(field, value, this.capture)
  }

  detail(): RowDetail {
    const { chunk, at, capture } = this
    const kind = chunk.kinds.entries
    const kindAt = chunk.kind[at] * Kind.width
    const caller = chunk.callers.entries
    const callerAt = chunk.caller[at] * Caller.width
    const call = kind[kindAt + Kind.call]
    const fn = (call & 0xff) as FunctionIndex
    const driverId = kind[kindAt + Kind.driver] as DriverId
    const arrival = chunk.arrival(at) as Ticks
    const requestor = caller[callerAt + Caller.requestor]
    return {
      row: this.row,
      requestId: chunk.requestId(at),
      irp: this.text('irp'),
      deviceObject: this.text('device'),
      fileObject: this.text('file'),
      driverId,
      driverName: capture.driverName(driverId),
      processId: caller[callerAt + Caller.processId],
      threadId: caller[callerAt + Caller.threadId],
      requestorProcessId: requestor,
      processName: capture.processNames[caller[callerAt + Caller.process]],
      requestorProcessName: requestor === 0 ? '' : capture.processes.nameAt(requestor, arrival),
      major: isFastIo(fn) ? fn - MAJOR_FUNCTION_COUNT : fn,
      minor: (call >>> 8) & 0xff,
      fastIo: isFastIo(fn),
      requestorMode: (call >>> 24) & 1,
      irql: caller[callerAt + Caller.processor] >>> 16,
      startProcessor: caller[callerAt + Caller.processor] & 0xffff,
      flags: rowFlags(chunk, at),
      irpFlags: kind[kindAt + Kind.irpFlags],
      code: kind[kindAt + Kind.code],
      inputLength: chunk.inputLength.get(at),
      outputLength: chunk.outputLength.get(at),
      byteOffset: chunk.offset(at).toString(),
      continues: this.#continues(),
      continuedBy: this.#continuedBy(),
      arrival,
      end: this.#end(arrival),
      input: this.#payload(Extra.input, kind[kindAt + Kind.flags]),
      output: this.#payload(
        Extra.output,
        chunk.outcomes.entries[chunk.outcome[at] * Outcome.width + Outcome.flags],
      ),
    }
  }

  /** The row of the fast-I/O call that this IRP continues: the last one before it, of the same thread, with that id. */
  #continues(): RowDetail['continues'] {
    const { chunk, at, capture } = this
    const idLow = chunk.continues(at)
    if (idLow === 0) return null
    for (let i = capture.chunks.indexOf(chunk); i >= 0; i--) {
      const other = capture.chunks[i]
      for (let to = other === chunk ? at : other.rows; to > 0; ) {
        to = other.idLow.lastIndexOf(idLow, to - 1)
        if (to < 0) break
        if (sameThread(chunk, at, other, to)) return { row: (other.first + to) as RowId }
      }
    }
    return { row: null }
  }

  /** The row of the IRP that continues this fast-I/O call, if it fell through; it comes soon or not at all. */
  #continuedBy(): RowDetail['continuedBy'] {
    const { chunk, at, capture } = this
    if (!chunk.fellThrough(at)) return null
    const idLow = chunk.idLow[at]
    const from = capture.chunks.indexOf(chunk)
    for (const other of capture.chunks.slice(from, from + 2)) {
      for (let to = other === chunk ? at + 1 : 0; to < other.rows; to++) {
        if (other.extra[to] === 0 || other.continues(to) !== idLow) continue
        if (sameThread(chunk, at, other, to)) return (other.first + to) as RowId
      }
    }
    return null
  }

  #end(arrival: number): RowDetail['end'] {
    const { chunk, at, capture } = this
    const words = chunk.outcomes.entries
    const from = chunk.outcome[at] * Outcome.width
    const state = words[from + Outcome.state]
    if (state !== RowState.Done && state !== RowState.Unseen) return null
    const completion = (arrival + chunk.latencyOf(at)) as Ticks
    const processId = words[from + Outcome.processId]
    return {
      completion,
      status: words[from + Outcome.status],
      information: chunk.information.exact(at).toString(),
      irql: words[from + Outcome.processor] >>> 16,
      processor: words[from + Outcome.processor] & 0xffff,
      processId,
      threadId: words[from + Outcome.threadId],
      processName: capture.processes.nameAt(processId, completion),
    }
  }

  #payload(extra: number, flags: number): Payload {
    const payload = this.chunk.payload(this.at, extra)
    return {
      base64: payload ? toBase64(payload.bytes) : '',
      total: payload?.total ?? 0,
      isName: (flags & RequestFlags.PayloadIsName) !== 0 && extra === Extra.input,
      missed:
        (flags & RequestFlags.PayloadMissed) === 0
          ? null
          : (flags & RequestFlags.PayloadBeyondReach) === 0
            ? 'unreadable'
            : 'beyond-reach',
    }
  }
}

/** A row without its start knows only where it ended: for a fast-I/O call that is the same thread. */
function sameThread(chunk: Chunk, at: number, other: Chunk, to: number): boolean {
  return threadOf(chunk, at) === threadOf(other, to)
}

function threadOf(chunk: Chunk, at: number): number {
  const arrivedIn = chunk.callers.entries[chunk.caller[at] * Caller.width + Caller.threadId]
  return arrivedIn || chunk.outcomes.entries[chunk.outcome[at] * Outcome.width + Outcome.threadId]
}

/** A value that is a number to the machine and a name to people. */
function named(field: Field, value: number | bigint | string | boolean, capture: Capture): string {
  switch (field.type) {
    case 'instant':
      return formatTimestamp(Number(value), capture.options)
    case 'address':
      return formatHex(value as bigint, 16)
    case 'code':
      return describeIoctl(Number(value))
    case 'status':
      return statusName(Number(value))
    case 'function':
      return functionFullName(Number(value) as FunctionIndex)
    case 'major':
      return majorName(Number(value))
    case 'state':
      return STATE_NAMES[Number(value)]
    default:
      return String(value)
  }
}
