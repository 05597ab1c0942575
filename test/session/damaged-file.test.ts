// damaged-file.test.ts: captures that came to harm. Whatever byte was changed: what is read ends, what comes before the
// damage is shown, and what is wrong is said with its place; never another error, never other rows.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Capture } from '../../src/model/capture.ts'
import type { RowId } from '../../src/protocol/ids.ts'
import { CaptureFileError, loadCaptureFiles } from '../../src/session/capture-file.ts'

const golden = readFileSync(join(import.meta.dirname, '../golden/afd-sim.pcapng'))
const OPTIONS = { budgetBytes: 64 << 20 }

let folder: string
let whole: Capture
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'drivermon-'))
  whole = (await load(golden)).capture
})
afterAll(() => rmSync(folder, { recursive: true }))

function load(bytes: Uint8Array) {
  const path = join(folder, 'x.pcapng')
  writeFileSync(path, bytes)
  return loadCaptureFiles([path], OPTIONS)
}

/** The offsets at which blocks begin. */
function blocks(file: Buffer): number[] {
  const found: number[] = []
  for (let at = 0; at < file.length; at += file.readUInt32LE(at + 4)) found.push(at)
  return found
}

test('a block that is damaged costs what lies behind it, and is named', async () => {
  const at = blocks(golden).filter((block) => block > golden.length / 2)[0]
  const bytes = Buffer.from(golden)
  bytes.writeUInt32LE(7, at + 4)
  const { capture, warnings } = await load(bytes)
  expect(warnings).toHaveLength(1)
  expect(warnings[0]).toContain(
    `a block cannot be 7 bytes long (at byte ${at}); what comes before it was read`,
  )
  expect(capture.endRow).toBeGreaterThan(whole.endRow / 4)
  expect(capture.endRow).toBeLessThan(whole.endRow)
  const arrivals = (from: Capture) => {
    const times: string[] = []
    for (let row = 0; row < capture.endRow; row++) times.push(from.request(row as RowId)?.text('time') ?? '')
    return times
  }
  expect(arrivals(capture)).toEqual(arrivals(whole))
  expect(new Set(arrivals(capture)).size).toBeGreaterThan(10)
})

test('any bytes changed anywhere: rows or a refusal, and never more rows than there were packets', async () => {
  const damage = fc.array(fc.tuple(fc.nat(golden.length - 1), fc.nat(255)), { minLength: 1, maxLength: 3 })
  const packets = blocks(golden).length
  await fc.assert(
    fc.asyncProperty(damage, fc.nat(golden.length), async (changes, cut) => {
      const bytes = Buffer.from(golden.subarray(0, golden.length - (cut % 64)))
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value
      try {
        const { capture } = await load(bytes)
        expect(capture.endRow).toBeLessThanOrEqual(packets)
      } catch (error) {
        expect(error).toBeInstanceOf(CaptureFileError)
      }
    }),
    { numRuns: 150 },
  )
})
