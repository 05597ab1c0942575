// What the benches and the soak believe of files: a record that is missing must show, whatever else is in order.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { RecordHeader } from '../../src/protocol/layout.ts'
import { captureFile, TEST_INFO } from '../support/capture-file.ts'
import { concat, end, hooked, loss, start } from '../support/records.ts'
import { readBack } from './recorded.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'drivermon-recorded-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

function write(records: Uint8Array[]): string {
  const file = captureFile(TEST_INFO)
  file.writer.begin(0)
  file.writer.write(concat(records), 0, {
    bytes: Number.POSITIVE_INFINITY,
    ticks: Number.POSITIVE_INFINITY,
  })
  file.writer.end()
  const path = join(folder, 'capture.pcapng')
  writeFileSync(path, file.bytes())
  return path
}

const record = (sequence: number, processor = 0) =>
  sequence % 2 === 0
    ? start({ id: sequence + 1, sequence, processor })
    : end({ id: sequence, sequence, processor })

function named(sequence: number): Uint8Array {
  const bytes = hooked(1, '\\Driver\\AFD')
  new DataView(bytes.buffer).setUint32(RecordHeader.sequence, sequence, true)
  return bytes
}

function lossBefore(sequence: number, starts: number, ends: number): Uint8Array {
  const bytes = loss([starts, 0, 7, 0, 0], [ends, 0, 0, 0, 0])
  new DataView(bytes.buffer).setUint32(RecordHeader.sequence, sequence, true)
  return bytes
}

test('whole files: each processor has its own numbers, and names have none', async () => {
  const path = write([
    hooked(1, '\\Driver\\AFD'),
    record(0),
    record(0, 1),
    hooked(1, '\\Driver\\AFD'),
    record(1),
  ])
  expect(await readBack([path])).toMatchObject({ starts: 2, ends: 1, before: 0, offered: 3, gaps: 0 })
})

test('a record that is missing is a gap', async () => {
  expect(await readBack([write([record(0), record(2)])])).toMatchObject({ offered: 3, gaps: 1 })
})

test('records that are told as lost are none, also the last ones', async () => {
  const path = write([record(0), lossBefore(4, 1, 2), record(4), lossBefore(6, 1, 0)])
  expect(await readBack([path])).toMatchObject({ starts: 2, ends: 0, offered: 6, gaps: 0 })
})

test('a loss of another size than the gap is a gap', async () => {
  expect((await readBack([write([record(0), lossBefore(4, 1, 1), record(4)])])).gaps).toBe(1)
})

test('names that the driver numbered first are not missing', async () => {
  const path = write([
    ...[0, 0, 1].map((sequence) => named(sequence)),
    record(2),
    record(3),
    named(4),
    record(5),
  ])
  expect(await readBack([path])).toMatchObject({ before: 0, offered: 6, gaps: 0 })
})

test('what was offered before the first record is told, whatever names are repeated', async () => {
  expect(await readBack([write([named(0), record(5), record(6)])])).toMatchObject({ before: 5, gaps: 0 })
})
