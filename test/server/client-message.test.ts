// client-message.test.ts: what comes over the socket is a message or a BadMessage; nothing in between, whatever was sent.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BadMessage, MAX_WINDOW_ROWS, parseClientMessage } from '../../src/server/client-message.ts'

const settings = {
  predicates: {
    drivers: { mode: 'allBut', values: ['\\Driver\\disk'] },
    functions: { mode: 'any', values: [] },
    processes: { mode: 'only', values: [4, 1208] },
    codes: { mode: 'allBut', values: [0x12017] },
    errorsOnly: true,
    minimumLatencyNs: 1000,
    sampleEvery: 10,
    ownProcesses: false,
  },
  inputSnapLength: 256,
  outputSnapLength: 0,
}

const proper: object[] = [
  { type: 'hello', wire: 3 },
  ...['listDrivers', 'start', 'stop', 'clear', 'stopRecord', 'inFlight'].map((type) => ({ type })),
  { type: 'addDriver', name: '\\Driver\\AFD', force: false },
  { type: 'removeDriver', name: '\\Driver\\AFD' },
  { type: 'configure', settings },
  { type: 'record', path: 'x.pcapng', rotation: { sizeBytes: 1 << 30, timeMs: 0, keep: 4 } },
  { type: 'record', path: 'x.pcapng', rotation: null },
  { type: 'setBudget', bytes: 1 << 30 },
  {
    type: 'view',
    filter: 'latency > 1ms',
    sort: { field: 'latency', descending: true },
    first: 0,
    count: 60,
    follow: true,
    anchor: { row: 17, index: 3 },
  },
  { type: 'detail', row: 17, stamp: 1 },
]

test.each(proper)('a proper message is what it says: %j', (message) => {
  expect(parseClientMessage(JSON.stringify(message))).toEqual(message)
})

test('a window is bounded, whatever it asks for', () => {
  const view = { type: 'view', filter: '', sort: null, first: 0, count: 1e9, follow: false, anchor: null }
  expect(parseClientMessage(JSON.stringify(view))).toMatchObject({ count: MAX_WINDOW_ROWS })
})

/** Every place in a value at which there is another value. */
function placesIn(value: unknown, path: string[] = []): string[][] {
  if (typeof value !== 'object' || value === null) return [path]
  return [path, ...Object.entries(value).flatMap(([key, each]) => placesIn(each, [...path, key]))]
}

function replaced(value: unknown, [key, ...rest]: string[], by: unknown): unknown {
  if (key === undefined) return by
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([each, old]) => [
    each,
    each === key ? replaced(old, rest, by) : old,
  ])
  return Array.isArray(value) ? entries.map(([, each]) => each) : Object.fromEntries(entries)
}

const strange = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom(-1, 0.5, 1e300, 2 ** 53, 2 ** 32, '', '__proto__', [], {}, null, undefined),
  fc.string({ unit: 'binary' }),
)

/** Read, or refused in words; a message that was read is the same when it is sent again. */
function check(text: string): void {
  try {
    const message = parseClientMessage(text)
    expect(parseClientMessage(JSON.stringify(message))).toEqual(message)
  } catch (error) {
    expect(error).toBeInstanceOf(BadMessage)
    expect((error as BadMessage).message.length).toBeLessThan(200)
  }
}

test('a message with anything in any place is a message or refused in words', () => {
  const spoiled = fc
    .constantFrom(...proper)
    .chain((message) =>
      fc
        .array(fc.tuple(fc.constantFrom(...placesIn(message)), strange), { minLength: 1, maxLength: 3 })
        .map((changes) =>
          changes.reduce<unknown>((value, [place, by]) => replaced(value, place, by), message),
        ),
    )
  fc.assert(
    fc.property(spoiled, (value) => check(JSON.stringify(value) ?? 'undefined')),
    { numRuns: 2000 },
  )
})

test('text that is no message is refused in words', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.json()), (text) => check(text)),
    { numRuns: 1000 },
  )
  check('['.repeat(100_000))
  check(`{"type":${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}}`)
})
