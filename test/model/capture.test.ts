// The store against the truth: whatever order records come in and whichever are lost, each request is one row that
// says exactly what is known of it.

import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { fromBase64 } from '../../src/formats/hex.ts'
import { CHUNK_ROWS } from '../../src/model/chunk.ts'
import type { RowId, Ticks } from '../../src/protocol/ids.ts'
import { ProcessEvent, RequestFlags } from '../../src/protocol/layout.ts'
import { encodeProcess, RecordError } from '../../src/protocol/records.ts'
import { type RowDetail, RowState } from '../../src/protocol/wire.ts'
import { batches, emptyCapture, type Happened, traffic } from '../support/captures.ts'
import { concat, end, endsAt, hooked, loss, numbers, start, startsAt, utf16 } from '../support/records.ts'

const row = (number: number) => number as RowId
const stateField = (capture: ReturnType<typeof emptyCapture>, number: number) =>
  capture.request(row(number))?.value('state')

function expectTruth(detail: RowDetail, happened: Happened): void {
  const { start: asked, end: ended } = happened
  expect(detail.arrival).toBe(asked.at)
  expect(detail).toMatchObject({
    driverId: asked.driverId,
    major: asked.major,
    minor: asked.minor,
    fastIo: ((asked.flags ?? 0) & RequestFlags.FastIo) !== 0,
  })
  if (!happened.startLost) {
    expect(detail).toMatchObject({
      irp: hex(asked.irp),
      deviceObject: hex(asked.device),
      fileObject: hex(asked.file),
      processId: asked.pid,
      threadId: asked.tid,
      requestorProcessId: asked.requestor,
      requestorMode: asked.mode,
      irql: asked.irql,
      startProcessor: asked.processor,
      irpFlags: asked.irpFlags,
      code: asked.code,
      inputLength: asked.inputLength,
      outputLength: asked.outputLength,
      byteOffset: String(asked.offset),
      continues: asked.continues ? { row: null } : null,
    })
    expect(fromBase64(detail.input.base64)).toEqual(asked.payload)
  } else {
    expect(detail).toMatchObject({ irp: '', deviceObject: '', fileObject: '' })
  }
  const startFlags = happened.startLost ? 0 : (asked.flags ?? 0)
  const endFlags = happened.endLost ? 0 : (ended.flags ?? 0)
  expect(detail.flags).toBe(startFlags | endFlags)
  if (happened.endLost) {
    expect(detail.end).toBeNull()
  } else {
    expect(detail.end).toMatchObject({
      completion: ended.at,
      status: ended.status,
      information: String(ended.information),
      irql: ended.irql,
      processor: ended.processor,
      processId: ended.pid,
      threadId: ended.tid,
    })
    expect(fromBase64(detail.output.base64)).toEqual(ended.payload)
    expect(detail.output.total).toBe(ended.total)
  }
}

function hex(address: bigint | undefined): string {
  return `0x${(address ?? 0n).toString(16).toUpperCase().padStart(16, '0')}`
}

describe('pairing', () => {
  test('any order, any loss, any cut into batches: one row per request, and all of it true', () => {
    fc.assert(
      fc.property(traffic, ({ requests, records, cuts }) => {
        const capture = emptyCapture()
        for (const batch of batches(records, cuts)) capture.ingest(concat(batch))
        const seen = requests.filter((request) => !request.startLost || !request.endLost)
        expect(capture.rowCount).toBe(seen.length)
        expect(capture.inFlight).toBe(requests.filter((each) => !each.startLost && each.endLost).length)
        expect(capture.unpairedEnds).toBe(requests.filter((each) => each.startLost && !each.endLost).length)
        expect(capture.unpaired).toBe(capture.unpairedEnds)
        capture.finish()
        expect(capture.unpaired).toBe(requests.filter((each) => each.startLost !== each.endLost).length)

        const byId = new Map(seen.map((request) => [request.start.id, request]))
        for (let number = 0; number < capture.endRow; number++) {
          const detail = capture.detail(row(number))!
          const truth = byId.get(detail.requestId)!
          byId.delete(detail.requestId)
          expectTruth(detail, truth)
          const unseen = ((truth.end.flags ?? 0) & RequestFlags.Unseen) !== 0
          const both = unseen ? RowState.Unseen : RowState.Done
          const state = truth.startLost ? RowState.StartLost : truth.endLost ? RowState.InFlight : both
          expect(stateField(capture, number)).toBe(state)
        }
        expect(byId.size).toBe(0)
      }),
      { numRuns: 300 },
    )
  })

  test('statistics are those of the requests, whatever the order', () => {
    fc.assert(
      fc.property(traffic, ({ requests, records, cuts }) => {
        const capture = emptyCapture()
        for (const batch of batches(records, cuts)) capture.ingest(concat(batch))
        const stats = capture.stats()
        const sum = (key: 'count' | 'inFlight' | 'pended' | 'cancelled' | 'errors' | 'bytesIn' | 'unseen') =>
          stats.reduce((total, each) => total + each[key], 0)
        const ended = requests.filter((each) => !each.endLost)
        const counted = ended.filter((each) => ((each.end.flags ?? 0) & RequestFlags.Unseen) === 0)
        expect(sum('count')).toBe(requests.filter((each) => !each.startLost || !each.endLost).length)
        expect(sum('inFlight')).toBe(capture.inFlight)
        expect(sum('unseen')).toBe(ended.length - counted.length)
        expect(sum('pended')).toBe(
          ended.filter((each) => ((each.end.flags ?? 0) & RequestFlags.Pended) !== 0).length,
        )
        expect(sum('cancelled')).toBe(counted.filter((each) => each.end.status === 0xc0000120).length)
        expect(sum('errors')).toBe(
          counted.filter((each) => [0xc0000005, 0xe0001234].includes(each.end.status ?? 0)).length,
        )
        expect(sum('bytesIn')).toBe(
          requests
            .filter((each) => !each.startLost)
            .reduce((total, each) => total + (each.start.inputLength ?? 0), 0),
        )
      }),
      { numRuns: 100 },
    )
  })

  test('a fast-I/O call that fell through and the IRP that continues it know of each other', () => {
    const capture = emptyCapture()
    const fast = { major: 9, flags: RequestFlags.FastIo, tid: 8 }
    const fell = { ...fast, flags: RequestFlags.FastIo | RequestFlags.FellThrough }
    const id = 2 ** 32 + 7
    capture.ingest(
      concat([
        start({ id: 7, ...fast, tid: 12 }), // another thread's, with the same lower half
        start({ id, ...fast }),
        end({ id, ...fell }),
        start({ id: 9, tid: 12, flags: RequestFlags.Continues, continues: 5 }),
        start({ id: 10, tid: 12, flags: RequestFlags.Continues, continues: 7 }),
        start({ id: 11, tid: 8, flags: RequestFlags.Continues, continues: 7 }),
      ]),
    )
    expect(capture.detail(row(1))?.continuedBy).toBe(4)
    expect(capture.detail(row(4))?.continues).toEqual({ row: 1 })
    expect(capture.detail(row(3))?.continues).toEqual({ row: 0 })
    expect(capture.detail(row(2))?.continues).toEqual({ row: null })
    expect(capture.detail(row(0))).toMatchObject({ continues: null, continuedBy: null })
    expect([...capture.requests('continues')].length).toBe(3)
  })

  test('it is found across chunks, and where its start was lost', () => {
    const capture = emptyCapture()
    const fell = RequestFlags.FastIo | RequestFlags.FellThrough
    capture.ingest(end({ id: 3, major: 9, flags: fell, tid: 8 }))
    capture.ingest(startsAt(numbers(100, CHUNK_ROWS)))
    capture.ingest(start({ id: 4, tid: 8, flags: RequestFlags.Continues, continues: 3 }))
    expect(capture.detail(row(0))?.continuedBy).toBe(CHUNK_ROWS + 1)
    expect(capture.detail(row(CHUNK_ROWS + 1))?.continues).toEqual({ row: 0 })
  })

  test('a completion that the driver cannot record is no request in flight', () => {
    const capture = emptyCapture()
    capture.ingest(start({ id: 1, flags: RequestFlags.Uncaptured }))
    expect([capture.inFlight, capture.endsLost, stateField(capture, 0)]).toEqual([0, 1, RowState.EndLost])
    expect(capture.detail(row(0))?.end).toBeNull()
    expect(capture.request(row(0))?.text('status')).toBe('')
  })

  test('a fast-I/O call that fell through has no status', () => {
    const capture = emptyCapture()
    const flags = RequestFlags.FastIo
    capture.ingest(
      concat([
        start({ id: 1, at: 5, major: 9, flags }),
        end({ id: 1, at: 9, arrival: 5, major: 9, flags: flags | RequestFlags.FellThrough, information: 9n }),
      ]),
    )
    const request = capture.request(row(0))
    expect(['status', 'error', 'information'].map((field) => request?.value(field))).toEqual([
      null,
      null,
      null,
    ])
    expect(['fellthrough', 'latency'].map((field) => request?.value(field))).toEqual([true, 4])
    expect(capture.stats()).toMatchObject([{ count: 1, fellThrough: 1, errors: 0, bytesOut: 0 }])
    expect([capture.starts, capture.fellThrough]).toEqual([1, 1])
  })

  test('one that fell through is counted as such whichever record comes first, and only with its start', () => {
    const capture = emptyCapture()
    const flags = RequestFlags.FastIo
    const ended = (id: number) =>
      end({ id, at: 9, arrival: 5, major: 9, flags: flags | RequestFlags.FellThrough })
    capture.ingest(concat([ended(1), ended(2)]))
    expect([capture.starts, capture.fellThrough, capture.unpairedEnds]).toEqual([0, 0, 2])
    capture.ingest(start({ id: 2, at: 5, major: 9, flags }))
    expect([capture.starts, capture.fellThrough, capture.unpairedEnds]).toEqual([1, 1, 1])
  })

  test('ends without starts do not fill the memory, and leave rows each', () => {
    const capture = emptyCapture()
    const count = 200_000
    capture.ingest(endsAt(numbers(0, count)))
    expect(capture.unpairedEnds).toBe(count)
    expect(capture.rowCount).toBe(count)
    // 40 bytes a row, a pairing table for the latest 65,536, and little else.
    expect(capture.storeBytes).toBeLessThan(count * 60 + 6_000_000)
    capture.ingest(start({ id: count - 1, at: count - 1, pid: 77 }))
    expect(capture.unpairedEnds).toBe(count - 1)
    expect(capture.detail(row(count - 1))?.processId).toBe(77)
  })
})

describe('a malformed batch', () => {
  test('is refused with its place; what came before it is in', () => {
    const capture = emptyCapture()
    const good = concat([start({ id: 1, at: 5 }), end({ id: 1, at: 6, arrival: 5 })])
    const bad = start({ id: 2 })
    bad[0] = 7
    expect(() => capture.ingest(concat([good, bad, good]))).toThrow(RecordError)
    expect([capture.rowCount, capture.inFlight]).toEqual([1, 0])
    capture.ingest(start({ id: 3 }))
    expect(capture.rowCount).toBe(2)
  })
})

describe('names', () => {
  test('drivers by id, also for rows that came first', () => {
    const capture = emptyCapture()
    const view = capture.view('driver == "\\Driver\\AFD"', null)
    capture.ingest(start({ id: 1, driverId: 3 }))
    view.advance(() => true)
    expect(view.shown).toBe(0)
    capture.ingest(hooked(3, '\\Driver\\AFD'))
    expect(capture.detail(row(0))?.driverName).toBe('\\Driver\\AFD')
    expect(view.advance(() => true)).toBe(true)
    expect(view.shown).toBe(1)
  })

  test('a file name is the row’s detail', () => {
    const capture = emptyCapture()
    const name = '\\Device\\Afd\\Endpoint'
    capture.ingest(start({ id: 1, major: 0, flags: RequestFlags.PayloadIsName, payload: utf16(name) }))
    expect(capture.request(row(0))?.value('detail')).toBe(name)
    expect([...capture.details.values()]).toEqual(['', name])
    expect(capture.detail(row(0))?.input.isName).toBe(true)
  })

  const process = (event: number, processId: number, name: string, at: number) =>
    encodeProcess({ at: at as Ticks, processId, parentProcessId: 4, event, name })

  test('a process id that is reused has the right name at each time', () => {
    const capture = emptyCapture()
    capture.ingest(start({ id: 1, pid: 8, at: 100 }))
    expect(capture.unknownProcesses()).toEqual([8])
    expect(capture.unknownProcesses()).toEqual([])
    capture.learnProcesses([{ processId: 8, parentProcessId: 4, name: 'first.exe' }], 150 as Ticks)
    capture.ingest(
      concat([
        start({ id: 2, pid: 8, at: 200 }),
        process(ProcessEvent.Exited, 8, 'first.exe', 300),
        start({ id: 3, pid: 8, at: 310 }), // its handles are closed after the notification
        process(ProcessEvent.Created, 8, 'C:\\bin\\second.exe', 400),
        start({ id: 4, pid: 8, at: 500 }),
        start({ id: 5, pid: 8, at: 390 }), // from another processor, late
      ]),
    )
    const names = [0, 1, 2, 3, 4].map((number) => capture.request(row(number))?.value('process'))
    expect(names).toEqual(['first.exe', 'first.exe', 'first.exe', 'second.exe', 'first.exe'])
    expect(capture.unknownProcesses()).toEqual([])
  })

  test('one that is created without a name has not that of the process before it, and is asked for', () => {
    const capture = emptyCapture()
    capture.learnProcesses([{ processId: 8, parentProcessId: 4, name: 'old.exe' }], 10 as Ticks)
    capture.ingest(
      concat([
        start({ id: 1, pid: 8, at: 100 }),
        process(ProcessEvent.Created, 8, '', 500),
        start({ id: 2, pid: 8, at: 510 }),
        start({ id: 3, pid: 8, at: 490 }), // from another processor, late
      ]),
    )
    const names = () => Array.from(capture.requests(''), (request) => request.value('process'))
    expect(names()).toEqual(['old.exe', '', 'old.exe'])
    expect(capture.unknownProcesses()).toEqual([8])
    capture.ingest(start({ id: 4, pid: 8, at: 520 }))
    expect(capture.unknownProcesses()).toEqual([])
    capture.learnProcesses([{ processId: 8, parentProcessId: 4, name: 'new.exe' }], 600 as Ticks)
    expect(names()).toEqual(['old.exe', 'new.exe', 'old.exe', 'new.exe'])
    // Another, which is gone again before it could be named.
    capture.ingest(
      concat([
        process(ProcessEvent.Created, 8, '', 700),
        process(ProcessEvent.Created, 8, 'last.exe', 800),
        start({ id: 5, pid: 8, at: 750 }),
        start({ id: 6, pid: 8, at: 810 }),
      ]),
    )
    expect(names().slice(4)).toEqual(['', 'last.exe'])
    expect(capture.unknownProcesses()).toEqual([])
  })

  test('one whose first row comes before its creation, which tells no name, is still asked for', () => {
    const capture = emptyCapture()
    capture.ingest(concat([start({ id: 1, pid: 8, at: 510 }), process(ProcessEvent.Created, 8, '', 500)]))
    expect(capture.unknownProcesses()).toEqual([8])
    capture.learnProcesses([{ processId: 8, parentProcessId: 4, name: 'new.exe' }], 600 as Ticks)
    expect(capture.request(row(0))?.value('process')).toBe('new.exe')
    expect(capture.processes.nameAt(8, 490)).toBe('')
  })

  test('file names leave with the last rows that have them, so that new ones always have room', () => {
    const budget = 16 << 20
    const capture = emptyCapture(budget)
    const nameOf = (id: number) => (id % 10 === 0 ? '\\always' : `\\file ${id}`)
    const flags = RequestFlags.PayloadIsName | RequestFlags.Uncaptured
    const create = (id: number) => start({ id, major: 0, flags, payload: utf16(nameOf(id)) })
    const rows = 4 * CHUNK_ROWS
    for (let first = 0; first < rows; first += 4096) {
      capture.ingest(concat(numbers(first, 4096).map(create)))
      expect(capture.storeBytes).toBeLessThanOrEqual(budget)
    }
    expect(capture.evictedRows).toBeGreaterThan(CHUNK_ROWS)
    expect(capture.details.size).toBeLessThan(capture.rowCount + 2)
    const seen = Array.from(capture.requests(''), (request) => request.value('detail'))
    expect(seen).toEqual(numbers(capture.firstRow, capture.rowCount).map(nameOf))
    capture.clear()
    expect([...capture.details.values()]).toEqual([''])
    capture.ingest(create(7))
    expect([...capture.details.values()]).toEqual(['', nameOf(7)])
  })

  test('an export that is under way has the names of rows that leave meanwhile', () => {
    const capture = emptyCapture()
    capture.ingest(start({ id: 1, major: 0, flags: RequestFlags.PayloadIsName, payload: utf16('\\file') }))
    capture.ingest(startsAt(numbers(2, CHUNK_ROWS)))
    for (const request of capture.requests('detail contains "file"')) {
      capture.budgetBytes = 0
      expect(capture.firstRow).toBe(CHUNK_ROWS)
      expect(request.value('detail')).toBe('\\file')
    }
    expect([...capture.details.values()]).toEqual([''])
  })

  test('a process id’s names are forgotten when the rows of their time have left', () => {
    const capture = emptyCapture(6 << 20)
    capture.ingest(process(ProcessEvent.Created, 8, 'first.exe', 0))
    const nameAt = (at: number) => `${Math.floor(at / 64) % 7}.exe`
    const before = capture.memory.bytes
    for (let at = 0; at < 5 * CHUNK_ROWS; at += 64) {
      const named = process(ProcessEvent.Created, 8, nameAt(at), at)
      capture.ingest(concat([named, startsAt(numbers(at, 64), { pid: 8, flags: RequestFlags.Uncaptured })]))
    }
    expect(capture.evictedRows).toBeGreaterThan(CHUNK_ROWS)
    const seen = Array.from(capture.requests(''), (request) => request.value('process'))
    expect(seen).toEqual(numbers(capture.firstRow, capture.rowCount).map(nameAt))
    // 80 bytes for each of those that are in use; functions and their sums are 7 KB.
    expect(capture.memory.bytes - before).toBeLessThan(80 * (capture.rowCount / 64 + 1) + 10_000)
  })

  test('one for which there is no room says so', () => {
    const capture = emptyCapture(4096)
    const list = [1, 2, 3, 4].map((id) => ({
      processId: 4 * id,
      parentProcessId: 0,
      name: `${String(id).repeat(60)}.exe`,
    }))
    capture.learnProcesses(list, 0 as Ticks)
    const [first, , third, last] = list.map(({ processId }) => capture.processes.nameAt(processId, 5))
    expect([first, third, last]).toEqual([list[0].name, '(no room for the name)', '(no room for the name)'])
  })

  test('a process that was created while we looked had no name before', () => {
    const capture = emptyCapture()
    capture.ingest(
      concat([
        start({ id: 1, pid: 8, at: 100 }),
        start({ id: 2, pid: 8, at: 300 }),
        process(ProcessEvent.Created, 8, 'new.exe', 200),
      ]),
    )
    expect(capture.request(row(0))?.value('process')).toBe('')
    expect(capture.request(row(1))?.value('process')).toBe('new.exe')
  })
})

test('losses are those of the records', () => {
  const capture = emptyCapture()
  capture.ingest(concat([loss([1, 2], [3], 4), start({ id: 1 }), loss([1], [])]))
  expect(capture.losses).toEqual({ starts: [2, 2, 0, 0, 0], ends: [3, 0, 0, 0, 0], others: 4 })
})

/** Until `vi.unstubAllGlobals`: `seen` gets the size of each piece of memory, and may throw. */
function watchAllocations(seen: (bytes: number) => void): void {
  const Real = SharedArrayBuffer
  vi.stubGlobal(
    'SharedArrayBuffer',
    class {
      constructor(bytes: number) {
        seen(bytes)
        // biome-ignore lint/correctness/noConstructorReturn: a real one
        return new Real(bytes)
      }
    },
  )
}

describe('memory', () => {
  test('an export that is under way gets the rows that leave meanwhile', () => {
    const capture = emptyCapture()
    capture.ingest(startsAt(numbers(0, 2 * CHUNK_ROWS + 7)))
    const ids: unknown[] = []
    for (const request of capture.requests('tid != 5')) {
      ids.push(request.value('id'))
      if (ids.length !== 10) continue
      capture.budgetBytes = 0
      expect(capture.rowCount).toBe(7)
      // What comes now needs memory, but not that of the rows to be exported.
      capture.ingest(startsAt(numbers(900_000, 2 * CHUNK_ROWS)))
    }
    const before = numbers(0, 2 * CHUNK_ROWS + 7).filter((id) => id !== 5)
    expect(ids.slice(0, before.length)).toEqual(before)
  })

  test('that served rows before is used anew, and shows nothing of them', () => {
    const [used, fresh] = [emptyCapture(), emptyCapture()]
    const ids = numbers(0, 3 * CHUNK_ROWS)
    const payload = new Uint8Array(24).fill(7)
    used.ingest(startsAt(ids, { payload, inputLength: 70_000, offset: 1n, continues: 9 }))
    used.ingest(endsAt(ids, 1000, { payload, information: 70_000n }))
    const before = [...used.chunks]
    used.budgetBytes = 0
    const allocated = vi.fn()
    watchAllocations(allocated)
    const next = numbers(900_000, CHUNK_ROWS - 8)
    const few = next.slice(0, 9)
    // Starts alone, ends alone, and some of both; with payload and without.
    const records = concat([
      startsAt(few, { payload: payload.fill(8) }),
      endsAt(next.slice(5, 20), 1000),
      startsAt(next.slice(20)),
    ])
    try {
      used.ingest(records)
      expect(allocated).not.toHaveBeenCalledWith(used.chunks[0].state.buffer.byteLength)
    } finally {
      vi.unstubAllGlobals()
    }
    fresh.ingest(records)
    expect(used.rowCount).toBe(next.length)
    expect(before.map(({ rows }) => rows)).toEqual([CHUNK_ROWS, CHUNK_ROWS, CHUNK_ROWS])
    for (let at = 0; at < next.length; at += at < 30 ? 1 : 7) {
      const expected = fresh.detail(row(at))
      expect(used.detail(row(used.firstRow + at))).toEqual({ ...expected, row: used.firstRow + at })
    }
  })

  test('what views take is counted while they are open', () => {
    const capture = emptyCapture()
    capture.ingest(startsAt(numbers(0, CHUNK_ROWS + 9)))
    const before = capture.storeBytes
    const [filtered, ordered] = [null, { field: 'time', descending: true }].map((sort) => {
      const view = capture.view('tid != 5', sort)
      view.advance(() => true)
      return view
    })
    // A bit per row of two chunks, and what was seen of each block; another, and for each row its number and its distance.
    expect(capture.storeBytes - before).toBe(4 * (CHUNK_ROWS / 8 + 320) + 6 * ordered.shown)
    ordered.close()
    filtered.close()
    expect(capture.storeBytes).toBe(before)
  })

  test('where the machine has less than the budget says, the oldest rows make room', () => {
    const capture = emptyCapture()
    capture.ingest(startsAt(numbers(0, 3 * CHUNK_ROWS)))
    let failures = 2
    watchAllocations(() => {
      if (failures-- > 0) throw new RangeError('Array buffer allocation failed')
    })
    try {
      capture.ingest(startsAt(numbers(3 * CHUNK_ROWS, 5)))
      expect([capture.firstRow, capture.endRow]).toEqual([2 * CHUNK_ROWS, 3 * CHUNK_ROWS + 5])
      expect(capture.storeBytes).toBeLessThanOrEqual(capture.budgetBytes)
      expect(capture.budgetBytes).toBeLessThan(16 << 20)
      // With nothing to give back it is an error, and no row that is not there is counted.
      capture.clear()
      failures = 1
      expect(() => capture.ingest(startsAt([1_000_001]))).toThrow(RangeError)
      expect(capture.rowCount).toBe(0)
      capture.ingest(startsAt([1_000_002]))
      expect(capture.detail(capture.firstRow)?.requestId).toBe(1_000_002)
    } finally {
      vi.unstubAllGlobals()
    }
  })

  test('stays within the budget; the oldest rows leave, the rest keep their numbers', () => {
    const budget = 16 << 20
    const capture = emptyCapture(budget)
    const rows = 12 * CHUNK_ROWS
    const payload = new Uint8Array(24).fill(1)
    for (let first = 0; first < rows; first += 4096) {
      const ids = numbers(first, 4096)
      capture.ingest(startsAt(ids, { payload }))
      capture.ingest(endsAt(ids.filter((id) => id !== 0 && id !== rows - 1)))
      expect(capture.storeBytes).toBeLessThanOrEqual(budget)
    }
    expect(capture.endRow).toBe(rows)
    expect(capture.rowCount).toBeGreaterThan(3 * CHUNK_ROWS)
    expect(capture.firstRow).toBeGreaterThan(0)
    expect(capture.inFlight).toBe(1)
    expect(capture.detail(row(capture.firstRow - 1))).toBeNull()
    expect(capture.detail(capture.firstRow)?.requestId).toBe(capture.firstRow)
    expect(capture.detail(row(rows - 1))?.threadId).toBe(rows - 1)
    expect(capture.detail(row(rows))).toBeNull()
    // An end whose row has left makes no row.
    capture.ingest(end({ id: 0, at: 9, arrival: 0 }))
    expect([capture.endRow, capture.unpairedEnds]).toEqual([rows, 0])
    // One whose row is still there completes it.
    capture.ingest(end({ id: rows - 1, at: rows + 9, arrival: rows - 1 }))
    expect(capture.request(row(rows - 1))?.value('latency')).toBe(10)
  })

  test('a start without an end stays one when its row has left, until its end comes', () => {
    const capture = emptyCapture(8 << 20)
    const whole = (first: number) => {
      for (const last = first + 8 * CHUNK_ROWS; first < last; first += 4096) {
        const ids = numbers(first, 4096)
        capture.ingest(startsAt(ids))
        capture.ingest(endsAt(ids))
      }
    }
    const inFlight = () => capture.stats().reduce((total, each) => total + each.inFlight, 0)
    capture.ingest(startsAt(numbers(0, 50)))
    whole(1000)
    expect(capture.firstRow).toBeGreaterThan(50)
    expect([capture.inFlight, capture.unpaired]).toEqual([0, 0])
    capture.finish()
    expect([capture.unpaired, inFlight()]).toEqual([50, 50])
    capture.ingest(concat([endsAt([7, 8]), startsAt([900_001]), endsAt([900_002])]))
    expect([capture.unpaired, inFlight()]).toEqual([50, 49])
    // Those of rows from before are nothing to what comes after.
    capture.clear()
    expect(capture.unpaired).toBe(0)
    capture.ingest(concat([endsAt([9]), startsAt([900_003])]))
    whole(1_000_000)
    expect([capture.unpaired, inFlight()]).toEqual([1, 49])
  })
})

describe('payload of many kilobytes a request', () => {
  const budget = 32 << 20
  const payload = new Uint8Array(65536).fill(7)
  const starts = (first: number, count: number) => startsAt(numbers(first, count), { payload })

  test('stays within the budget too, and little room is wasted; rows keep their numbers', () => {
    const budget = 96 << 20
    const capture = emptyCapture(budget)
    const ordered = capture.view('input_length > 0', { field: 'tid', descending: true })
    const count = 2400
    for (let first = 0; first < count; first += 16) {
      capture.ingest(starts(first, 16))
      expect(capture.storeBytes).toBeLessThanOrEqual(budget)
      ordered.advance(() => true)
    }
    expect([capture.endRow, capture.evictedRows]).toEqual([count, capture.firstRow])
    expect(capture.rowCount * payload.length).toBeGreaterThan(0.7 * budget)
    expect(capture.inFlight).toBe(capture.rowCount)
    const rows = numbers(capture.firstRow, capture.rowCount)
    expect(rows.map((number) => capture.request(row(number))?.value('id'))).toEqual(rows)
    expect(fromBase64(capture.detail(row(count - 1))!.input.base64)).toEqual(payload)
    expect(Array.from(capture.requests(''), (request) => Number(request.row))).toEqual(rows)
    expect(rows.map((number) => ordered.indexOf(row(number)))).toEqual(numbers(0, rows.length).reverse())
    // Their ends find them, wherever they are.
    capture.ingest(endsAt(numbers(0, count)))
    expect([capture.inFlight, capture.rowCount, capture.unpairedEnds]).toEqual([0, rows.length, 0])
    expect(rows.map((number) => capture.request(row(number))?.value('latency'))).toEqual(rows.map(() => 1))
  })

  test('also where it all comes with the ends of requests in flight', () => {
    const capture = emptyCapture(budget)
    const count = 1600
    capture.ingest(startsAt(numbers(0, count)))
    const whole = capture.view('', null)
    for (let id = 0; id < count; id += 16) {
      capture.ingest(concat(numbers(id, 16).map((id) => end({ id, arrival: id, at: id + 1, payload }))))
      expect(capture.storeBytes).toBeLessThanOrEqual(budget)
    }
    // They were in one chunk, which has left.
    whole.advance(() => true)
    expect([capture.evictedRows, capture.rowCount, whole.shown]).toEqual([count, 0, 0])
    capture.ingest(starts(count, 3))
    expect([capture.firstRow, capture.rowCount, capture.inFlight]).toEqual([count, 3, 3])
  })

  test('a smaller budget lets a chunk go that has become too heavy for it', () => {
    const capture = emptyCapture()
    for (let first = 0; first < 320; first += 16) capture.ingest(starts(first, 16))
    expect(capture.storeBytes).toBeGreaterThan(20 << 20)
    capture.budgetBytes = 8 << 20
    expect(capture.storeBytes).toBeLessThan(8 << 20)
    capture.ingest(starts(320, 16))
    expect([capture.firstRow, capture.rowCount]).toEqual([320, 16])
  })
})

describe('clear', () => {
  test('forgets rows, and knows what is in flight', () => {
    const capture = emptyCapture()
    const views = ['', 'major == 14'].flatMap((filter) => [
      capture.view(filter, null),
      capture.view(filter, { field: 'latency', descending: false }),
    ])
    const shown = () => {
      for (const view of views) view.advance(() => true)
      return views.map((view) => view.shown)
    }
    capture.ingest(concat([start({ id: 1 }), end({ id: 2, at: 9 }), start({ id: 3 }), end({ id: 3 })]))
    expect(shown()).toEqual([3, 3, 3, 3])
    capture.clear()
    expect(shown()).toEqual([0, 0, 0, 0])
    expect([capture.rowCount, capture.evictedRows, capture.inFlight, capture.unpairedEnds]).toEqual([
      0, 0, 0, 0,
    ])
    expect(capture.request(row(0))).toBeNull()
    // The end of a request from before, and the start of an end from before, make no rows.
    capture.ingest(
      concat([end({ id: 1, at: 20 }), start({ id: 2 }), start({ id: 4 }), end({ id: 4, at: 7 })]),
    )
    expect(shown()).toEqual([1, 1, 1, 1])
    expect([capture.rowCount, capture.evictedRows, capture.inFlight, capture.unpairedEnds]).toEqual([
      1, 0, 0, 0,
    ])
    expect(capture.detail(capture.firstRow)?.requestId).toBe(4)
    expect(capture.starts).toBe(4)
  })
})

test('ends lost in masses do not fill the memory', () => {
  const capture = emptyCapture(16 << 20)
  const rows = 16 * CHUNK_ROWS
  for (let first = 0; first < rows; first += 4096) {
    capture.ingest(startsAt(numbers(first, 4096)))
  }
  expect(capture.endRow).toBe(rows)
  // A table of half a million slots, and at least the last chunk.
  expect(capture.storeBytes).toBeLessThan(24 << 20)
  capture.finish()
  expect(capture.unpaired).toBe(rows)
})

test('percentiles are within 1.6 %, the maximum is exact', () => {
  const latencies = fc.array(fc.oneof(fc.nat(100), fc.nat(1_000_000), fc.nat(2 ** 40)), {
    minLength: 1,
    maxLength: 200,
  })
  fc.assert(
    fc.property(latencies, (ticks) => {
      const capture = emptyCapture()
      capture.ingest(concat(ticks.map((latency, id) => end({ id, at: 5 + latency, arrival: 5 }))))
      const [stats] = capture.stats()
      const sorted = [...ticks].sort((a, b) => a - b)
      expect(stats.max).toBe(sorted.at(-1))
      for (const [share, found] of [
        [0.5, stats.p50],
        [0.99, stats.p99],
      ]) {
        const exact = sorted[Math.ceil(sorted.length * share) - 1]
        expect(Math.abs(found - exact)).toBeLessThanOrEqual(exact * 0.016 + 1e-9)
      }
    }),
    { numRuns: 200 },
  )
})
