// slot-ring.ts: the JavaScript end of the pump: takes full slots in turn and hands their bytes on.
//
// The native thread fills slots (layout: NativeSource.startPump) and rings; here they are emptied in turns that are
// bounded in time, so that a busy driver cannot starve sockets and queries. Whoever consumes the batches can pause
// the ring: then slots stay full, the pump waits, the driver's rings fill, and the driver counts what it drops.
// Nothing in between can lose anything.

import type { NativeSource } from '../../addon/binding.ts'
import { MIN_DATA_BYTES } from '../protocol/layout.ts'

const HEADER_BYTES = 64
const SLOT_FREE = 0

export interface SlotRingOptions {
  slotCount?: number
  slotBytes?: number
  /** How long one turn may hold the event loop. */
  turnMs?: number
  now?: () => number
}

export type PumpSource = Pick<NativeSource, 'startPump' | 'released' | 'pumping'>

export class SlotRing {
  /** Resolves when the pump has ended and every slot is empty; with an error when it ended by itself. */
  readonly ended: Promise<Error | null>

  #source: PumpSource
  #onBatch: (bytes: Uint8Array) => void
  #states: Int32Array[] = []
  #sizes: Uint32Array[] = []
  #slots: Uint8Array[] = []
  #next = 0
  #paused = false
  #scheduled = false
  #error: Error | null = null
  #done = false
  #resolveEnded!: (error: Error | null) => void
  #turnMs: number
  #now: () => number

  /** Starts the pump. `onBatch` gets whole records; the bytes are valid only during the call. */
  constructor(source: PumpSource, onBatch: (bytes: Uint8Array) => void, options: SlotRingOptions = {}) {
    const slotCount = options.slotCount ?? 64
    const slotBytes = options.slotBytes ?? MIN_DATA_BYTES
    this.#turnMs = options.turnMs ?? 8
    this.#now = options.now ?? (() => performance.now())
    this.#source = source
    this.#onBatch = onBatch
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve
    })

    const memory = new SharedArrayBuffer(slotCount * (HEADER_BYTES + slotBytes))
    const data = slotCount * HEADER_BYTES
    for (let i = 0; i < slotCount; i++) {
      this.#states.push(new Int32Array(memory, i * HEADER_BYTES, 1))
      this.#sizes.push(new Uint32Array(memory, i * HEADER_BYTES + 4, 1))
      this.#slots.push(new Uint8Array(memory, data + i * slotBytes, slotBytes))
    }
    source.startPump(new Uint8Array(memory), slotCount, slotBytes, (error) => {
      this.#error ??= error
      this.#turn()
    })
  }

  /** Leaves slots full until `resume`. */
  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled || this.#done) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#turn()
    })
  }

  #turn(): void {
    if (this.#done) return
    const deadline = this.#now() + this.#turnMs
    let mayHaveMore = true
    try {
      do mayHaveMore = !this.#paused && this.#takeNext()
      while (mayHaveMore && this.#now() < deadline)
    } finally {
      // Also when a batch could not be taken: the pump must not wait for ever for what has been emptied.
      this.#source.released()
      if (mayHaveMore) this.#schedule()
    }
  }

  /** Returns false when there is nothing to take. */
  #takeNext(): boolean {
    // Looked at before the slot: a pump that has ended fills no more, so an empty slot is then the last word.
    const pumping = this.#source.pumping()
    if (Atomics.load(this.#states[this.#next], 0) === SLOT_FREE) {
      if (!pumping) this.#finish()
      return false
    }
    const bytes = this.#slots[this.#next].subarray(0, this.#sizes[this.#next][0])
    try {
      this.#onBatch(bytes)
    } finally {
      Atomics.store(this.#states[this.#next], 0, SLOT_FREE)
      this.#next = (this.#next + 1) % this.#states.length
    }
    return true
  }

  #finish(): void {
    this.#done = true
    this.#resolveEnded(this.#error)
  }
}
