// packets.ts: the innermost loop of capture files: ordinary records become packet blocks, back to back.
//
// A function, because native code does the same many times faster over the same memory; here it is in TypeScript, for
// wherever there is no native code, and as the truth that tests compare the native one with.

import { RecordHeader, RecordType } from '../protocol/layout.ts'
import { recordTimestamp } from '../protocol/records.ts'
import { Block, PACKET_OVERHEAD, TAG_BYTES, TAG_WORDS } from './pcapng-blocks.ts'

/** Doubles: where a file stands, and what it may hold. The last four never change. */
export const PacketState = {
  /** Words of `out` that are in use. */
  used: 0,
  fileBytes: 1,
  /** With all packets it may not become larger. */
  mostFileBytes: 2,
  /** Records, over all files. */
  records: 3,
  /** Of the last record. */
  lastTicks: 4,
  /** A record of this time, or later, belongs into another file. */
  endTicks: 5,
  anchorTicks: 6,
  /** Ticks in 100 ns. */
  ticksPerUnit: 7,
  /** 100 ns since 1970 at the anchor, in two halves: a double cannot hold it. */
  anchorHigh: 8,
  anchorLow: 9,
  width: 10,
} as const

/** Of drivers with smaller ids the interfaces are looked up by the loop; the others are left to its caller. */
export const PACKET_DRIVERS = 256

/**
 * Writes starts and ends from word `at` of `records` on to `out`, and stops at the first record that it leaves to its
 * caller: one of another type, or of a driver without an interface, or for which there is no room. Returns its word, or
 * the length of `records`, all of which have passed `checkRecord`.
 *
 * `interfaces`: by driver id, its interface's number + 1, or 0. `received`: by that number, the records so far.
 */
export type WritePackets = (
  records: Uint32Array,
  at: number,
  out: Uint32Array,
  state: Float64Array,
  interfaces: Uint32Array,
  received: Float64Array,
) => number

const DRIVER = RecordHeader.driverId >> 2
const FRAME_BYTES = PACKET_OVERHEAD + TAG_BYTES
const TWO_32 = 0x1_0000_0000

export const writePackets: WritePackets = (records, at, out, state, interfaces, received) => {
  while (at < records.length) {
    const type = records[at + 1] & 0xff
    if (type !== RecordType.RequestStart && type !== RecordType.RequestEnd) break
    const driverId = records[at + DRIVER]
    if (driverId >= interfaces.length || interfaces[driverId] === 0) break
    const number = interfaces[driverId] - 1
    const ticks = recordTimestamp(records, at)
    const length = records[at] >>> 2
    const total = FRAME_BYTES + length * 4
    if (ticks >= state[PacketState.endTicks]) break
    if (state[PacketState.fileBytes] + total > state[PacketState.mostFileBytes]) break
    if (state[PacketState.used] + (total >> 2) > out.length) break
    writePacket(records, at, length, ticks, number, out, state)
    received[number]++
    state[PacketState.records]++
    at += length
  }
  return at
}

/** One packet, for which there is room. */
export function writePacket(
  records: Uint32Array,
  from: number,
  length: number,
  ticks: number,
  interfaceNumber: number,
  out: Uint32Array,
  state: Float64Array,
): void {
  const total = FRAME_BYTES + length * 4
  let at = state[PacketState.used]
  out[at] = Block.EnhancedPacket
  out[at + 1] = total
  out[at + 2] = interfaceNumber
  writeStamp(out, at + 3, ticks, state)
  out[at + 5] = TAG_BYTES + length * 4
  out[at + 6] = TAG_BYTES + length * 4
  out[at + 7] = TAG_WORDS[0]
  out[at + 8] = TAG_WORDS[1]
  out[at + 9] = TAG_WORDS[2]
  out[at + 10] = TAG_WORDS[3]
  at += 11
  if (length > 128) out.set(records.subarray(from, from + length), at)
  else for (let i = 0; i < length; i++) out[at + i] = records[from + i]
  at += length
  out[at] = total
  state[PacketState.used] = at + 1
  state[PacketState.fileBytes] += total
  state[PacketState.lastTicks] = ticks
}

/** Writes 100 ns since 1970, high word first. */
export function writeStamp(out: Uint32Array, at: number, ticks: number, state: Float64Array): void {
  const since = Math.floor((ticks - state[PacketState.anchorTicks]) / state[PacketState.ticksPerUnit])
  const low = state[PacketState.anchorLow] + since
  const carry = Math.floor(low / TWO_32)
  out[at] = state[PacketState.anchorHigh] + carry
  out[at + 1] = low - carry * TWO_32
}
