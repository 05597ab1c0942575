// query.ts: ten million rows, and what people do with them: filter, sort, scroll. Ours beside plain objects, plain
// typed arrays and DuckDB, all holding the same requests and having to agree on the answers.
//
// DuckDB is asked for less than we have to give: it counts, or sorts into a table of its own, but keeps no bitmap that
// a live capture goes on growing.

import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import type { Capture } from '../../src/model/capture.ts'
import { Caller, Kind } from '../../src/model/chunk.ts'
import { type EntrySource, fieldNamed } from '../../src/model/fields.ts'
import type { View } from '../../src/model/view.ts'
import { type Figure, interleave, median, timed } from './figure.ts'
import { newCapture } from './ingest.ts'
import { type Columns, PlainObjects } from './plain-objects.ts'
import { advance, makeTraffic, PROCESSES, random, TICKS_PER_SECOND, type Traffic } from './traffic.ts'

const DEVICE_CONTROL = 14
const SLOW_TICKS = TICKS_PER_SECOND / 1000
const PID = PROCESSES[0]
const FILTER = `pid == ${PID} && major == DEVICE_CONTROL && latency > 1ms`
const PAGE = 100

export async function benchQuery(quick: boolean): Promise<Figure[]> {
  const rows = quick ? 1_000_000 : 10_000_000
  const traffic = makeTraffic(rows / 40, 0)
  const before = process.memoryUsage.rss()
  const capture = filled(traffic, rows)
  globalThis.gc?.()
  const resident = process.memoryUsage.rss() - before
  const columns = columnsOf(capture)
  const objects = new PlainObjects(columns)
  const duck = await duckOf(columns)
  const figures = [
    size(capture, resident),
    await filter(capture, columns, objects, duck, quick),
    await firstPage(capture, columns, duck, quick),
    await windows(capture, objects, duck),
    await sort(capture, columns, objects, duck, quick),
    ...turns(capture, traffic),
  ]
  duck.closeSync()
  await objects.close()
  for (const figure of figures) {
    figure.name = figure.name.replace('{rows}', `${rows / 1e6} M rows`)
    if (quick && figure.met !== null)
      figure.note = `${figure.note} (quick: fewer rows than the target's)`.trim()
  }
  return figures
}

// ---- The same requests, four times -----------------------------------------------------------------------------

function filled(traffic: Traffic, rows: number): Capture {
  const capture = newCapture(16 * 2 ** 30)
  while (capture.rowCount < rows) {
    advance(traffic)
    for (const batch of traffic.batches) capture.ingest(batch)
  }
  return capture
}

function columnsOf(capture: Capture): Columns {
  const rows = capture.rowCount
  const columns = {
    pid: new Uint32Array(new SharedArrayBuffer(4 * rows)),
    major: new Uint8Array(new SharedArrayBuffer(rows)),
    latency: new Float64Array(new SharedArrayBuffer(8 * rows)),
    code: new Uint32Array(new SharedArrayBuffer(4 * rows)),
  }
  const major = fieldNamed('major')?.source as EntrySource
  let to = 0
  for (const chunk of capture.chunks) {
    for (let row = 0; row < chunk.rows; row++, to++) {
      const kind = chunk.kind[row] * Kind.width
      columns.pid[to] = chunk.callers.entries[chunk.caller[row] * Caller.width + Caller.processId]
      columns.major[to] = Number(major.value(chunk.kinds.entries, kind, capture))
      columns.latency[to] = chunk.latencyOf(row)
      columns.code[to] = chunk.kinds.entries[kind + Kind.code]
    }
  }
  return columns
}

async function duckOf({ pid, major, latency, code }: Columns): Promise<DuckDBConnection> {
  const duck = await (await DuckDBInstance.create(':memory:')).connect()
  await duck.run(
    'CREATE TABLE requests (row UINTEGER, pid UINTEGER, major UTINYINT, latency DOUBLE, code UINTEGER)',
  )
  const appender = await duck.createAppender('requests')
  for (let row = 0; row < pid.length; row++) {
    appender.appendUInteger(row)
    appender.appendUInteger(pid[row])
    appender.appendUTinyInt(major[row])
    appender.appendDouble(latency[row])
    appender.appendUInteger(code[row])
    appender.endRow()
    if ((row & 0xfffff) === 0xfffff) appender.flushSync()
  }
  appender.closeSync()
  return duck
}

const WHERE = `pid = ${PID} AND major = ${DEVICE_CONTROL} AND latency > ${SLOW_TICKS}`

// ---- What is measured ------------------------------------------------------------------------------------------

function size(capture: Capture, resident: number): Figure {
  return {
    name: 'memory, {rows} without payload',
    unit: 'bytes/row',
    better: 'lower',
    ours: capture.storeBytes / capture.rowCount,
    yardsticks: [
      {
        name: 'by which this process grew',
        value: resident / capture.rowCount,
      },
    ],
    target: '≤ 36 bytes/row',
    met: capture.storeBytes / capture.rowCount <= 36,
    note: '',
  }
}

function complete(view: View): View {
  while (!view.complete) view.advance(() => true)
  return view
}

async function filter(
  capture: Capture,
  { pid, major, latency }: Columns,
  objects: PlainObjects,
  duck: DuckDBConnection,
  quick: boolean,
): Promise<Figure> {
  const found = new Set<number>()
  const bits = new Uint8Array(pid.length)
  const [ours, ...yardsticks] = await interleave(quick ? 3 : 7, [
    {
      name: 'ours',
      run: () => timed(() => found.add(complete(capture.view(FILTER, null)).shown)),
    },
    {
      name: 'plain typed arrays',
      run: () =>
        timed(() => {
          let count = 0
          for (let i = 0; i < bits.length; i++) {
            const passes = pid[i] === PID && major[i] === DEVICE_CONTROL && latency[i] > SLOW_TICKS ? 1 : 0
            bits[i] = passes
            count += passes
          }
          found.add(count)
        }),
    },
    {
      name: 'plain objects',
      run: async () => {
        const condition = { pid: PID, major: DEVICE_CONTROL, latency: SLOW_TICKS }
        const { ms, found: count } = await objects.filter(condition)
        found.add(count)
        return ms
      },
    },
    {
      name: 'DuckDB, counting',
      run: async () => {
        const begin = performance.now()
        const [[count]] = await rowsOf(duck, `SELECT count(*)::INTEGER FROM requests WHERE ${WHERE}`)
        const elapsed = performance.now() - begin
        found.add(Number(count))
        return elapsed
      },
    },
  ])
  if (found.size !== 1) throw new Error(`The filters do not agree: ${[...found].join(', ')} rows`)
  return {
    name: `filter {rows}: ${FILTER}`,
    unit: 'ms',
    better: 'lower',
    ours: ours.value,
    yardsticks,
    target: '≤ 5 ms',
    met: ours.value <= 5,
    note: `${[...found][0]} rows pass`,
  }
}

async function rowsOf(duck: DuckDBConnection, sql: string) {
  return (await duck.runAndReadAll(sql)).getRows()
}

async function firstPage(
  capture: Capture,
  { pid, major, latency }: Columns,
  duck: DuckDBConnection,
  quick: boolean,
): Promise<Figure> {
  const [ours, ...yardsticks] = await interleave(quick ? 3 : 7, [
    {
      name: 'ours',
      run: () =>
        timed(() => {
          const view = capture.view(FILTER, null)
          while (!view.complete && view.shown < PAGE) view.advance(() => true)
          view.writeWindow(0, PAGE)
        }),
    },
    {
      name: 'plain typed arrays, stopping at the hundredth',
      run: () =>
        timed(() => {
          for (let i = 0, count = 0; i < pid.length && count < PAGE; i++) {
            if (pid[i] === PID && major[i] === DEVICE_CONTROL && latency[i] > SLOW_TICKS) count++
          }
        }),
    },
    {
      name: 'DuckDB, LIMIT 100',
      run: async () => {
        const begin = performance.now()
        await rowsOf(duck, `SELECT * FROM requests WHERE ${WHERE} LIMIT ${PAGE}`)
        return performance.now() - begin
      },
    },
  ])
  return {
    name: 'first page of a new filter, {rows}',
    unit: 'ms',
    better: 'lower',
    ours: ours.value,
    yardsticks,
    target: '≤ 50 ms on the screen',
    met: ours.value <= 50,
    note: '',
  }
}

async function windows(capture: Capture, objects: PlainObjects, duck: DuckDBConnection): Promise<Figure> {
  const view = complete(capture.view(FILTER, null))
  const next = random(7)
  const places = Array.from({ length: 500 }, () => next() % Math.max(1, view.shown - PAGE))
  const ours = places.map((first) => timed(() => view.writeWindow(first, PAGE)))
  const plain = await objects.windows(places, PAGE)
  const queried: number[] = []
  for (const first of places.slice(0, 20)) {
    const begin = performance.now()
    await rowsOf(duck, `SELECT * FROM requests WHERE ${WHERE} LIMIT ${PAGE} OFFSET ${first}`)
    queried.push(performance.now() - begin)
  }
  ours.sort((a, b) => a - b)
  return {
    name: 'window of 100 rows somewhere in a filtered view, {rows}',
    unit: 'ms',
    better: 'lower',
    ours: median(ours),
    yardsticks: [
      { name: 'plain objects to JSON, unfiltered', value: plain.ms },
      { name: 'DuckDB, LIMIT and OFFSET', value: median(queried) },
    ],
    target: '≤ 1 ms',
    met: median(ours) <= 1,
    note: `one in a hundred takes ${ours[Math.floor(ours.length * 0.99)].toFixed(2)} ms or more`,
  }
}

async function sort(
  capture: Capture,
  { latency }: Columns,
  objects: PlainObjects,
  duck: DuckDBConnection,
  quick: boolean,
): Promise<Figure> {
  const packed = new Float64Array(latency.length)
  const [ours, ...yardsticks] = await interleave(quick ? 2 : 3, [
    {
      name: 'ours',
      run: () => timed(() => complete(capture.view('', { field: 'latency', descending: false }))),
    },
    {
      name: 'plain typed arrays: value and row in one double, Float64Array.sort',
      run: () =>
        timed(() => {
          for (let i = 0; i < packed.length; i++) packed[i] = latency[i] * 2 ** 24 + i
          packed.sort()
        }),
    },
    {
      name: 'plain objects, sort by a comparator',
      run: async () => (await objects.sort()).ms,
    },
    {
      name: 'DuckDB, into a table',
      run: async () => {
        const begin = performance.now()
        await duck.run(
          'CREATE OR REPLACE TEMP TABLE sorted AS SELECT row FROM requests ORDER BY latency, row',
        )
        return performance.now() - begin
      },
    },
  ])
  return {
    name: 'sort {rows} by latency',
    unit: 'ms',
    better: 'lower',
    ours: ours.value,
    yardsticks,
    target: '≤ 250 ms',
    met: ours.value <= 250,
    note: '',
  }
}

/** How long a view keeps the thread from taking in records: per piece of work, and per batch once it is there. */
function turns(capture: Capture, traffic: Traffic): Figure[] {
  const figures: Figure[] = []
  const cases = [
    { what: 'a new filter', view: capture.view(FILTER, null) },
    {
      what: 'a new order',
      view: capture.view('', { field: 'latency', descending: false }),
    },
  ]
  for (const { what, view } of cases) {
    let longest = 0
    while (!view.complete)
      longest = Math.max(
        longest,
        timed(() => view.advance(() => true)),
      )
    figures.push(turn(`longest turn of ${what}, {rows}`, longest))
  }
  advance(traffic)
  const kept: number[][] = cases.map(() => [])
  for (const batch of traffic.batches.slice(0, 8)) {
    capture.ingest(batch)
    for (const [i, { view }] of cases.entries()) kept[i].push(timed(() => complete(view)))
  }
  figures.push(turn('a batch of records into a filtered view, {rows}', median(kept[0])))
  figures.push(turn('a batch of records into a sorted view, {rows}', median(kept[1])))
  return figures
}

function turn(name: string, ms: number): Figure {
  return {
    name,
    unit: 'ms',
    better: 'lower',
    ours: ms,
    yardsticks: [],
    target: '≤ 5 ms',
    met: ms <= 5,
    note: '',
  }
}
