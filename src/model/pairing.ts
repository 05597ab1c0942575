// pairing.ts: which row a request id belongs to while its start or its end is still awaited.
//
// Open addressing with linear probing; a deletion shifts its followers back, so there are no tombstones and a table
// that has seen a billion requests is as good as new. It holds requests in flight, and the latest few ends whose start
// has not come: an end can overtake its start when they ran on different processors, by a batch at most. Older ones
// are let go (their rows stay), or heavy loss of starts would fill the memory.
//
// Rows are known by their positions (ChunkState).
//
//   table    header: size (double), unused     then slots of 16 bytes: id (low, high), row + 1 (double; 0 = free)
//   lost     header: next (double), unused     then a ring of such slots, oldest overwritten

import type { Memory } from './memory.ts'

const KEEP_LOST = 65536
const HEADER_WORDS = 4
const SLOT_WORDS = 4
const FIRST_SLOTS = 1024
/**
 * Up to so many every fourth may be taken, as looking further costs a tenth of all that is done with a record; of a
 * larger table every other one, as it takes its memory from the rows.
 */
const MOST_ROOMY_SLOTS = 1 << 16

/** The same memory as words and as doubles. */
interface Slots {
  words: Uint32Array
  doubles: Float64Array
}

export class PairingTable {
  readonly #memory: Memory
  readonly #part: number
  #words: Uint32Array
  #doubles: Float64Array
  #mask = FIRST_SLOTS - 1
  #shift = 1 + Math.clz32(FIRST_SLOTS)
  readonly #lost: Slots

  constructor(memory: Memory, tablePart: number, lostPart: number) {
    this.#memory = memory
    this.#part = tablePart
    const table = slots(memory, tablePart, FIRST_SLOTS)
    this.#words = table.words
    this.#doubles = table.doubles
    this.#lost = slots(memory, lostPart, KEEP_LOST)
  }

  get size(): number {
    return this.#doubles[0]
  }

  /** The row of a request id, or -1. */
  find(low: number, high: number): number {
    return this.#row(this.#slot(low, high))
  }

  /** Sets the row of a request id; one that it had before is forgotten. */
  set(low: number, high: number, row: number): void {
    const slot = this.#slot(low, high)
    if (this.#row(slot) < 0) this.#doubles[0]++
    this.#write(slot, low, high, row)
    if (this.#doubles[0] * slotsPerId(this.#mask + 1) > this.#mask + 1) this.#grow()
  }

  /** As `set`, for an end without its start: forgotten when many more of them have come. */
  setLost(low: number, high: number, row: number): void {
    const { words, doubles } = this.#lost
    const next = doubles[0]
    const at = HEADER_WORDS + next * SLOT_WORDS
    const old = doubles[(at >> 1) + 1] - 1
    if (old >= 0 && this.find(words[at], words[at + 1]) === old) this.delete(words[at], words[at + 1])
    words[at] = low
    words[at + 1] = high
    doubles[(at >> 1) + 1] = row + 1
    doubles[0] = (next + 1) % KEEP_LOST
    this.set(low, high, row)
  }

  delete(low: number, high: number): void {
    const words = this.#words
    const mask = this.#mask
    let hole = this.#slot(low, high)
    if (this.#row(hole) < 0) return
    this.#doubles[0]--
    for (let next = (hole + 1) & mask; this.#row(next) >= 0; next = (next + 1) & mask) {
      const at = HEADER_WORDS + next * SLOT_WORDS
      const home = this.#home(words[at], words[at + 1])
      // The entry at `next` may fill the hole unless its home lies behind the hole, cyclically.
      if (((next - home) & mask) < ((next - hole) & mask)) continue
      this.#write(hole, words[at], words[at + 1], this.#row(next))
      hole = next
    }
    this.#write(hole, 0, 0, -1)
  }

  #row(slot: number): number {
    return this.#doubles[((HEADER_WORDS + slot * SLOT_WORDS) >> 1) + 1] - 1
  }

  #write(slot: number, low: number, high: number, row: number): void {
    const at = HEADER_WORDS + slot * SLOT_WORDS
    this.#words[at] = low
    this.#words[at + 1] = high
    this.#doubles[(at >> 1) + 1] = row + 1
  }

  #home(low: number, high: number): number {
    return Math.imul(low ^ Math.imul(high, 0x85ebca6b), 0x9e3779b1) >>> this.#shift
  }

  /** Where the id is, or the free slot where it would go. */
  #slot(low: number, high: number): number {
    const words = this.#words
    const mask = this.#mask
    let slot = this.#home(low, high)
    for (; this.#row(slot) >= 0; slot = (slot + 1) & mask) {
      const at = HEADER_WORDS + slot * SLOT_WORDS
      if (words[at] === low && words[at + 1] === high) break
    }
    return slot
  }

  #grow(): void {
    const [words, doubles, count] = [this.#words, this.#doubles, this.#mask + 1]
    const table = slots(this.#memory, this.#part, count * 2)
    this.#words = table.words
    this.#doubles = table.doubles
    this.#doubles[0] = doubles[0]
    this.#mask = count * 2 - 1
    this.#shift--
    for (let at = HEADER_WORDS; at < words.length; at += SLOT_WORDS) {
      const row = doubles[(at >> 1) + 1] - 1
      if (row >= 0) this.#write(this.#slot(words[at], words[at + 1]), words[at], words[at + 1], row)
    }
  }
}

function slotsPerId(count: number): number {
  return count > MOST_ROOMY_SLOTS ? 2 : 4
}

function slots(memory: Memory, part: number, count: number): Slots {
  const words = memory.put(part, (HEADER_WORDS + count * SLOT_WORDS) << 2)
  return { words, doubles: new Float64Array(words.buffer) }
}
