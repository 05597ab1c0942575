// A capture that was once recorded from the simulated AFD (seed 7, 64 bytes of payload) still says what it said then,
// also when it arrives in pieces: files outlive the program that wrote them.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { PcapngReader } from '../../src/formats/pcapng-reader.ts'
import { Capture } from '../../src/model/capture.ts'

const file = readFileSync(join(import.meta.dirname, '../golden/afd-sim.pcapng'))

const COLUMNS = [
  'row',
  'time',
  'process',
  'pid',
  'tid',
  'ioctl',
  'status',
  'latency',
  'information',
  'input',
  'output',
]

function load(pieceBytes: number): Capture {
  const reader = new PcapngReader()
  let capture: Capture | null = null
  for (let at = 0; at < file.length; at += pieceBytes) {
    const records = reader.push(file.subarray(at, at + pieceBytes))
    if (records.length === 0 || !reader.info) continue
    capture ??= new Capture({ budgetBytes: 64 << 20, ...reader.info })
    capture.ingest(records)
  }
  expect(reader.end().tornBytes).toBe(0)
  capture?.finish()
  return capture!
}

test.each([100, 4096, file.length])('in pieces of %d bytes', async (pieceBytes) => {
  const capture = load(pieceBytes)
  expect([capture.rowCount, capture.inFlight, capture.unpairedEnds]).toEqual([124, 0, 0])
  expect([...capture.drivers.values()]).toEqual(['\\Driver\\AFD'])
  const counts = capture
    .stats()
    .map((each) => [each.function, each.count, each.pended, each.fellThrough, each.bytesIn])
  expect(counts).toEqual([
    [0, 1, 0, 0, 0],
    [2, 1, 0, 0, 0],
    [14, 4, 3, 0, 140],
    [18, 1, 0, 0, 0],
    [37, 117, 0, 4, 11079],
  ])
  const lines = Array.from(capture.requests('major == DEVICE_CONTROL'), (request) =>
    COLUMNS.map((name) => request.text(name)).join(' | '),
  )
  await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot('../golden/afd-sim.txt')
})
