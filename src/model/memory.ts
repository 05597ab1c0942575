// memory.ts: shared memory that grows, as numbered parts: what is counted against a budget, and what native code is
// handed.
//
// The store keeps its numbers in shared buffers because those can be neither detached nor moved: whoever holds one may
// read and write it from native code until the call returns. A part that grows is replaced, never resized.

function allocate(bytes: number): ArrayBuffer | SharedArrayBuffer {
  return typeof SharedArrayBuffer === 'undefined' ? new ArrayBuffer(bytes) : new SharedArrayBuffer(bytes)
}

/** So much may lie ready: about what one heavy chunk takes. */
const MOST_SPARE_BYTES = 8 << 20

/**
 * Pieces that nobody looks at any more, for whoever needs one of their size next. The system's memory comes page by
 * page, each at the price of some hundred records; where rows leave as fast as they come that is a tenth of all work.
 */
export class Spares {
  readonly #pieces = new Map<number, Uint32Array[]>()
  #bytes = 0

  /** Holds what its last user left in it. */
  take(bytes: number): Uint32Array | undefined {
    const piece = this.#pieces.get(bytes)?.pop()
    if (piece) this.#bytes -= bytes
    return piece
  }

  give(piece: Uint32Array): void {
    const { byteLength } = piece
    if (this.#bytes + byteLength > MOST_SPARE_BYTES) return
    this.#bytes += byteLength
    const alike = this.#pieces.get(byteLength)
    if (alike) alike.push(piece)
    else this.#pieces.set(byteLength, [piece])
  }

  clear(): void {
    this.#pieces.clear()
    this.#bytes = 0
  }
}

/** All that is counted together. */
export interface Account {
  bytes: number
  /** Not counted. */
  spares: Spares
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
    const words = this.account.spares.take(bytes)?.fill(0) ?? this.#allocate(bytes)
    this.add(bytes - (this.parts[part]?.byteLength ?? 0))
    this.parts[part] = words
    return words
  }

  /** As `put`, but the part that had the number stays in use, and the new one may hold anything. */
  append(part: number, bytes: number): Uint32Array {
    const words = this.account.spares.take(bytes) ?? this.#allocate(bytes)
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
        this.account.spares.clear()
        if (!(error instanceof RangeError) || !this.account.makeRoom()) throw error
      }
    }
  }
}
