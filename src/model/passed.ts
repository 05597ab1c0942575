// passed.ts: which rows of a chunk a filter let through, as of a stamp: a bit per row, and counts to find rows by.

import { BLOCK_ROWS, BLOCK_SHIFT, CHUNK_ROWS, type Chunk } from './chunk.ts'
import { type Loops, ones } from './loops.ts'

const BLOCKS = CHUNK_ROWS / BLOCK_ROWS
const BLOCK_WORDS = BLOCK_ROWS / 32

/** Of a Passed. */
export const PASSED_BYTES = CHUNK_ROWS / 8 + (2 + 8) * BLOCKS

export class Passed {
  /** Changes up to this stamp are in; so they are of each block up to its own, if only some could be looked at. */
  seen = 0
  readonly seenBlocks: Float64Array
  count = 0
  readonly bits: Uint32Array
  readonly #perBlock: Uint16Array

  constructor(readonly chunk: Chunk) {
    // One piece of memory for the three: to ask for it costs more than to fill it.
    const memory = new ArrayBuffer(PASSED_BYTES)
    this.seenBlocks = new Float64Array(memory, 0, BLOCKS)
    this.bits = new Uint32Array(memory, 8 * BLOCKS, CHUNK_ROWS / 32)
    this.#perBlock = new Uint16Array(memory, 8 * BLOCKS + CHUNK_ROWS / 8, BLOCKS)
  }

  /** Number of the chunk's first row. */
  get first(): number {
    return this.chunk.first
  }

  /** Counts rows anew after their bits were set; `first` is the first of a block. */
  recount(first: number, rows: number, loops: Loops): void {
    loops.count(this.bits, this.#perBlock, first >> BLOCK_SHIFT, Math.ceil((first + rows) / BLOCK_ROWS))
    this.count = 0
    for (const passing of this.#perBlock) this.count += passing
  }

  has(row: number): boolean {
    return ((this.bits[row >> 5] >>> (row & 31)) & 1) === 1
  }

  /** The row that `index` rows passed before. */
  select(index: number): number {
    let left = index
    let block = 0
    while (left >= this.#perBlock[block]) left -= this.#perBlock[block++]
    let at = block * BLOCK_WORDS
    for (let here = ones(this.bits[at]); left >= here; here = ones(this.bits[at])) {
      left -= here
      at++
    }
    let word = this.bits[at]
    while (left-- > 0) word &= word - 1
    return at * 32 + lowest(word)
  }

  /** How many rows before `row` passed. */
  rank(row: number): number {
    let before = 0
    const block = row >> BLOCK_SHIFT
    for (let i = 0; i < block; i++) before += this.#perBlock[i]
    for (let at = block * BLOCK_WORDS; at < row >> 5; at++) before += ones(this.bits[at])
    return before + ones(this.bits[row >> 5] & ((1 << (row & 31)) - 1))
  }

  /** Writes all that passed to `out`, ascending; returns how many. */
  rows(out: Uint16Array): number {
    let to = 0
    for (let at = 0; at < this.bits.length; at++) {
      let word = this.bits[at]
      if (word === 0xffffffff) {
        for (let row = at * 32; row < at * 32 + 32; row++) out[to++] = row
        continue
      }
      for (; word !== 0; word &= word - 1) out[to++] = at * 32 + lowest(word)
    }
    return to
  }
}

/** Place of the lowest bit that is set. */
function lowest(word: number): number {
  return 31 - Math.clz32(word & -word)
}
