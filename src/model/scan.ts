// scan.ts: the innermost loops of filtering: a column goes in, a bit per row comes out.
//
// An interface, because native code does the same many times faster over the same memory; here it is in TypeScript,
// for wherever there is no native code, and as the truth that tests compare the native one with.

/** What becomes of the bits that are there already. */
export const Combine = { Set: 0, And: 1, Or: 2 } as const
export type Combine = (typeof Combine)[keyof typeof Combine]

/**
 * Rows are `first .. first + count` of a column, `first` a multiple of 32; bit `row & 31` of `bits[row >> 5]` is a
 * row's. Bits behind the last row, in its word, become 0. Nothing is kept and nothing else is written.
 */
export interface Scan {
  /** Rows whose code has the answer 1. Codes that `answers` does not reach have the answer 0. */
  codes(
    codes: Uint16Array,
    first: number,
    count: number,
    answers: Uint8Array,
    bits: Uint32Array,
    combine: Combine,
  ): void
  /** Rows whose value lies in one of the ranges: pairs of low and high, both ends in it. */
  ranges(
    values: Uint16Array | Uint32Array,
    first: number,
    count: number,
    ranges: Uint32Array,
    bits: Uint32Array,
    combine: Combine,
  ): void
}

export const portableScan: Scan = {
  codes(codes, first, count, answers, bits, combine) {
    const end = first + count
    for (let row = first; row < end; row += 32) {
      const rows = Math.min(32, end - row)
      let word = 0
      for (let i = 0; i < rows; i++) word |= answers[codes[row + i]] << i
      store(bits, row >> 5, word, combine)
    }
  },

  ranges(values, first, count, ranges, bits, combine) {
    const end = first + count
    for (let row = first; row < end; row += 32) {
      const rows = Math.min(32, end - row)
      let word = 0
      for (let at = 0; at < ranges.length; at += 2) {
        const low = ranges[at]
        const high = ranges[at + 1]
        for (let i = 0; i < rows; i++) {
          const value = values[row + i]
          if (value >= low && value <= high) word |= 1 << i
        }
      }
      store(bits, row >> 5, word, combine)
    }
  },
}

export function store(bits: Uint32Array, at: number, word: number, combine: Combine): void {
  if (combine === Combine.Set) bits[at] = word
  else if (combine === Combine.And) bits[at] &= word
  else bits[at] |= word
}
