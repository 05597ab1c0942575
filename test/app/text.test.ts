// text.test.ts: what the page says: hex, selections, the selected request in words.

import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import type { RowWindow } from '../../app/rows/row-window.ts'
import { describe as describeRequest, noInputText, noOutputText } from '../../app/text/detail-text.ts'
import { functionColour, OTHERS_COLOUR } from '../../app/text/function-colours.ts'
import { HexLayout, readSelection } from '../../app/text/hex-layout.ts'
import { inFlightName, inFlightTitle } from '../../app/text/in-flight-text.ts'
import { RowText } from '../../app/text/row-text.ts'
import type { Detail } from '../../app/worker/frames.ts'
import { functionNames } from '../../src/formats/irp-names.ts'
import type { DriverId, FunctionIndex, RowId, Ticks } from '../../src/protocol/ids.ts'
import { FUNCTION_COUNT, RequestFlags } from '../../src/protocol/layout.ts'

const CLOCK = { ticksPerSecond: 1e7, anchorTicks: 0, anchorUtcMs: Date.UTC(2026, 0, 1) }

describe('HexLayout', () => {
  const bytes = Uint8Array.from({ length: 40 }, (_, i) => i + 0x30)

  test('lays bytes out in rows of 16 and of 8', () => {
    const wide = new HexLayout(bytes, 16)
    expect(wide.rows).toBe(3)
    expect(wide.offset(1)).toBe('0010')
    expect(wide.hex(0)).toBe('30 31 32 33 34 35 36 37  38 39 3a 3b 3c 3d 3e 3f  ')
    expect(wide.ascii(0)).toBe('0123456789:;<=>?')
    expect(wide.ascii(2)).toBe('PQRSTUVW')
    const narrow = new HexLayout(bytes, 8)
    expect(narrow.rows).toBe(5)
    expect(narrow.hex(4).trim()).toBe('50 51 52 53 54 55 56 57')
    expect(narrow.offset(4)).toBe('0020')
  })

  test('a press on a byte, in hex or in text, finds that byte; its marks cover it', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 200 }),
        fc.constantFrom(8 as const, 16 as const),
        (length, perRow) => {
          const data = new Uint8Array(length)
          const layout = new HexLayout(data, perRow)
          for (let byte = 0; byte < length; byte++) {
            const row = Math.floor(byte / perRow)
            const marks = layout.marks(row, byte, byte + 1)
            expect(marks.map(([, width]) => width)).toEqual([2, 1])
            for (const [at, width] of marks)
              for (let character = at; character < at + width; character++)
                expect(layout.byteAt(row, character + 0.5)).toBe(byte)
          }
        },
      ),
      { numRuns: 30 },
    )
  })

  test('marks stand under the digits and characters of their bytes', () => {
    const layout = new HexLayout(bytes, 16)
    const line = `${layout.offset(0)}  ${layout.hex(0)}${layout.ascii(0)}`
    const covered = layout.marks(0, 6, 10).map(([at, width]) => line.slice(at, at + width))
    expect(covered).toEqual(['36 37  38 39', '6789'])
    expect(layout.marks(1, 6, 10)).toEqual([])
  })

  test('beyond the last byte is the last byte', () => {
    const layout = new HexLayout(bytes, 16)
    expect(layout.byteAt(9, 200)).toBe(39)
    expect(layout.byteAt(0, 0)).toBe(0)
  })
})

test('a selection is read little-endian, as far as its bytes go', () => {
  const bytes = Uint8Array.of(0x94, 0x04, 0x00, 0x80, 0x41, 0x42, 0x43, 0x00, 0x7f)
  const read = (start: number, end: number) => Object.fromEntries(readSelection(bytes, start, end))
  expect(read(0, 4)).toEqual({
    u8: '148',
    u16: '1,172',
    u32: '2,147,484,820',
    i32: '-2,147,482,476',
    hex: '0x80000494',
    ascii: '“····”',
  })
  expect(read(4, 7)).toEqual({ u8: '65', u16: '16,961', ascii: '“ABC”' })
  // One byte stands for the place.
  expect(read(0, 1)).toMatchObject({ u8: '148', u16: '1,172', hex: '0x80000494' })
  expect(read(8, 9)).toEqual({ u8: '127' })
})

test('every function has a colour, and the usual ones differ', () => {
  for (let fn = 0; fn < FUNCTION_COUNT; fn++)
    expect(functionColour(fn as FunctionIndex), functionNames[fn]).toBeLessThan(OTHERS_COLOUR)
  const usual = ['FAST_IO_DEVICE_CONTROL', 'DEVICE_CONTROL', 'CREATE', 'CLEANUP', 'CLOSE', 'READ', 'WRITE']
  const colours = usual.map((name) => functionColour(functionNames.indexOf(name) as FunctionIndex))
  expect(new Set(colours).size).toBe(usual.length)
})

test('a time of day is that of its own season, on both sides of a clock change', () => {
  vi.stubEnv('TZ', 'Europe/Berlin')
  try {
    const text = new RowText({ drivers: new Map(), processes: new Map(), details: new Map() })
    text.clock = { ...CLOCK, anchorTicks: 0 as Ticks }
    const timeAt = (utcMs: number) => {
      const ticks = (utcMs - CLOCK.anchorUtcMs) * 1e4
      return text.time({ arrival: () => ticks } as unknown as RowWindow, 0)
    }
    expect(timeAt(Date.UTC(2026, 0, 15, 12))).toBe('13:00:00.000000')
    expect(timeAt(Date.UTC(2026, 6, 15, 12))).toBe('14:00:00.000000')
    const change = Date.UTC(2026, 9, 25, 1)
    expect([timeAt(change - 1), timeAt(change)]).toEqual(['02:59:59.999000', '02:00:00.000000'])
  } finally {
    vi.unstubAllEnvs()
  }
})

describe('the selected request in words', () => {
  const nothing = { bytes: new Uint8Array(), total: 0, isName: false, missed: null }
  const request: Detail = {
    row: 1 as RowId,
    requestId: 2,
    irp: '0xFFFFA60F6C3B8A40',
    deviceObject: '0xFFFFA60F5E12D060',
    fileObject: '0x0',
    driverId: 1 as DriverId,
    driverName: '\\Driver\\AFD',
    processId: 11860,
    threadId: 9244,
    requestorProcessId: 11860,
    processName: 'msedge.exe',
    requestorProcessName: 'msedge.exe',
    major: 14,
    minor: 0,
    fastIo: false,
    requestorMode: 1,
    irql: 0,
    startProcessor: 0,
    flags: RequestFlags.Pended,
    irpFlags: 0,
    code: 0x12017,
    inputLength: 24,
    outputLength: 1460,
    byteOffset: '0',
    continues: null,
    continuedBy: null,
    arrival: 0 as Ticks,
    end: {
      completion: 34180 as Ticks,
      status: 0,
      information: '1460',
      irql: 2,
      processor: 1,
      processId: 4,
      threadId: 8,
      processName: 'System',
    },
    input: nothing,
    output: nothing,
  }
  const field = (detail: Detail, name: string) =>
    describeRequest(detail, CLOCK).fields.find((each) => each.name === name)

  test('a control request that pended', () => {
    const text = describeRequest(request, CLOCK)
    expect(text).toMatchObject({ title: 'IOCTL_AFD_RECV', code: '0x00012017', course: 'pended' })
    expect(text.steps).toEqual(['arrived', 'pended', 'completed 3.42 ms, other CPU'])
    expect(field(request, 'Status')).toMatchObject({ value: 'STATUS_SUCCESS', tone: 'ok' })
    expect(field(request, 'Information')?.value).toBe('1,460 bytes')
    expect(field(request, 'Completed in')?.value).toBe('System 4 / 8')
    expect(field(request, 'Flags')?.value).toBe('pended')
  })

  test('one that is still in flight claims no end', () => {
    const inFlight = { ...request, end: null }
    const text = describeRequest(inFlight, CLOCK)
    expect(noOutputText(inFlight)).toBe('not completed yet')
    expect(text.course).toBe('in-flight')
    expect(text.fields.map(({ name }) => name)).not.toContain('Information')
    expect(text.fields[0]).toMatchObject({ name: 'Status', value: 'in flight' })
  })

  test('one whose end is lost is not in flight', () => {
    const lost = { ...request, flags: RequestFlags.Uncaptured, end: null }
    const text = describeRequest(lost, CLOCK)
    expect(text).toMatchObject({ course: 'end-lost', ending: 'none', steps: ['arrived', 'end lost'] })
    expect(text.fields[0]).toMatchObject({ name: 'Status', value: 'end lost' })
    expect(noOutputText(lost)).toBe('end lost')
  })

  test('one whose start is lost tells what its end does, and nothing of who asked for what', () => {
    const zeros = { processId: 0, threadId: 0, requestorProcessId: 0, processName: '', code: 0 }
    const unknown = { irp: '', deviceObject: '', fileObject: '', inputLength: 0, outputLength: 0 }
    const idle = { ...request.end!, processId: 0, threadId: 0, processName: '' }
    const lost = { ...request, ...zeros, ...unknown, end: idle }
    const text = describeRequest(lost, CLOCK)
    expect(text).toMatchObject({ title: 'IRP_MJ_DEVICE_CONTROL', code: '' })
    expect(text.steps).toEqual(['start lost', 'pended', 'completed 3.42 ms'])
    expect(text.fields.map(({ name, value, extra }) => [name, value, extra])).toEqual([
      ['Status', 'STATUS_SUCCESS', '0x00000000'],
      ['Information', '1,460 bytes', undefined],
      ['Function', 'IRP_MJ_DEVICE_CONTROL', undefined],
      ['Requestor', 'not known: the start was lost', undefined],
      ['Completed in', 'process 0 / 0', 'IRQL 2, CPU 1'],
      ['Arrived', expect.any(String), undefined],
      ['Driver', '\\Driver\\AFD', undefined],
      ['Flags', 'pended', undefined],
    ])
    expect([noInputText(lost), noInputText(request)]).toEqual(['start lost', 'no input'])
  })

  test('a call that fell through has no status, whatever it left there', () => {
    const call = { ...request, fastIo: true, major: 9, flags: RequestFlags.FellThrough }
    expect(field(call, 'Status')?.value).toBe('none: fell through to an IRP')
    expect(field(call, 'Information')).toBeUndefined()
    expect(describeRequest(call, CLOCK)).toMatchObject({
      ending: 'refused',
      steps: ['arrived', 'refused after 3.42 ms'],
    })
  })

  test('one that pended and failed shows both', () => {
    const failed = { ...request, end: { ...request.end!, status: 0xc0000120 } }
    expect(describeRequest(failed, CLOCK)).toMatchObject({ course: 'pended', ending: 'failed' })
  })

  test('a call that fell through and the IRP that followed name each other', () => {
    const row = 1234 as RowId
    expect(field({ ...request, continues: { row } }, 'Continues')).toMatchObject({
      value: 'a fast-I/O call in row 1,234',
      row,
    })
    expect(field({ ...request, continues: { row: null } }, 'Continues')?.value).toMatch(/not among the rows$/)
    expect(field({ ...request, continuedBy: row }, 'Continued by')?.value).toBe('the IRP in row 1,234')
  })

  test('CREATE is read from where the driver packed it', () => {
    const create = { ...request, major: 0, code: 0x03000060, byteOffset: String(0x100080n | (3n << 32n)) }
    expect(describeRequest(create, CLOCK).title).toBe('IRP_MJ_CREATE')
    expect(field(create, 'Disposition')).toMatchObject({ value: 'open or create', extra: 'options 0x000060' })
    expect(field(create, 'Access')).toMatchObject({ value: '0x00100080', extra: 'share read, write' })
  })

  test('Information of a power request is no byte count', () => {
    const power = { ...request, major: 22, end: { ...request.end!, information: '18446649400577294336' } }
    expect(field(power, 'Information')?.value).toBe('18446649400577294336')
  })
})

describe('a request in flight', () => {
  const request = {
    ...{ requestId: 9, arrival: 0 as Ticks, driverId: 1 as DriverId, driverName: '\\Driver\\AFD' },
    ...{ processId: 1208, threadId: 1212, processName: 'chrome.exe' },
    ...{ function: 14 as FunctionIndex, minor: 0, code: 0x12017, held: false },
  }

  test('is known by its code or its function', () => {
    expect(inFlightName(request)).toBe('AFD_RECV')
    expect(inFlightName({ ...request, code: 0x222418 })).toBe('0x00222418')
    expect(inFlightName({ ...request, function: 3 as FunctionIndex })).toBe('READ')
  })

  test('says who waits for what, and whether its end decides if it is recorded', () => {
    const lines = [
      'DEVICE_CONTROL IOCTL_AFD_RECV',
      'to \\Driver\\AFD',
      'process chrome.exe 1208, thread 1212',
    ]
    expect(inFlightTitle(request).split('\n')).toEqual(lines)
    expect(inFlightTitle({ ...request, held: true }).split('\n')).toEqual([
      ...lines,
      'not recorded yet: its end decides',
    ])
  })
})
