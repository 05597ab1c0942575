// The filter language: what it means, against an oracle that looks at one row after the other; and what it says when
// it does not understand.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { statusName } from '../../src/formats/ntstatus.ts'
import type { Capture } from '../../src/model/capture.ts'
import type { Field, Value } from '../../src/model/fields.ts'
import { fieldNamed, fields } from '../../src/model/fields.ts'
import { completeFilter } from '../../src/model/filter/complete.ts'
import { FilterError } from '../../src/model/filter/error.ts'
import { lex } from '../../src/model/filter/lexer.ts'
import { operatorsOf, parseFilter } from '../../src/model/filter/parser.ts'
import type { Request } from '../../src/model/request.ts'
import type { RowId, Ticks } from '../../src/protocol/ids.ts'
import { RequestFlags } from '../../src/protocol/layout.ts'
import { RowState } from '../../src/protocol/wire.ts'
import { emptyCapture, traffic } from '../support/captures.ts'
import { concat, end, hooked, start, utf16 } from '../support/records.ts'

function rowsOf(capture: Capture, filter: string): number[] {
  return [...capture.requests(filter)].length === 0
    ? []
    : Array.from(capture.requests(filter), (each) => Number(each.row))
}

/** A capture with one row of each kind that the examples need. */
function example(): Capture {
  const capture = emptyCapture()
  capture.learnProcesses(
    [
      { processId: 100, parentProcessId: 4, name: 'chrome.exe' },
      { processId: 200, parentProcessId: 4, name: 'svchost.exe' },
    ],
    0 as Ticks,
  )
  const afd = { driverId: 1, pid: 100, major: 14, code: 0x12017 }
  capture.ingest(
    concat([
      hooked(1, '\\Driver\\AFD'),
      hooked(2, '\\FileSystem\\Npfs'),
      // 0: AFD receive, 2 ms, success, with payload
      start({
        ...afd,
        id: 1,
        at: 1_000_000_000,
        inputLength: 24,
        payload: Uint8Array.of(1, 0xde, 0xad, 0xbe, 0xef),
      }),
      end({ id: 1, at: 1_000_020_000, arrival: 1_000_000_000, information: 1500n, payload: utf16('GET /') }),
      // 1: AFD send by fast I/O, 100 ns, cancelled
      start({
        ...afd,
        id: 2,
        at: 1_000_000_010,
        major: 9,
        flags: RequestFlags.FastIo,
        code: 0x1201f,
        pid: 200,
      }),
      end({
        id: 2,
        at: 1_000_000_011,
        arrival: 1_000_000_010,
        major: 9,
        flags: RequestFlags.FastIo | RequestFlags.Pended,
        status: 0xc0000120,
      }),
      // 2: CREATE on Npfs, in flight
      start({
        id: 3,
        driverId: 2,
        at: 1_000_050_000,
        major: 0,
        pid: 4,
        flags: RequestFlags.PayloadIsName,
        payload: utf16('\\lsass'),
        file: 0xffff8000_deadbeefn,
      }),
      // 3: READ on Npfs, 1 s, access violation
      start({ id: 4, driverId: 2, at: 1_000_060_000, major: 3, outputLength: 65536, offset: 4096n }),
      end({ id: 4, at: 1_010_060_000, arrival: 1_000_060_000, major: 3, driverId: 2, status: 0xc0000005 }),
    ]),
  )
  return capture
}

describe('what filters mean', () => {
  const capture = example()
  test.each<[string, number[]]>([
    ['', [0, 1, 2, 3]],
    ['   ', [0, 1, 2, 3]],
    ['driver == "\\Driver\\AFD"', [0, 1]],
    ['driver == \\driver\\afd', [0, 1]],
    ["driver == '\\Driver\\AFD'", [0, 1]],
    ['driver != \\Driver\\AFD', [2, 3]],
    ['major == DEVICE_CONTROL', [0, 1]],
    ['major == irp_mj_device_control', [0, 1]],
    ['function == IRP_MJ_DEVICE_CONTROL', [0]],
    ['function == FAST_IO_DEVICE_CONTROL', [1]],
    ['function in {READ, CREATE}', [2, 3]],
    ['fastio', [1]],
    ['!fastio', [0, 2, 3]],
    ['fastio == false', [0, 2, 3]],
    ['fastio != true', [0, 2, 3]],
    ['ioctl == IOCTL_AFD_RECV', [0]],
    ['ioctl == afd_send', [1]],
    ['ioctl == 0x12017', [0]],
    ['ioctl != IOCTL_AFD_RECV', [1]], // what is no control code is neither equal nor unequal to one
    ['!(ioctl == IOCTL_AFD_RECV)', [1, 2, 3]],
    ['latency > 1ms', [0, 3]],
    ['latency > 1.5 ms', []], // caught below: a unit belongs to its number
    ['latency <= 100ns', [1]],
    ['latency < 100ns', []],
    ['latency >= 1s', [3]],
    ['latency in {50ns..1ms, 1s}', [1, 3]],
    ['latency > 0', [0, 1, 3]],
    ['pid in {4, 200}', [1, 2]],
    ['pid in {100..200}', [0, 1, 3]],
    ['process contains "CHROME"', [0, 3]],
    ['process == svchost.exe', [1]],
    ['process matches "^(chrome|svc).*exe$"', [0, 1, 3]],
    ['status != 0', [1, 3]],
    ['status == STATUS_CANCELLED', [1]],
    ['status == cancelled', [1]],
    ['status == -1073741536', [1]],
    ['status in {STATUS_SUCCESS, 0xC0000005}', [0, 3]],
    ['status >= 0xC0000000', [1, 3]],
    ['error', [1, 3]],
    ['error && !pended', [3]],
    ['pended', [1]],
    ['state == in_flight', [2]],
    ['state != done', [2]],
    ['input contains de:ad:be:ef', [0]],
    ['input contains 0xdeadbeef', [0]],
    ['input contains ad:be:ff', []],
    ['input == 01:de:ad:be:ef', [0]],
    ['input != 01:de:ad:be:ef', [2]],
    ['output contains "GET"', [0]],
    ['input contains "lsass"', [2]],
    ['input_length == 24', [0]],
    ['output_length >= 64KB', [3]],
    ['output_length < 64KB', [0, 1, 2]],
    ['information == 1500', [0]],
    ['information > 0', [0]],
    ['information in {0..10}', [1, 3]],
    ['offset == 0x1000', [3]],
    ['file == 0xffff8000deadbeef', [2]],
    ['file > 0xffff8000deadbeee', [2]],
    ['file > 0xffff8000deadbeef', []],
    ['file != 0', [2]],
    ['detail == "\\lsass"', [2]],
    ['time > "2026-11-22T14:00:00.0055"', [3]],
    ['time <= "2026-11-22 14:00:00.000"', [0]],
    ['chrome', [0, 3]],
    ['"npfs"', [2, 3]],
    ['AFD_RECV', [0]],
    ['access_violation', [3]],
    ['lsass', [2]],
    ['fast_io', [1]],
    ['error || lsass', [1, 2, 3]],
    ['error or lsass and chrome', [1, 3]],
    ['(error or lsass) and not chrome', [1, 2]],
    ['NOT error AND fastio == 0', [0, 2]],
    ['row in {1..2}', [1, 2]],
  ])('%s', (filter, expected) => {
    if (filter === 'latency > 1.5 ms') {
      expect(() => rowsOf(capture, filter)).toThrow(/unit/)
      return
    }
    expect(rowsOf(capture, filter)).toEqual(expected)
  })
})

test('a duration that is a whole number of ticks is that number', () => {
  fc.assert(
    fc.property(fc.nat(2 ** 40), fc.constantFrom('ns', 'us', 'ms', 's'), (ticks, unit) => {
      const digits = String(100n * BigInt(ticks)).padStart(10, '0')
      const places = { ns: 0, us: 3, ms: 6, s: 9 }[unit]!
      const amount = `${digits.slice(0, digits.length - places)}.${digits.slice(digits.length - places)}0`
      const clock = { ticksPerSecond: 1e7, anchorTicks: 0, anchorUtcMs: 0 }
      expect(parseFilter(`latency == ${amount}${unit}`, clock)).toMatchObject({
        ranges: [{ low: ticks, high: ticks }],
      })
    }),
    { numRuns: 1000, examples: [[161, 'us']] },
  )
})

test.each<[string, string]>([
  [String.raw`"\Driver\AFD"`, String.raw`\Driver\AFD`],
  [String.raw`"\\server\share"`, String.raw`\\server\share`],
  [String.raw`"C:\"`, 'C:\\'],
  [String.raw`"C:\\"`, 'C:\\'],
  [String.raw`"C:\\" && "x"`, 'C:\\'],
  [String.raw`"a \"b\" c"`, 'a "b" c'],
  [String.raw`"a \\\" b"`, String.raw`a \" b`],
  [String.raw`'a \" b'`, String.raw`a \" b`],
])('quotes and backslashes: %s', (written, text) => expect(lex(written)[0].text).toBe(text))

describe('what it says', () => {
  test.each<[string, RegExp, number, number]>([
    ['latncy > 1ms', /no field “latncy”: did you mean latency\?/, 0, 6],
    ['Duration > 1ms', /no field “Duration”: did you mean latency\?/, 0, 8],
    ['details > 5', /did you mean information\?/, 0, 7],
    ['latency > 1', /duration with its unit/, 10, 11],
    ['latency > fast', /duration with its unit/, 10, 14],
    ['latency contains 1ms', /latency takes ==/, 8, 16],
    ['latency', /expected ==, !=, .* after latency/, 0, 7],
    ['latency 1ms', /expected ==/, 8, 11],
    ['status == ', /expected an NTSTATUS/, 10, 10],
    ['status == STATUS_SUCESS', /NTSTATUS by number or name/, 10, 23],
    ['ioctl == NO_SUCH', /control code/, 9, 16],
    ['process > "a"', /process takes/, 8, 9],
    ['pid in 4', /expected \{/, 7, 8],
    ['pid in {4, 5', /expected , or \}/, 12, 12],
    ['pid in {}', /a number/, 8, 9],
    ['pid in {9..4}', /ends before it begins/, 8, 12],
    ['function in {READ..WRITE}', /no ranges/, 17, 19],
    ['process matches "("', /no regular expression/, 16, 19],
    ['(error', /not closed/, 0, 1],
    ['error)', /never opened/, 5, 6],
    ['('.repeat(5000), /may lie 200 within one another/, 201, 202],
    ['!'.repeat(5000), /may lie 200 within one another/, 201, 202],
    [`"${'x'.repeat(9000)}"`, /up to 8192 characters/, 8192, 9002],
    ['error pended', /expected && or \|\|/, 6, 12],
    ['error &&', /expected a field/, 8, 8],
    ['&& error', /expected a field/, 0, 2],
    ['pid = 4', /compare with ==/, 4, 5],
    ['error & pended', /write &&/, 6, 7],
    ['"open', /closing quote/, 0, 5],
    ['input contains xyz', /bytes/, 15, 18],
    ['fastio == maybe', /true or false/, 10, 15],
    ['time > yesterday', /time in quotes/, 7, 16],
    ['"text" == 4', /quoted text is no field/, 0, 6],
    ['pid == 4 ; x', /means nothing/, 9, 10],
  ])('%s', (filter, message, from, to) => {
    const capture = emptyCapture()
    try {
      capture.view(filter, null)
      expect.unreachable()
    } catch (error) {
      expect(error).toBeInstanceOf(FilterError)
      const found = error as FilterError
      expect(found.message).toMatch(message)
      expect([found.start, found.end]).toEqual([from, to])
    }
  })

  test('any text is understood or refused with a place inside it', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        ...fields.map((field) => field.name),
        '==',
        '!=',
        '<',
        '>=',
        'in',
        '{',
        '}',
        '..',
        ',',
        '(',
        ')',
      ),
      fc.constantFrom(
        '&&',
        'or',
        'not',
        '!',
        '1ms',
        '0x10',
        '"a"',
        'de:ad',
        'STATUS_SUCCESS',
        'true',
        'contains',
        '"',
      ),
      fc.string({ maxLength: 4 }),
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
        const text = pieces.join(' ')
        try {
          parseFilter(text, { ticksPerSecond: 1e7, anchorTicks: 0, anchorUtcMs: 0 })
        } catch (error) {
          expect(error).toBeInstanceOf(FilterError)
          const { start: from, end: to } = error as FilterError
          expect(from).toBeLessThanOrEqual(to)
          expect(to).toBeLessThanOrEqual(text.length)
        }
      }),
      { numRuns: 3000 },
    )
  })
})

/** What only a start tells. */
const FROM_START = [
  ...['process', 'pid', 'tid', 'requestor', 'processor', 'irql', 'ioctl', 'code', 'detail', 'usermode'],
  ...['synchronous', 'paging', 'continues', 'irp', 'device', 'file'],
  ...['input_length', 'output_length', 'offset'],
]

/** Where the start was lost the store holds zeros. */
function knownValue(request: Request, name: string): Value {
  const isAbsent = request.value('state') === RowState.StartLost && FROM_START.includes(name)
  return isAbsent ? null : request.value(name)
}

describe('what a lost start would have told', () => {
  const capture = emptyCapture()
  capture.ingest(concat([end({ id: 1 }), start({ id: 2, pid: 0, tid: 0, mode: 0 }), end({ id: 2 })]))

  test.each(FROM_START)('%s is absent', (name) => {
    const field = fieldNamed(name)!
    const request = capture.request(0 as RowId)!
    expect([request.value(field), request.text(field), request.cell(field)]).toEqual([null, '', null])
    const literal = { flag: 'false', text: '""' }[field.type as string] ?? '0'
    for (const operator of operatorsOf(field).filter((each) => /^[=!<>]/.test(each))) {
      const comparison = `${name} ${operator} ${literal}`
      expect([comparison, rowsOf(capture, comparison).includes(0)]).toEqual([comparison, false])
      expect(rowsOf(capture, `!(${comparison})`)).toContain(0)
    }
    expect(rowsOf(capture, `${name} == ${literal}`)).toEqual([1])
  })

  test('is there once that has come after all', () => {
    const late = emptyCapture()
    late.ingest(concat([end({ id: 1 }), start({ id: 1, pid: 100 })]))
    expect(rowsOf(late, 'pid == 100 && usermode && input_length == 0')).toEqual([0])
  })
})

/** A test of one field with a value near those that occur, and what it should say of a row. */
const single: fc.Arbitrary<{ text: string; holds: (request: Request) => boolean }> = fc
  .record({
    name: fc.constantFrom(
      ...['pid', 'latency', 'information', 'status', 'input_length', 'offset', 'file', 'state', 'ioctl'],
      ...['tid', 'requestor', 'processor', 'irql', 'code', 'output_length', 'irp', 'device'],
    ),
    operator: fc.constantFrom('==', '!=', '<', '<=', '>', '>='),
    number: fc.constantFrom(0n, 4n, 100n, 4096n, 0x12017n, 0xc0000005n, 2n ** 32n, 2n ** 40n),
  })
  .filter(({ name, operator }) => operatorsOf(fieldNamed(name) as Field).includes(operator))
  .map(({ name, operator, number }) => {
    const state = ['in_flight', 'done', 'unseen', 'end_lost', 'start_lost'][Number(number % 5n)]
    const literal = name === 'latency' ? `${number * 100n}ns` : name === 'state' ? state : String(number)
    const wanted = name === 'state' ? number % 5n : number
    return {
      text: `${name} ${operator} ${literal}`,
      holds: (request) => {
        const value = knownValue(request, name)
        return value !== null && compare(BigInt(value as number | bigint), operator, wanted)
      },
    }
  })

function compare(value: bigint, operator: string, wanted: bigint): boolean {
  switch (operator) {
    case '==':
      return value === wanted
    case '!=':
      return value !== wanted
    case '<':
      return value < wanted
    case '<=':
      return value <= wanted
    case '>':
      return value > wanted
    default:
      return value >= wanted
  }
}

const flag = fc
  .tuple(
    fc.constantFrom(
      ...['fastio', 'error', 'pended', 'cancelled', 'usermode', 'truncated'],
      ...['synchronous', 'paging', 'continues'],
    ),
    fc.boolean(),
  )
  .map(([name, wanted]) => ({
    text: `${name} == ${wanted}`,
    holds: (request: Request) => knownValue(request, name) === wanted,
  }))

const text = fc.constantFrom('exe', 'DEVICE', 'recv', 'violation', '0x8').map((word) => ({
  text: `"${word}"`,
  holds: (request: Request) =>
    ['driver', 'process', 'detail', 'ioctl', 'function'].some((name) =>
      request.text(name).toLowerCase().includes(word.toLowerCase()),
    ) ||
    (request.value('status') !== null &&
      statusName(Number(request.value('status')))
        .toLowerCase()
        .includes(word.toLowerCase())),
}))

const compound = fc.letrec<{ node: { text: string; holds: (request: Request) => boolean } }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.oneof(single, flag, text),
    fc.record({ left: tie('node'), right: tie('node'), and: fc.boolean() }).map(({ left, right, and }) => ({
      text: `(${left.text}) ${and ? '&&' : 'or'} (${right.text})`,
      holds: (request: Request) =>
        and ? left.holds(request) && right.holds(request) : left.holds(request) || right.holds(request),
    })),
    tie('node').map((operand) => ({
      text: `!(${operand.text})`,
      holds: (request: Request) => !operand.holds(request),
    })),
  ),
})).node

test('a filter lets through what an oracle lets through', () => {
  fc.assert(
    fc.property(traffic, fc.array(compound, { minLength: 1, maxLength: 4 }), ({ records }, filters) => {
      const capture = emptyCapture()
      capture.ingest(concat([hooked(1, '\\Driver\\AFD'), ...records]))
      for (const filter of filters) {
        const expected = Array.from(
          capture.requests(''),
          (request) => [Number(request.row), filter.holds(request)] as const,
        )
          .filter(([, holds]) => holds)
          .map(([row]) => row)
        expect([filter.text, rowsOf(capture, filter.text)]).toEqual([filter.text, expected])
      }
    }),
    { numRuns: 300 },
  )
})

describe('completion', () => {
  const names = (text: string, caret = text.length) =>
    completeFilter(text, caret).items.map((item) => item.text)

  test('offers fields, their operators, their values, and what joins tests', () => {
    expect(names('')).toContain('latency')
    expect(names('lat')).toEqual(['latency'])
    expect(names('latency ')).toContain('<=')
    expect(names('process ')).toContain('contains')
    expect(names('state == ')).toContain('in_flight')
    expect(names('state == in_f')).toEqual(['in_flight'])
    expect(names('status == canc')[0]).toBe('STATUS_CANCELLED')
    expect(names('error ')).toContain('&&')
    expect(names('error && pen')).toEqual(['pended'])
    expect(names('(error ')).toContain('||')
    expect(names('ioctl in {IOCTL_AFD_RE')).toContain('IOCTL_AFD_RECV')
  })

  test('replaces the word at the caret only, and leaves what follows', () => {
    expect(completeFilter('lat > 1ms', 3)).toMatchObject({ start: 0, items: [{ text: 'latency' }] })
  })

  test('offers values that occur', () => {
    const { items } = completeFilter('driver == ', 10, (field) =>
      field === 'driver' ? ['\\Driver\\AFD'] : [],
    )
    expect(items.map((item) => item.text)).toEqual(['"\\Driver\\AFD"'])
  })

  test('keeps quiet inside a quoted text and after a mistake', () => {
    expect(names('process contains "chr')).toEqual([])
    expect(names('nofield == 1 && ')).toEqual([])
  })
})
