// loops.ts: the innermost loops of filters (a column goes in, a bit per row comes out) and of orders.
//
// An interface, because native code does the same many times faster over the same memory; here it is in TypeScript,
// for wherever there is no native code, and as the truth that tests compare the native one with.

/** What becomes of the bits that are there already. */
export const Combine = { Set: 0, And: 1, Or: 2 } as const
export type Combine = (typeof Combine)[keyof typeof Combine]

/**
 * Of the filters': rows are `first .. first + count` of a column, `first` a multiple of 32; bit `row & 31` of `bits[row >> 5]` is a
 * row's. Bits behind the last row, in its word, become 0. Nothing is kept and nothing else is written.
 */
export interface Loops {
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
  /** Sorts keys, and what belongs to each, in place; equal ones stay as they were. At most 32,768 of them. */
  sort(keys: Uint32Array, rows: Uint16Array): void
}

const MOST_SORTED = 32768
const DIGIT_BITS = 11
const DIGITS = 1 << DIGIT_BITS
const counts = new Uint32Array(DIGITS)
const spareKeys: Uint32Array = new Uint32Array(MOST_SORTED)
const spareRows: Uint16Array = new Uint16Array(MOST_SORTED)

export const portableLoops: Loops = {
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

  /** Least digit first, as far as keys differ. */
  sort(keys, rows) {
    const count = keys.length
    let differing = 0
    for (let i = 0; i < count; i++) differing |= keys[i] ^ keys[0]
    let [fromKeys, fromRows, toKeys, toRows] = [keys, rows, spareKeys, spareRows]
    for (let shift = 0; shift < 32; shift += DIGIT_BITS) {
      if (((differing >>> shift) & (DIGITS - 1)) === 0) continue
      counts.fill(0)
      for (let i = 0; i < count; i++) counts[(fromKeys[i] >>> shift) & (DIGITS - 1)]++
      for (let digit = 0, sum = 0; digit < DIGITS; digit++) {
        const here = counts[digit]
        counts[digit] = sum
        sum += here
      }
      for (let i = 0; i < count; i++) {
        const key = fromKeys[i]
        const place = counts[(key >>> shift) & (DIGITS - 1)]++
        toKeys[place] = key
        toRows[place] = fromRows[i]
      }
      ;[fromKeys, fromRows, toKeys, toRows] = [toKeys, toRows, fromKeys, fromRows]
    }
    if (fromKeys === keys) return
    keys.set(fromKeys.subarray(0, count))
    rows.set(fromRows.subarray(0, count))
  },
}

export function store(bits: Uint32Array, at: number, word: number, combine: Combine): void {
  if (combine === Combine.Set) bits[at] = word
  else if (combine === Combine.And) bits[at] &= word
  else bits[at] |= word
}
