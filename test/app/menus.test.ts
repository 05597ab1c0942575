// menus.test.ts: what can be pointed at: each value of a row becomes a condition that the filter language understands and
// that holds for that row.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { conditionOf, narrowed } from '../../app/menus/conditions.ts'
import { RowWindow } from '../../app/rows/row-window.ts'
import { parseFilter } from '../../src/model/filter/parser.ts'
import type { DriverId } from '../../src/protocol/ids.ts'
import { RequestFlags } from '../../src/protocol/layout.ts'
import { ROW_BYTES, RowState, WINDOW_HEADER_BYTES, WINDOW_MAGIC } from '../../src/protocol/wire.ts'

const CLOCK = { ticksPerSecond: 1e7, anchorTicks: 0, anchorUtcMs: Date.UTC(2026, 0, 1) }
const NAMES = {
  drivers: new Map([[1 as DriverId, '\\Driver\\AFD']]),
  processes: new Map([[2, 'msedge.exe']]),
  details: new Map([[3, '\\Temp\\"a".tmp']]),
}

interface Row {
  state?: number
  flags?: number
  major?: number
  code?: number
  status?: number
  latency?: number
}

function rowsOf({
  state = RowState.Done,
  flags = 0,
  major = 14,
  code = 0x12017,
  status = 0,
  latency = 25,
}: Row): RowWindow {
  const buffer = new ArrayBuffer(WINDOW_HEADER_BYTES + ROW_BYTES)
  const view = new DataView(buffer)
  for (const [i, value] of [WINDOW_MAGIC, 1, 0, 1, 1].entries()) view.setUint32(i * 4, value, true)
  const at = WINDOW_HEADER_BYTES
  view.setFloat64(at + 8, 12345, true)
  const hasEnd = state !== RowState.InFlight && state !== RowState.EndLost
  view.setFloat64(at + 16, hasEnd ? latency : Number.NaN, true)
  const words = [1, 4312, 9248, flags, code, status, 24, 1460, 2, 3]
  for (const [i, value] of words.entries()) view.setUint32(at + 32 + i * 4, value, true)
  view.setUint8(at + 72, major)
  view.setUint32(at + 76, state, true)
  return RowWindow.decode(buffer)
}

function condition(column: string, row: Row = {}, clock = CLOCK, names = NAMES): string {
  return conditionOf(column, rowsOf(row), 0, names, clock)
}

const COLUMNS = [
  ...['time', 'driver', 'process', 'pid', 'tid', 'function'],
  ...['operation', 'status', 'duration', 'in', 'out', 'details'],
]

describe('a value as a condition', () => {
  test('says what the row has', () => {
    expect(COLUMNS.map((column) => condition(column))).toEqual([
      'time >= "2026-01-01T00:00:00.0012345Z"',
      'driver == "\\Driver\\AFD"',
      'process == "msedge.exe"',
      'pid == 4312',
      'tid == 9248',
      'function == IRP_MJ_DEVICE_CONTROL',
      'ioctl == IOCTL_AFD_RECV',
      'status == STATUS_SUCCESS',
      'latency >= 2500ns',
      'input_length == 24',
      'output_length == 1460',
      `detail == '\\Temp\\"a".tmp'`,
    ])
  })

  test('names how it ended, or that it has not', () => {
    expect(condition('status', { state: RowState.InFlight })).toBe('state == in_flight')
    expect(condition('duration', { state: RowState.InFlight })).toBe('state == in_flight')
    expect(condition('status', { state: RowState.EndLost })).toBe('state == end_lost')
    expect(condition('duration', { state: RowState.EndLost })).toBe('state == end_lost')
    expect(condition('status', { flags: RequestFlags.FellThrough })).toBe('fellthrough')
    expect(condition('status', { status: 0xc0000120 })).toBe('status == STATUS_CANCELLED')
    expect(condition('status', { status: 0xdeadbeef })).toBe('status == 0xDEADBEEF')
    expect(condition('operation', { code: 0x222400 })).toMatch(/^ioctl == (0x00222400|IOCTL_\w+)$/)
  })

  test('a latency is one of those from it on, whatever the clock', () => {
    const clocks = fc.constantFrom(2_533_203, 3_579_545, 1e7, 14_318_180, 24e6, 1e9)
    const ticks = fc.oneof(fc.nat(100_000), fc.nat(2 ** 48))
    fc.assert(
      fc.property(clocks, ticks, (ticksPerSecond, latency) => {
        const clock = { ...CLOCK, ticksPerSecond }
        const parsed = parseFilter(condition('duration', { latency }, clock), clock)
        const low = parsed.kind === 'ranges' ? Number(parsed.ranges[0].low) : Number.NaN
        expect(low).toBeLessThanOrEqual(latency)
        expect(low).toBeGreaterThan(latency - 2 - ticksPerSecond / 1e9)
      }),
      { numRuns: 1000 },
    )
  })

  test('any name is read as it is, and what follows it too', () => {
    const name = fc
      .array(fc.oneof(fc.constantFrom('\\', '"', "'", ' '), fc.string({ maxLength: 3 })), { minLength: 1 })
      .map((parts) => parts.join(''))
      .filter((text) => text !== '')
    const detail = (text: string) => ({ kind: 'texts', texts: [text.toLowerCase()], outside: false })
    fc.assert(
      fc.property(name, name, (text, other) => {
        const [one, two] = [text, other].map((each) =>
          condition('details', {}, CLOCK, { ...NAMES, details: new Map([[3, each]]) }),
        )
        expect(parseFilter(one, CLOCK)).toMatchObject(detail(text))
        const [left, right] = [detail(text), { kind: 'not', operand: detail(other) }]
        expect(parseFilter(narrowed(one, two, false), CLOCK)).toMatchObject({ kind: 'and', left, right })
      }),
      { numRuns: 1000, examples: [['\\', 'x']] },
    )
  })

  test('an end without its start knows no process', () => {
    expect(condition('pid', { state: RowState.StartLost })).toBe('state == start_lost')
    expect(condition('status', { state: RowState.StartLost })).toBe('status == STATUS_SUCCESS')
  })

  test('is understood, alone and within a filter', () => {
    const rows: Row[] = [
      {},
      { major: 27, code: 0 },
      { status: 0xdeadbeef },
      { flags: RequestFlags.FastIo, major: 9 },
      { flags: RequestFlags.FellThrough },
      ...Object.values(RowState).map((state) => ({ state })),
    ]
    for (const row of rows)
      for (const column of COLUMNS) {
        const text = condition(column, row)
        if (text === '') continue
        expect(() => parseFilter(text, CLOCK), text).not.toThrow()
        expect(() => parseFilter(narrowed('pid == 4 || error', text, false), CLOCK), text).not.toThrow()
      }
  })

  test('narrows a filter without changing what it means', () => {
    expect(narrowed('', 'pid == 4', true)).toBe('pid == 4')
    expect(narrowed('error', 'pid == 4', false)).toBe('error && !(pid == 4)')
    expect(narrowed('error || pended', 'pid == 4', true)).toBe('(error || pended) && pid == 4')
    expect(narrowed('error or pended', 'pid == 4', true)).toBe('(error or pended) && pid == 4')
  })
})
