// capture-file.ts: a capture file in memory, for tests.

import type { CaptureInfo } from '../../src/formats/capture-info.ts'
import type { WritePackets } from '../../src/formats/packets.ts'
import { type BlockSink, PcapngWriter } from '../../src/formats/pcapng-writer.ts'
import { concat } from './records.ts'

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
