// passed.ts: which rows of a chunk a filter let through, as of a stamp: a bit per row, and counts to find rows by.

import { BLOCK_ROWS, BLOCK_SHIFT, CHUNK_ROWS, type Chunk } from './chunk.ts'

const BLOCKS = CHUNK_ROWS / BLOCK_ROWS
const BLOCK_WORDS = BLOCK_ROWS / 32

/** Of a Passed. */
export const PASSED_BYTES = CHUNK_ROWS / 8 + (2 + 8) * BLOCKS

export class Passed {
  /** Changes up to this stamp are in; so they are of each block up to its own, if only some could be looked at. */
  seen = 0
  readonly seenBlocks = new Float64Array(BLOCKS)
  count = 0
  readonly bits = new Uint32Array(CHUNK_ROWS / 32)
  readonly #perBlock = new Uint16Array(BLOCKS)
  constructor(readonly chunk: Chunk) {}

  /** Number of the chunk's first row. */
  get first(): number {
    return this.chunk.first
  }

  /** Counts rows anew after their bits were set; `first` is the first of a block. */
  recount(first: number, rows: number): void {
    const end = Math.ceil((first + rows) / BLOCK_ROWS)
    for (let block = first >> BLOCK_SHIFT; block < end; block++) {
      let passing = 0
      for (let at = block * BLOCK_WORDS; at < (block + 1) * BLOCK_WORDS; at++) passing += ones(this.bits[at])
      this.count += passing - this.#perBlock[block]
      this.#perBlock[block] = passing
    }
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

function ones(word: number): number {
  let sum = word - ((word >>> 1) & 0x55555555)
  sum = (sum & 0x33333333) + ((sum >>> 2) & 0x33333333)
  return Math.imul((sum + (sum >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}

/** Place of the lowest bit that is set. */
function lowest(word: number): number {
  return 31 - Math.clz32(word & -word)
}
