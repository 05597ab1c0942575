// recorded.ts: capture files read back with the product's own reader: how many records they hold, and whether one is
// missing that nothing tells of.
//
// Each record of the driver carries the number of records that its processor had offered before it, also of those that
// were dropped; a Loss record tells how many that were. So files are complete if the numbers go on from record to
// record, and reach the sum that the driver has counted. Names have numbers too, but files repeat them at their heads, and
// user mode adds some without one: they fill a place if they fit.

import { createReadStream } from 'node:fs'
import { PcapngReader } from '../../src/formats/pcapng-reader.ts'
import { RecordHeader, RecordType } from '../../src/protocol/layout.ts'
import { addLoss, forEachRecord, type Losses, lostRecords, noLosses } from '../../src/protocol/records.ts'

export interface ReadBack {
  starts: number
  ends: number
  /** Told by the files. */
  losses: Losses
  /** Offered before the first record that is there, as in files that are deleted by now. */
  before: number
  /** Offered up to the last record, or the last loss, that is told of. */
  offered: number
  /** Places where a record is missing and no loss was told. */
  gaps: number
}

/** The records of whole files, back to back, in batches. Throws for a file that is damaged or cut off. */
export async function* recordsOf(paths: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const path of paths) {
    const reader = new PcapngReader()
    for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 }))
      yield reader.push(piece as Uint8Array)
    const { tornBytes } = reader.end()
    if (tornBytes > 0) throw new Error(`${path} is cut off: ${tornBytes} bytes of its last block`)
  }
}

export async function readBack(paths: readonly string[]): Promise<ReadBack> {
  const found: ReadBack = { starts: 0, ends: 0, losses: noLosses(), before: 0, offered: 0, gaps: 0 }
  /** By processor: the number of its next record; and those of the names before its first. */
  const next = new Map<number, number>()
  const named = new Map<number, Set<number>>()
  const take = (words: Uint32Array, at: number, type: number) => {
    const processor = words[at + (RecordHeader.processor >> 2)] >>> 16
    const sequence = words[at + (RecordHeader.sequence >> 2)]
    const expected = next.get(processor)
    const lostBefore = lostRecords(found.losses)
    if (type === RecordType.RequestStart) found.starts++
    else if (type === RecordType.RequestEnd) found.ends++
    else if (type === RecordType.Loss) addLoss(found.losses, words, at)
    else if (expected === undefined)
      return void named.set(processor, (named.get(processor) ?? new Set()).add(sequence))
    else if (sequence !== expected) return
    const missing = lostRecords(found.losses) - lostBefore
    if (expected === undefined) {
      let first = sequence - missing
      while (named.get(processor)?.has(first - 1)) first--
      found.before += first
    } else if ((expected + missing) >>> 0 !== sequence) found.gaps++
    next.set(processor, type === RecordType.Loss ? sequence : (sequence + 1) >>> 0)
  }
  for await (const batch of recordsOf(paths)) forEachRecord(batch, take)
  for (const sequence of next.values()) found.offered += sequence
  return found
}
