// pcapng-reader.ts: reads a capture file in pieces of any size. (Signature first; body follows.)

import type { CaptureInfo } from './capture-info.ts'

/** The file is no pcapng, not ours, or broken. `offset` is in bytes from its start. */
export class PcapngError extends Error {
  override readonly name = 'PcapngError'
  constructor(
    message: string,
    readonly offset: number,
  ) {
    super(`${message} (at byte ${offset})`)
  }
}

export class PcapngReader {
  /** null until the file's head has been read. Never null after `push` has returned records. */
  readonly info: CaptureInfo | null = null

  /** Takes the file's next bytes; returns the records that are whole now, back to back (often none). Throws PcapngError. */
  push(_chunk: Uint8Array): Uint8Array {
    return new Uint8Array(0)
  }

  /** The file has ended: bytes of an unfinished last block, 0 for a clean end. Throws if not even the head was there. */
  end(): { tornBytes: number } {
    return { tornBytes: 0 }
  }
}
