// pcapng-blocks.ts: how our records lie in a pcapng file; what the writer and the reader must agree on.
//
//   section header      os, application, a comment with what the records need: ABI version, clock, source; one that
//                       numbers the file in a series; and one that says which requests are recorded, where not all are
//   interface 0         `DriverMon`: records of no driver in particular (losses, processes)
//   interface 1 …       one per hooked driver, in the order of their first record
//   enhanced packets    one per record: a 16-byte tag that names Wireshark's dissector, then the record as it is
//   interface statistics  records per interface, and on interface 0 those dropped; one with a comment stands where
//                       other requests began to be recorded
//
// A file of a series is complete in itself, but for the requests in flight when it began: their ends are in it, their
// starts in the file before.
//
// The link type is Wireshark's Upper PDU: the USER types are for private use and would collide. Time stamps are UTC
// in 100 ns (if_tsresol 7), made from the anchor; the records keep their ticks, so that nothing is rounded.
// There is no custom block: those need an enterprise number, and the comment does what is needed, readably.

import type { Ticks } from '../protocol/ids.ts'
import type { CaptureInfo } from './capture-info.ts'

export const Block = {
  SectionHeader: 0x0a0d0d0a,
  InterfaceDescription: 1,
  InterfaceStatistics: 5,
  EnhancedPacket: 6,
} as const

export const Option = {
  End: 0,
  Comment: 1,
  ShbOs: 3,
  ShbApplication: 4,
  IfName: 2,
  IfDescription: 3,
  IfTsResolution: 9,
  IsbReceived: 4,
  IsbDropped: 5,
} as const

export const BYTE_ORDER_MAGIC = 0x1a2b3c4d
export const LINKTYPE_UPPER_PDU = 252
/** 100 ns. */
export const TIMESTAMP_RESOLUTION = 7
/** No block of ours comes near; a larger one is damage. */
export const MAX_BLOCK_BYTES = 1 << 24
/** Block header, packet header, and the total length at the end. */
export const PACKET_OVERHEAD = 32

/** Tag 12 (dissector name, 8 bytes, `drvmon`), then the end tag: big-endian, as Wireshark defines them. */
export const TAG_BYTES = 16
const tag = new Uint8Array(TAG_BYTES)
tag.set([0, 12, 0, 8])
tag.set(new TextEncoder().encode('drvmon'), 4)
export const TAG_WORDS = new Uint32Array(tag.buffer)

const COMMENT = 'DriverMon capture'

/** `DriverMon capture: abi=1 ticksPerSecond=10000000 …` */
export function encodeInfo(info: CaptureInfo): string {
  const { abiVersion, ticksPerSecond, anchorTicks, anchorUtcMs, source } = info
  return `${COMMENT}: abi=${abiVersion} ticksPerSecond=${ticksPerSecond} anchorTicks=${anchorTicks} anchorUtcMs=${anchorUtcMs} source=${source}`
}

const SERIES = 'DriverMon series: file'

/** `DriverMon series: file 2; …`: the rest is for people. */
export function encodeSeries(number: number): string {
  const meaning =
    number > 1
      ? 'requests that were in flight when it began have their starts in the file before'
      : 'the first'
  return `${SERIES} ${number}; ${meaning}`
}

/** null for a comment that says nothing of it. */
export function decodeSeries(comment: string): number | null {
  if (!comment.startsWith(`${SERIES} `)) return null
  const number = Number.parseInt(comment.slice(SERIES.length + 1), 10)
  return number > 0 ? number : null
}

const RECORDED_ONLY = 'DriverMon records only'
/** What stands instead of '' where every request is recorded. */
const ALL_REQUESTS = 'all requests'

export function encodeRecordedOnly(words: string): string {
  return `${RECORDED_ONLY}: ${words || ALL_REQUESTS}`
}

/** null for a comment that says nothing of it. */
export function decodeRecordedOnly(comment: string): string | null {
  if (!comment.startsWith(`${RECORDED_ONLY}: `)) return null
  const words = comment.slice(RECORDED_ONLY.length + 2)
  return words === ALL_REQUESTS ? '' : words
}

/** Adds what is recorded from now on, unless it is what was recorded before. */
export function addRecordedOnly(steps: string[], words: string): void {
  if (words !== steps.at(-1)) steps.push(words)
}

/** `errors, then all requests`; '' where nothing but all requests was recorded. */
export function joinRecordedOnly(steps: readonly string[]): string {
  if (steps.every((words) => words === '')) return ''
  return steps.map((words) => words || ALL_REQUESTS).join(', then ')
}

/** null for a comment that is not ours, or lacks something. */
export function decodeInfo(comment: string, os: string, application: string): CaptureInfo | null {
  if (!comment.startsWith(`${COMMENT}: `)) return null
  const pairs = new Map(
    comment
      .slice(COMMENT.length + 2)
      .split(' ')
      .map((pair) => pair.split('=', 2) as [string, string]),
  )
  const number = (name: string) => Number(pairs.get(name) ?? Number.NaN)
  const info: CaptureInfo = {
    abiVersion: number('abi'),
    ticksPerSecond: number('ticksPerSecond'),
    anchorTicks: number('anchorTicks') as Ticks,
    anchorUtcMs: number('anchorUtcMs'),
    source: pairs.get('source') === 'sim' ? 'sim' : 'device',
    os,
    application,
    series: 0,
    recordedOnly: '',
  }
  const finite = [info.abiVersion, info.ticksPerSecond, info.anchorTicks, info.anchorUtcMs].every(
    Number.isFinite,
  )
  return finite && info.ticksPerSecond > 0 ? info : null
}
