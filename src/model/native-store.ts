// native-store.ts: what native code may do for the store, if there is any: the addon has it. Each is the same, to the last
// bit, as what the model does by itself without, only quicker.

import type { Loops } from './loops.ts'

export interface NativeStore {
  /** The loops of filters. */
  readonly loops: Loops
  /**
   * Takes in records from word `at` of `records` on, as Capture.ingest does and in the same memory, and stops at the
   * first that it leaves to its caller: anything that is not an ordinary start or end, or for which memory must grow.
   * Nothing of that one has been taken in. Returns its word, or the length of `records`.
   *
   * `captureParts` are the capture's parts by number (CapturePart), `chunkParts` those of each of its chunks, oldest
   * first (ChunkPart). They are not kept beyond the call.
   */
  ingest(
    records: Uint32Array,
    at: number,
    captureParts: readonly Uint32Array[],
    chunkParts: readonly (readonly Uint32Array[])[],
  ): number
}
