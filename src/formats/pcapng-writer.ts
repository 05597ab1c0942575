// pcapng-writer.ts: a capture file, block by block. (Signature first; body follows.)

import type { CaptureInfo } from './capture-info.ts'

export class PcapngWriter {
  constructor(readonly info: CaptureInfo) {}

  /** The file's first blocks. */
  header(): Uint8Array {
    return new Uint8Array(0)
  }

  /** The blocks for a batch of records. The bytes are the writer's own and are overwritten by the next call. */
  write(_batch: Uint8Array): Uint8Array {
    return new Uint8Array(0)
  }

  /** Statistics so far (records per interface, drops): at the end, and as often as one likes before. */
  statistics(): Uint8Array {
    return new Uint8Array(0)
  }
}
