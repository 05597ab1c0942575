// A capture that was once recorded under Wine (64 bytes of payload), with what its caller wrote down at the same time
// (test/wine): files outlive the program that wrote them.

import { join } from 'node:path'
import { expect, test } from 'vitest'
import { fields } from '../../src/model/fields.ts'
import { loadCaptureFile } from '../../src/session/capture-file.ts'
import { type Row, readTruth, requestsOf } from '../wine/truth.ts'
import { comparable } from '../wine/what-wine-cannot-show.ts'

const echo = '\\Driver\\DrivermonEcho'

test('an old capture still says what its caller asked', async () => {
  const truth = readTruth(join(import.meta.dirname, 'wine.truth.jsonl'), { input: 64, output: 64 })
  const { capture, warnings } = await loadCaptureFile(join(import.meta.dirname, 'wine.pcapng'), {
    budgetBytes: 64 << 20,
  })
  expect(warnings).toEqual([])
  expect(capture.unpairedEnds + capture.inFlight).toBe(0)

  const rows = Array.from(capture.requests(`pid == ${truth.process} && driver == "${echo}"`), (request) => {
    const cells = fields.map((field) => [field.name, request.cell(field)])
    return Object.fromEntries(cells) as unknown as Row
  })
  const issued = comparable(truth.threads).map((requests) => requests.filter(({ driver }) => driver === echo))
  expect(issued.flat()).toHaveLength(178)
  expect(comparable(requestsOf(rows))).toEqual(issued)
})
