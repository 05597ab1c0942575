// fields.ts: what a row can be asked for: one table that drives the filter language and its completion, sorting, and
// the columns of every export.
//
// A field says where its values are: in an entry of one of a chunk's dictionaries (then a filter looks at each
// distinct value once), in a column of numbers, or in the payload. Absent values (the status of a request in
// flight, the caller where the start was lost) are null, or NaN in a column; no comparison holds for them.

import { carriesControlCode, functionMajors, isFastIo, minorName } from '../formats/irp-names.ts'
import { isError } from '../formats/ntstatus.ts'
import type { FunctionIndex } from '../protocol/ids.ts'
import { RequestFlags } from '../protocol/layout.ts'
import { RowState } from '../protocol/wire.ts'
import type { Capture } from './capture.ts'
import {
  Caller,
  type Chunk,
  ChunkState,
  Extra,
  Irp,
  Kind,
  Outcome,
  Place,
  START_MISSING,
  WIDE,
} from './chunk.ts'
import { LARGE, type QuantityColumn } from './column.ts'

export type FieldType =
  | 'integer'
  | 'size' // bytes
  | 'duration' // ticks
  | 'instant' // ticks
  | 'address' // 64 bits
  | 'code' // IOCTL or FSCTL
  | 'status'
  | 'function' // FunctionIndex
  | 'major'
  | 'state' // RowState
  | 'flag'
  | 'text'
  | 'bytes'

export type Value = number | bigint | string | boolean | null

/** Dictionaries of a chunk, and the column of codes into each. */
export const ENTRIES = {
  kind: 'kinds',
  caller: 'callers',
  place: 'places',
  irp: 'irps',
  outcome: 'outcomes',
} as const

/** Entry values that need no more than the words of the entry and the capture's names. */
export interface EntrySource {
  in: keyof typeof ENTRIES
  value(words: Uint32Array, at: number, capture: Capture): Value
  /** What all entries of a chunk say, if that is known without a look at each. */
  ofAll?(chunk: Chunk): Value | undefined
}

/** A column as it lies in memory: a cell up to `top` stands for `offset + cell`. */
export interface Narrow {
  cells: Uint16Array | Uint32Array
  offset: number
  top: number
  /** Cell `top + 1 + code` stands for this value: two words, low and high. Other cells above `top`: absent. */
  large?: { readonly size: number; readonly entries: Uint32Array }
}

export interface ColumnSource {
  in: 'column'
  /** Writes the values of `count` rows from `first` on; NaN = absent. */
  fill(chunk: Chunk, first: number, count: number, out: Float64Array): void
  /** The value itself where a double may not hold it. */
  exact?(chunk: Chunk, row: number): bigint | number

  // What a filter may use instead, so as not to look at each row's value.

  /** No value in the chunk is less or more; `anyAbsent`: some may be absent. */
  extremes?(chunk: Chunk): { least: number; most: number; anyAbsent: boolean }
  /** The cells that hold the values; null where this chunk's do not tell all. */
  narrow?(chunk: Chunk): Narrow | null
  /** The value is that of the former or, where that is null, that of the latter. */
  either?: readonly [former: EntrySource, latter: EntrySource]
}

export interface PayloadSource {
  in: 'payload'
  extra: number
}

export interface Field {
  name: string
  type: FieldType
  /** One line for people. */
  doc: string
  source: EntrySource | ColumnSource | PayloadSource
  /** The value is absent, whatever the source says, unless this is true. */
  present?: EntrySource
}

/** Of what only a start tells. */
const STARTED: EntrySource = {
  in: 'kind',
  value: (words, at) => !isStartMissing(words, at),
  ofAll: (chunk) => (chunk.startsMissing ? undefined : true),
}

/** A column that is read value by value. */
function column(read: (chunk: Chunk, row: number) => number): ColumnSource {
  return {
    in: 'column',
    fill(chunk, first, count, out) {
      for (let i = 0; i < count; i++) out[i] = read(chunk, first + i)
    },
  }
}

function quantity(pick: (chunk: Chunk) => QuantityColumn): ColumnSource {
  return {
    in: 'column',
    fill: (chunk, first, count, out) => pick(chunk).fill(first, count, out),
    narrow(chunk) {
      const { cells, large } = pick(chunk)
      return { cells, offset: 0, top: LARGE - 1, large }
    },
  }
}

function wideWords(words: Uint32Array, at: number): bigint {
  return (BigInt(words[at + 1]) << 32n) | BigInt(words[at])
}

function callOf(words: Uint32Array, at: number): FunctionIndex {
  return (words[at + Kind.call] & 0xff) as FunctionIndex
}

function minorOf(words: Uint32Array, at: number): number {
  return (words[at + Kind.call] >>> 8) & 0xff
}

function isStartMissing(words: Uint32Array, at: number): boolean {
  return (words[at + Kind.call] & START_MISSING) !== 0
}

function startFlag(flag: number): EntrySource {
  return { in: 'kind', value: (words, at) => (words[at + Kind.flags] & flag) !== 0 }
}

function hasEnded(words: Uint32Array, at: number): boolean {
  return words[at + Outcome.state] === RowState.Done || words[at + Outcome.state] === RowState.Unseen
}

/** What a fast-I/O routine said in a status block is no answer where it fell through. */
function hasStatus(words: Uint32Array, at: number): boolean {
  return hasEnded(words, at) && (words[at + Outcome.flags] & RequestFlags.FellThrough) === 0
}

function endFlag(flag: number): EntrySource {
  return {
    in: 'outcome',
    value: (words, at) => (hasEnded(words, at) ? (words[at + Outcome.flags] & flag) !== 0 : null),
  }
}

/** Set at either side: the start speaks of the input, the end of the output. */
function eitherFlag(flag: number): ColumnSource {
  return {
    ...column((chunk, row) => ((rowFlags(chunk, row) & flag) === 0 ? 0 : 1)),
    either: [
      { in: 'kind', value: (words, at) => (words[at + Kind.flags] & flag) !== 0 || null },
      { in: 'outcome', value: (words, at) => (words[at + Outcome.flags] & flag) !== 0 },
    ],
  }
}

/** RequestFlags of start and end together. */
export function rowFlags(chunk: Chunk, row: number): number {
  return (
    (chunk.kinds.entries[chunk.kind[row] * Kind.width + Kind.flags] |
      chunk.outcomes.entries[chunk.outcome[row] * Outcome.width + Outcome.flags]) >>>
    0
  )
}

export const fields: readonly Field[] = [
  {
    name: 'row',
    type: 'integer',
    doc: 'Number of the row since the capture began',
    source: {
      ...column((chunk, row) => chunk.first + row),
      extremes: (chunk) => ({ least: chunk.first, most: chunk.first + chunk.rows - 1, anyAbsent: false }),
    },
  },
  {
    name: 'time',
    type: 'instant',
    doc: 'When the request arrived, UTC: time > "2026-11-22T14:00:00"',
    source: {
      ...column((chunk, row) => chunk.arrival(row)),
      extremes: ({ state }) => ({
        least: state[ChunkState.minArrival],
        most: state[ChunkState.maxArrival],
        anyAbsent: false,
      }),
      narrow({ state, arrivalLow }) {
        if (state[ChunkState.spread] !== 0) return null
        return { cells: arrivalLow, offset: state[ChunkState.base], top: 0xffffffff }
      },
    },
  },
  {
    name: 'driver',
    type: 'text',
    doc: 'Object name of the hooked driver, such as \\Driver\\AFD',
    source: {
      in: 'kind',
      value: (words, at, capture) => capture.drivers.get(words[at + Kind.driver] as never) ?? '',
    },
  },
  {
    name: 'process',
    type: 'text',
    doc: 'Image name of the process that was running when the request arrived',
    source: { in: 'caller', value: (words, at, capture) => capture.processNames[words[at + Caller.process]] },
    present: STARTED,
  },
  {
    name: 'pid',
    type: 'integer',
    doc: 'Process that was running when the request arrived',
    source: { in: 'caller', value: (words, at) => words[at + Caller.processId] },
    present: STARTED,
  },
  {
    name: 'tid',
    type: 'integer',
    doc: 'Thread that was running when the request arrived',
    source: { in: 'caller', value: (words, at) => words[at + Caller.threadId] },
    present: STARTED,
  },
  {
    name: 'requestor',
    type: 'integer',
    doc: 'Process id of the thread that the IRP belongs to; 0 = not known',
    source: { in: 'caller', value: (words, at) => words[at + Caller.requestor] },
    present: STARTED,
  },
  {
    name: 'function',
    type: 'function',
    doc: 'Major function or fast-I/O routine: IRP_MJ_READ, FAST_IO_DEVICE_CONTROL',
    source: { in: 'kind', value: (words, at) => callOf(words, at) },
  },
  {
    name: 'major',
    type: 'major',
    doc: 'Major function; a fast-I/O call counts as the one that it stands for',
    source: { in: 'kind', value: (words, at) => functionMajors[callOf(words, at)] ?? null },
  },
  {
    name: 'minor',
    type: 'text',
    doc: 'Minor function by name, such as QUERY_ID',
    source: {
      in: 'kind',
      value: (words, at) => minorName(callOf(words, at), minorOf(words, at)),
    },
  },
  {
    name: 'fastio',
    type: 'flag',
    doc: 'The request was a fast-I/O call',
    source: { in: 'kind', value: (words, at) => isFastIo(callOf(words, at)) },
  },
  {
    name: 'ioctl',
    type: 'code',
    doc: 'I/O or file-system control code, by number or name: IOCTL_AFD_RECV',
    source: {
      in: 'kind',
      value: (words, at) =>
        carriesControlCode(callOf(words, at), minorOf(words, at)) ? words[at + Kind.code] : null,
    },
    present: STARTED,
  },
  {
    name: 'detail',
    type: 'text',
    doc: 'File name of a CREATE',
    source: { in: 'kind', value: (words, at, capture) => capture.details.get(words[at + Kind.detail]) ?? '' },
    present: STARTED,
  },
  {
    name: 'state',
    type: 'state',
    doc: 'in_flight, done, unseen (returned without a completion that could be seen), end_lost or start_lost',
    source: {
      ...column((chunk, row) => chunk.stateOf(row)),
      either: [
        {
          in: 'kind',
          value: (words, at) => (isStartMissing(words, at) ? RowState.StartLost : null),
        },
        { in: 'outcome', value: (words, at) => words[at + Outcome.state] },
      ],
    },
  },
  {
    name: 'status',
    type: 'status',
    doc: 'NTSTATUS, by number or name: STATUS_CANCELLED; a fast-I/O call that fell through has none',
    source: {
      in: 'outcome',
      value: (words, at) => (hasStatus(words, at) ? words[at + Outcome.status] : null),
    },
  },
  {
    name: 'error',
    type: 'flag',
    doc: 'The status is an error (0xC…)',
    source: {
      in: 'outcome',
      value: (words, at) => (hasStatus(words, at) ? isError(words[at + Outcome.status]) : null),
    },
  },
  {
    name: 'latency',
    type: 'duration',
    doc: 'From arrival to completion: latency > 1ms',
    source: {
      in: 'column',
      fill(chunk, first, count, out) {
        const { latency } = chunk
        for (let i = 0; i < count; i++) {
          const ticks = latency[first + i]
          out[i] = ticks === WIDE ? chunk.latencyOf(first + i) : ticks
        }
      },
      extremes: ({ state }) => ({
        least: state[ChunkState.minLatency],
        most: state[ChunkState.maxLatency],
        anyAbsent: true,
      }),
      narrow: ({ latency, wideLatency }) =>
        wideLatency.size > 0 ? null : { cells: latency, offset: 0, top: WIDE - 1 },
    },
  },
  {
    name: 'information',
    type: 'integer',
    doc: 'IoStatus.Information: usually the bytes moved',
    source: {
      ...quantity((chunk) => chunk.information),
      exact: (chunk, row) => chunk.information.exact(row),
    },
    present: { in: 'outcome', value: hasStatus },
  },
  {
    name: 'input_length',
    type: 'size',
    doc: 'Bytes offered: length of the input buffer, or of a WRITE',
    source: quantity((chunk) => chunk.inputLength),
    present: STARTED,
  },
  {
    name: 'output_length',
    type: 'size',
    doc: 'Bytes asked for: length of the output buffer, or of a READ',
    source: quantity((chunk) => chunk.outputLength),
    present: STARTED,
  },
  {
    name: 'offset',
    type: 'integer',
    doc: 'READ and WRITE: byte offset; CREATE: desired access, and share access from bit 32 on',
    source: {
      ...column((chunk, row) => Number(chunk.offset(row))),
      exact: (chunk, row) => chunk.offset(row),
    },
    present: STARTED,
  },
  {
    name: 'input',
    type: 'bytes',
    doc: 'Captured input: input contains de:ad:be:ef, input contains "GET /"',
    source: { in: 'payload', extra: Extra.input },
  },
  {
    name: 'output',
    type: 'bytes',
    doc: 'Captured output',
    source: { in: 'payload', extra: Extra.output },
  },
  {
    name: 'irp',
    type: 'address',
    doc: 'Address of the IRP; recurs. 0 for fast I/O',
    source: { in: 'irp', value: (words, at) => wideWords(words, at + Irp.low) },
    present: STARTED,
  },
  {
    name: 'device',
    type: 'address',
    doc: 'Address of the device object',
    source: { in: 'place', value: (words, at) => wideWords(words, at + Place.deviceLow) },
    present: STARTED,
  },
  {
    name: 'file',
    type: 'address',
    doc: 'Address of the file object; 0 = none',
    source: { in: 'place', value: (words, at) => wideWords(words, at + Place.fileLow) },
    present: STARTED,
  },
  {
    name: 'code',
    type: 'integer',
    doc: 'Control code, or the options of a CREATE (disposition in the top byte), as a number',
    source: { in: 'kind', value: (words, at) => words[at + Kind.code] },
    present: STARTED,
  },
  {
    name: 'processor',
    type: 'integer',
    doc: 'Processor on which the request arrived',
    source: { in: 'caller', value: (words, at) => words[at + Caller.processor] & 0xffff },
    present: STARTED,
  },
  {
    name: 'irql',
    type: 'integer',
    doc: 'IRQL at which the request arrived',
    source: { in: 'caller', value: (words, at) => words[at + Caller.processor] >>> 16 },
    present: STARTED,
  },
  {
    name: 'pended',
    type: 'flag',
    doc: 'The driver returned STATUS_PENDING',
    source: endFlag(RequestFlags.Pended),
  },
  {
    name: 'cancelled',
    type: 'flag',
    doc: 'Somebody asked for the request to be cancelled',
    source: endFlag(RequestFlags.Cancelled),
  },
  {
    name: 'fellthrough',
    type: 'flag',
    doc: 'A fast-I/O call that was refused: an IRP follows',
    source: endFlag(RequestFlags.FellThrough),
  },
  {
    name: 'continues',
    type: 'flag',
    doc: 'An IRP that follows a fast-I/O call that fell through, where that is certain',
    source: startFlag(RequestFlags.Continues),
    present: STARTED,
  },
  {
    name: 'synchronous',
    type: 'flag',
    doc: 'Made for a synchronous call or on a synchronous handle',
    source: startFlag(RequestFlags.Synchronous),
    present: STARTED,
  },
  {
    name: 'paging',
    type: 'flag',
    doc: 'Paging I/O',
    source: startFlag(RequestFlags.Paging),
    present: STARTED,
  },
  {
    name: 'usermode',
    type: 'flag',
    doc: 'The request came from user mode',
    source: { in: 'kind', value: (words, at) => ((words[at + Kind.call] >>> 24) & 1) === 1 },
    present: STARTED,
  },
  {
    name: 'truncated',
    type: 'flag',
    doc: 'More bytes were there than were kept',
    source: eitherFlag(RequestFlags.PayloadTruncated),
  },
  {
    name: 'missed',
    type: 'flag',
    doc: 'Bytes were there that could not be read',
    source: eitherFlag(RequestFlags.PayloadMissed),
  },
  {
    name: 'id',
    type: 'integer',
    doc: 'Request id: unique in one load of the driver',
    source: column((chunk, row) => chunk.requestId(row)),
  },
]

const byName = new Map(fields.map((field) => [field.name, field]))

export function fieldNamed(name: string): Field | undefined {
  return byName.get(name.toLowerCase())
}

/** Names of RowState as the filter language and exports write them, by number. */
export const STATE_NAMES = ['in_flight', 'done', 'unseen', 'end_lost', 'start_lost'] as const
