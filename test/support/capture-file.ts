// capture-file.ts: a capture file in memory, for tests.

import type { CaptureInfo } from '../../src/formats/capture-info.ts'
import type { WritePackets } from '../../src/formats/packets.ts'
import { type BlockSink, PcapngWriter } from '../../src/formats/pcapng-writer.ts'
import type { Ticks } from '../../src/protocol/ids.ts'
import { concat } from './records.ts'

/** What a test's capture file says of itself, unless that matters. */
export const TEST_INFO: CaptureInfo = {
  abiVersion: 1,
  ticksPerSecond: 1e7,
  anchorTicks: 0 as Ticks,
  anchorUtcMs: 0,
  os: 'test',
  application: 'test',
  source: 'sim',
  series: 0,
  recordedOnly: '',
}

export interface MemoryFile {
  writer: PcapngWriter
  /** What was written since the last call. */
  bytes(): Uint8Array
}

/** `bufferBytes` is small, so that blocks meet the ends of buffers. */
export function captureFile(info: CaptureInfo, bufferBytes = 1024, native?: WritePackets): MemoryFile {
  let parts: Uint8Array[] = []
  const sink: BlockSink = {
    buffer: (bytes) => new Uint8Array(Math.max(bytes, bufferBytes)),
    full: (blocks) => parts.push(blocks),
  }
  const writer = new PcapngWriter(info, sink, native)
  return {
    writer,
    bytes() {
      writer.flush()
      const all = concat(parts)
      parts = []
      return all
    },
  }
}
