// memory.ts: shared memory that grows, as numbered parts: what is counted against a budget, and what native code is
// handed.
//
// The store keeps its numbers in shared buffers because those can be neither detached nor moved: whoever holds one may
// read and write it from native code until the call returns. A part that grows is replaced, never resized.

function allocate(bytes: number): ArrayBuffer | SharedArrayBuffer {
  return typeof SharedArrayBuffer === 'undefined' ? new ArrayBuffer(bytes) : new SharedArrayBuffer(bytes)
}

/** All that is counted together. */
export interface Account {
  bytes: number
  /** Asked when the machine has no memory left: gives some back, or returns false. */
  makeRoom(): boolean
}

export class Memory {
  /** By number; the numbers are those of the owner (Chunk, Capture). */
  readonly parts: Uint32Array[] = []
  #bytes = 0
  #counts = true

  constructor(readonly account: Account) {}

  /** Of all that was put or added. */
  get bytes(): number {
    return this.#bytes
  }

  /** A new part of zeros, in place of the one of that number. */
  put(part: number, bytes: number): Uint32Array {
    const words = this.#allocate(bytes)
    this.add(bytes - (this.parts[part]?.byteLength ?? 0))
    this.parts[part] = words
    return words
  }

  /** As `put`, but the part that had the number stays in use. */
  append(part: number, bytes: number): Uint32Array {
    const words = this.#allocate(bytes)
    this.add(bytes)
    this.parts[part] = words
    return words
  }

  /** Counts memory that lies elsewhere. */
  add(bytes: number): void {
    this.#bytes += bytes
    if (this.#counts) this.account.bytes += bytes
  }

  /** Is counted no more: whoever still holds it is about to let it go. */
  leave(): void {
    if (this.#counts) this.account.bytes -= this.#bytes
    this.#counts = false
  }

  #allocate(bytes: number): Uint32Array {
    for (;;) {
      try {
        return new Uint32Array(allocate(bytes))
      } catch (error) {
        if (!(error instanceof RangeError) || !this.account.makeRoom()) throw error
      }
    }
  }
}
