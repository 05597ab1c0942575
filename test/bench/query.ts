// query.ts: ten million rows, and what people do with them: filter, sort, scroll. Ours beside plain objects, plain
// typed arrays and DuckDB, all holding the same requests and having to agree on the answers.
//
// DuckDB is asked for less than we have to give: it counts, or sorts into a table of its own, but keeps no bitmap that
// a live capture goes on growing. With more rows than it and the objects have room for (--rows) both stay away.

import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { loadBinding } from '../../addon/load.ts'
import type { Capture } from '../../src/model/capture.ts'
import { Caller, Kind } from '../../src/model/chunk.ts'
import { type EntrySource, fieldNamed } from '../../src/model/fields.ts'
import { type Loops, portableLoops } from '../../src/model/loops.ts'
import type { View } from '../../src/model/view.ts'
import type { RowId } from '../../src/protocol/ids.ts'
import { ROW_BYTES, WINDOW_HEADER_BYTES } from '../../src/protocol/wire.ts'
import { type Contestant, type Figure, interleave, median, timed } from './figure.ts'
import { newCapture } from './ingest.ts'
import { type Columns, PlainObjects } from './plain-objects.ts'
import { advance, makeTraffic, PROCESSES, random, TICKS_PER_SECOND, type Traffic } from './traffic.ts'

const DEVICE_CONTROL = 14
const SLOW_TICKS = TICKS_PER_SECOND / 1000
const PID = PROCESSES[0]
const FILTER = `pid == ${PID} && major == DEVICE_CONTROL && latency > 1ms`
const PAGE = 100

const MOST_ROWS_OF_OTHERS = 10_000_000
/** What we want of filters and sorts we want of so many rows; how they do with more is only told. */
const TARGET_ROWS = 10_000_000
/** As the server gives a view at a time. */
const TURN_MS = 2

export async function benchQuery(quick: boolean, rows = quick ? 1_000_000 : 10_000_000): Promise<Figure[]> {
  const traffic = makeTraffic(Math.min(rows / 40, 250_000), 0)
  const before = process.memoryUsage.rss()
  const capture = filled(traffic, rows)
  globalThis.gc?.()
  const resident = process.memoryUsage.rss() - before
  const columns = columnsOf(capture)
  const withOthers = rows <= MOST_ROWS_OF_OTHERS
  const objects = withOthers ? new PlainObjects(columns) : null
  const duck = withOthers ? await duckOf(columns) : null
  const figures = [
    size(capture, resident),
    await filter(capture, columns, objects, duck, quick),
    await firstPage(capture, columns, duck, quick),
    ...(await hardPages(capture, columns, quick)),
    await windows(capture, objects, duck),
    await sort(capture, columns, objects, duck, quick),
    ...sortedWindows(capture, columns),
    ...turns(capture, traffic),
  ]
  duck?.closeSync()
  await objects?.close()
  figures.push(...(await gaps(capture, traffic, quick ? 3000 : 10_000)))
  for (const figure of figures) {
    figure.name = figure.name.replace('{rows}', `${rows / 1e6} M rows`)
    if (quick && figure.met !== null)
      figure.note = `${figure.note} (quick: fewer rows than the target's)`.trim()
  }
  return figures
}

// ---- The same requests, four times -----------------------------------------------------------------------------

const store = loadBinding().store
/** The loops that filters use: changes between rounds. */
let loops: Loops = store.loops

function filled(traffic: Traffic, rows: number): Capture {
  const switched: Loops = {
    scan: (...asked) => loops.scan(...asked),
    count: (...asked) => loops.count(...asked),
    sort: (...asked) => loops.sort(...asked),
  }
  const capture = newCapture(rows * 200, { ingest: store.ingest, loops: switched })
  while (capture.rowCount < rows) {
    advance(traffic)
    for (const batch of traffic.batches) capture.ingest(batch)
  }
  return capture
}

/** A contestant that stays away when there are too many rows. */
function unless<T>(missing: null | T, contestant: (there: T) => Contestant): Contestant[] {
  return missing === null ? [] : [contestant(missing)]
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
  objects: PlainObjects | null,
  duck: DuckDBConnection | null,
  quick: boolean,
): Promise<Figure> {
  const found = new Set<number>()
  const bits = new Uint8Array(pid.length)
  const filtered = (using: Loops) => {
    loops = using
    const elapsed = timed(() => found.add(complete(capture.view(FILTER, null)).shown))
    loops = store.loops
    return elapsed
  }
  const [ours, ...yardsticks] = await interleave(quick ? 3 : 7, [
    { name: 'ours', run: () => filtered(store.loops) },
    { name: 'ours without the addon', run: () => filtered(portableLoops) },
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
    ...unless(objects, (there) => ({
      name: 'plain objects',
      run: async () => {
        const condition = { pid: PID, major: DEVICE_CONTROL, latency: SLOW_TICKS }
        const { ms, found: count } = await there.filter(condition)
        found.add(count)
        return ms
      },
    })),
    ...unless(duck, (there) => ({
      name: 'DuckDB, counting',
      run: async () => {
        const begin = performance.now()
        const [[count]] = await rowsOf(there, `SELECT count(*)::INTEGER FROM requests WHERE ${WHERE}`)
        const elapsed = performance.now() - begin
        found.add(Number(count))
        return elapsed
      },
    })),
  ])
  if (found.size !== 1) throw new Error(`The filters do not agree: ${[...found].join(', ')} rows`)
  return {
    name: `filter {rows}: ${FILTER}`,
    unit: 'ms',
    better: 'lower',
    ours: ours.value,
    yardsticks,
    target: '≤ 5 ms for 10 M rows',
    met: pid.length <= TARGET_ROWS ? ours.value <= 5 : null,
    note: `${[...found][0]} rows pass`,
  }
}

async function rowsOf(duck: DuckDBConnection, sql: string) {
  return (await duck.runAndReadAll(sql)).getRows()
}

async function firstPage(
  capture: Capture,
  { pid, major, latency }: Columns,
  duck: DuckDBConnection | null,
  quick: boolean,
): Promise<Figure> {
  const [ours, ...yardsticks] = await interleave(quick ? 3 : 7, [
    {
      name: 'ours',
      run: () =>
        timed(() => {
          const view = capture.view(FILTER, null)
          while (!view.complete && view.shown < PAGE) view.advance(() => false)
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
    ...unless(duck, (there) => ({
      name: 'DuckDB, LIMIT 100',
      run: async () => {
        const begin = performance.now()
        await rowsOf(there, `SELECT * FROM requests WHERE ${WHERE} LIMIT ${PAGE}`)
        return performance.now() - begin
      },
    })),
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

async function windows(
  capture: Capture,
  objects: PlainObjects | null,
  duck: DuckDBConnection | null,
): Promise<Figure> {
  const view = complete(capture.view(FILTER, null))
  const next = random(7)
  const places = Array.from({ length: 500 }, () => next() % Math.max(1, view.shown - PAGE))
  const ours = places.map((first) => timed(() => view.writeWindow(first, PAGE)))
  const plain = await objects?.windows(places, PAGE)
  const queried: number[] = []
  for (const first of duck ? places.slice(0, 20) : []) {
    const begin = performance.now()
    if (duck) await rowsOf(duck, `SELECT * FROM requests WHERE ${WHERE} LIMIT ${PAGE} OFFSET ${first}`)
    queried.push(performance.now() - begin)
  }
  ours.sort((a, b) => a - b)
  return {
    name: 'window of 100 rows somewhere in a filtered view, {rows}',
    unit: 'ms',
    better: 'lower',
    ours: median(ours),
    yardsticks: [
      ...(plain ? [{ name: 'plain objects to JSON, unfiltered', value: plain.ms }] : []),
      ...(duck ? [{ name: 'DuckDB, LIMIT and OFFSET', value: median(queried) }] : []),
    ],
    target: '≤ 1 ms',
    met: median(ours) <= 1,
    note: `one in a hundred takes ${ours[Math.floor(ours.length * 0.99)].toFixed(2)} ms or more`,
  }
}

async function sort(
  capture: Capture,
  { latency }: Columns,
  objects: PlainObjects | null,
  duck: DuckDBConnection | null,
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
          for (let i = 0; i < packed.length; i++) packed[i] = latency[i] * 2 ** 26 + i
          packed.sort()
        }),
    },
    ...unless(objects, (there) => ({
      name: 'plain objects, sort by a comparator',
      run: async () => (await there.sort()).ms,
    })),
    ...unless(duck, (there) => ({
      name: 'DuckDB, into a table',
      run: async () => {
        const begin = performance.now()
        await there.run('CREATE TEMP TABLE sorted AS SELECT row FROM requests ORDER BY latency, row')
        const elapsed = performance.now() - begin
        // On its own time, not on that of whose turn is next.
        await there.run('DROP TABLE sorted')
        return elapsed
      },
    })),
  ])
  return {
    name: 'sort {rows} by latency',
    unit: 'ms',
    better: 'lower',
    ours: ours.value,
    yardsticks,
    target: '≤ 250 ms for 10 M rows',
    met: latency.length <= TARGET_ROWS ? ours.value <= 250 : null,
    note: '',
  }
}

/** What a window costs, and finding a row, where rows are sorted chunk by chunk and not as a whole. */
function sortedWindows(capture: Capture, { latency }: Columns): Figure[] {
  const sorted = Float64Array.from(latency).sort()
  return ['latency', 'file', 'process', 'time'].flatMap((field) => {
    const view = complete(capture.view('', { field, descending: false }))
    const next = random(11)
    const places = Array.from({ length: 200 }, () => next() % (view.shown - 3 * PAGE))
    const far = places.map((first) => timed(() => view.writeWindow(first, PAGE)))
    const near = places.flatMap((first) => {
      view.writeWindow(first, PAGE)
      return [1, 2, 1].map((pages) => timed(() => view.writeWindow(first + (pages * PAGE) / 2, PAGE)))
    })
    const rows = places.map((place) => timed(() => view.indexOf((capture.firstRow + place) as RowId)))
    for (const first of field === 'latency' ? places : []) {
      const frame = new DataView(view.writeWindow(first, PAGE).buffer)
      for (let i = 0; i < PAGE; i++) {
        const ticks = frame.getFloat64(WINDOW_HEADER_BYTES + i * ROW_BYTES + 16, true)
        if (ticks !== sorted[first + i]) throw new Error(`Row ${first + i} by latency is not in its place`)
      }
    }
    return (
      [
        ['anywhere', median(far), 'where a row stands in it', median(rows)],
        ['half a page on or back', median(near), 'anywhere', median(far)],
      ] as const
    ).map(([where, ours, name, value]) => ({
      name: `window of 100 rows by ${field}, ${where}, {rows}`,
      unit: 'ms',
      better: 'lower' as const,
      ours,
      yardsticks: [{ name, value }],
      target: '≤ 1 ms',
      met: ours <= 1,
      note: '',
    }))
  })
}

/** Filters that find nothing, or must look at every byte: how soon something can be said, and for how long at a time. */
async function hardPages(capture: Capture, { latency }: Columns, quick: boolean): Promise<Figure[]> {
  const answers = new Set<number>()
  const [ours, plain] = await interleave(quick ? 3 : 7, [
    {
      name: 'ours',
      run: () =>
        timed(() => answers.add(complete(capture.view('latency > 2ms && latency < 1ms', null)).shown)),
    },
    {
      name: 'plain typed arrays',
      run: () =>
        timed(() => {
          let count = 0
          for (let i = 0; i < latency.length; i++) {
            if (latency[i] > 2 * SLOW_TICKS && latency[i] < SLOW_TICKS) count++
          }
          answers.add(count)
        }),
    },
  ])
  if (answers.size !== 1) throw new Error(`The filters do not agree: ${[...answers].join(', ')} rows`)
  const payload = newCapture(1 << 30, { ingest: store.ingest, loops: store.loops })
  for (const batch of makeTraffic(250_000, 64).batches) payload.ingest(batch)
  const turns: number[] = []
  const view = payload.view('input contains de:ad:be:ef:00:01', null)
  while (!view.complete) turns.push(timed(() => turnOf(view)))
  const figure = (name: string, value: number, yardsticks: Figure['yardsticks'], note: string): Figure => ({
    name,
    unit: 'ms',
    better: 'lower',
    ours: value,
    yardsticks,
    target: '≤ 50 ms',
    met: value <= 50,
    note,
  })
  return [
    figure('a new filter without hits, {rows}', ours.value, [plain], ''),
    figure(
      'first word of `input contains`, 64 bytes with every other of 250,000 rows',
      turns[0],
      [],
      `all of it: ${turns.reduce((sum, each) => sum + each, 0).toFixed(0)} ms, ${Math.max(...turns).toFixed(1)} at a time at most`,
    ),
  ]
}

/** How long a view keeps the thread from taking in records: per turn, and per batch once it is there. */
function turns(capture: Capture, traffic: Traffic): Figure[] {
  const figures: Figure[] = []
  const cases = [
    { what: 'a new filter', view: capture.view(FILTER, null) },
    { what: 'a new order', view: capture.view('', { field: 'latency', descending: false }) },
  ]
  for (const { what, view } of cases) {
    const taken: number[] = []
    while (!view.complete) taken.push(timed(() => turnOf(view)))
    figures.push(turn(`longest turn of ${what}, {rows}`, Math.max(...taken)))
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

function turnOf(view: View): void {
  const end = performance.now() + TURN_MS
  view.advance(() => performance.now() < end)
}

const RECORDS_PER_MS = 1000
const QUERY_EVERY_MS = 400
const WINDOW_EVERY_MS = 50

/** How long records wait for the thread at a million of them a second, while somebody changes filter and order. */
async function gaps(capture: Capture, traffic: Traffic, durationMs: number): Promise<Figure[]> {
  const idle = await gapsOf(capture, traffic, durationMs / 2, [])
  const busy = await gapsOf(capture, traffic, durationMs, [
    (at) => capture.view(`${FILTER} && row != ${at}`, null),
    (at) => capture.view(`row != ${at}`, { field: 'latency', descending: true }),
    (at) => capture.view(`information > ${at % 1000} || status != 0`, null),
    (at) => capture.view(`row != ${at}`, { field: 'file', descending: false }),
  ])
  return (['99 % of the', 'the longest'] as const).map((what) => {
    const of = ({ sorted }: Gaps) =>
      sorted[Math.floor((sorted.length - 1) * (what === 'the longest' ? 1 : 0.99))]
    return {
      ...turn(`${what} waits of records, 1 M records/s, filters and orders changing, {rows}`, of(busy)),
      yardsticks: [{ name: 'without queries', value: of(idle) }],
      note: `${busy.queries} queries answered; ${(busy.records / busy.elapsedMs / 1000).toFixed(2)} M records/s taken in`,
    }
  })
}

interface Gaps {
  sorted: number[]
  queries: number
  records: number
  elapsedMs: number
}

async function gapsOf(
  capture: Capture,
  traffic: Traffic,
  durationMs: number,
  queries: readonly ((at: number) => View)[],
): Promise<Gaps> {
  const each = traffic.batches.map((batch) => ({ ...traffic, batches: [batch] }))
  const perBatch = traffic.records / traffic.batches.length
  const waits: number[] = []
  const begin = performance.now()
  let [view, asked, answered, batches, nextQuery, nextWindow]: [View | null, ...number[]] = [
    null,
    0,
    0,
    0,
    begin,
    begin,
  ]
  for (let now = begin; now < begin + durationMs; now = performance.now()) {
    for (; batches * perBatch < (now - begin) * RECORDS_PER_MS; batches++) {
      const one = each[batches % each.length]
      waits.push(performance.now() - begin - (batches * perBatch) / RECORDS_PER_MS)
      advance(one)
      capture.ingest(one.batches[0])
    }
    const after = performance.now()
    if (queries.length > 0 && after >= nextQuery) {
      view = queries[asked % queries.length](asked)
      asked++
      nextQuery = after + QUERY_EVERY_MS
    }
    if (view && !view.complete) {
      turnOf(view)
      if (view.complete && asked > answered) answered = asked
    }
    if (view && after >= nextWindow) {
      view.writeWindow(view.shown >> 1, PAGE)
      nextWindow = after + WINDOW_EVERY_MS
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
  return {
    sorted: waits.sort((a, b) => a - b),
    queries: answered,
    records: batches * perBatch,
    elapsedMs: performance.now() - begin,
  }
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
