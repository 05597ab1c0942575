// truth.ts: what a caller wrote down (caller/truth.h) and the rows of a capture, in one form, so that they can be held
// against each other.

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { functionFullName, functionIndex } from '../../src/formats/irp-names.ts'
import { statusName } from '../../src/formats/ntstatus.ts'

/** One request. Bytes are hexadecimal. */
export interface Request {
  driver: string
  function: string
  /** The control code; 0 for other functions. */
  code: number
  input: string
  outputLength: number
  status: string
  /** Null: it had not ended. */
  information: number | null
  output: string
  pended: boolean
  cancelled: boolean
}

/** Requests of one thread, in the order in which it issued them. */
export type Threads = Map<number, Request[]>

export interface Truth {
  process: number
  threads: Threads
  /** By API of the system: its answers, one after the other. */
  answers: Map<string, string[]>
}

/** How many bytes of each input and output a capture keeps. */
export interface SnapLengths {
  input: number
  output: number
}

export function readTruth(file: string, snap: SnapLengths): Truth {
  const [head, ...lines] = readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  const answers = groupBy(
    lines.filter((line) => 'api' in line),
    (line) => line.api as string,
  )
  const issued = lines.filter((line) => 'order' in line).toSorted((a, b) => a.order - b.order)
  return {
    process: head.process,
    threads: byThread(
      issued,
      ({ thread }) => thread,
      (line) => ({
        driver: line.driver,
        function: functionFullName(functionIndex(line.major, 0)),
        code: line.code,
        input: line.input.slice(0, 2 * snap.input),
        outputLength: line.outputLength,
        status: line.status === null ? 'in_flight' : statusName(line.status),
        information: line.status === null ? null : line.information,
        output: line.output.slice(0, 2 * snap.output),
        pended: line.pended,
        cancelled: line.cancelled,
      }),
    ),
    answers: new Map([...answers].map(([api, each]) => [api, each.map(({ answer }) => answer)])),
  }
}

/** A line of `drivermon show --format jsonl`, as far as it is looked at here. */
export interface Row {
  row: number
  state: string
  driver: string
  process: string
  pid: number
  tid: number
  function: string
  code: number
  input: string | null
  output: string | null
  output_length: number
  status: string | null
  information: number | null
  pended: boolean | null
  cancelled: boolean | null
  file: string
  irp: string
  latency_ns: number
}

/** What the command line shows of a capture file. */
export function showRows(drivermon: string, file: string): Row[] {
  const show = spawnSync(process.execPath, [drivermon, 'show', file, '--format', 'jsonl'], {
    encoding: 'utf8',
    maxBuffer: 1 << 30,
  })
  if (show.status !== 0) throw new Error(`show: ${show.stderr}`)
  return show.stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}

export function requestsOf(rows: Row[]): Threads {
  return byThread(
    rows,
    ({ tid }) => tid,
    (row) => ({
      driver: row.driver,
      function: row.function,
      // The options of a CREATE are the system's affair.
      code: row.function === 'IRP_MJ_DEVICE_CONTROL' ? row.code : 0,
      input: row.input ?? '',
      outputLength: row.output_length,
      status: row.status ?? row.state,
      information: row.information,
      output: row.output ?? '',
      pended: row.pended ?? false,
      cancelled: row.cancelled ?? false,
    }),
  )
}

function byThread<T>(items: T[], thread: (item: T) => number, request: (item: T) => Request): Threads {
  return new Map([...groupBy(items, thread)].map(([id, each]) => [id, each.map(request)]))
}

function groupBy<T, Key>(items: T[], key: (item: T) => Key): Map<Key, T[]> {
  const groups = new Map<Key, T[]>()
  for (const item of items) {
    const group = groups.get(key(item))
    if (group) group.push(item)
    else groups.set(key(item), [item])
  }
  return groups
}
