// loops.ts: the innermost loops of filters (columns go in, a bit per row comes out, and how many are set) and of orders.
//
// An interface, because native code does the same many times faster over the same memory; here it is in TypeScript,
// for wherever there is no native code, and as the truth that tests compare the native one with.

/** What becomes of the bits that are there already. */
export const Combine = { Set: 0, And: 1, Or: 2 } as const
export type Combine = (typeof Combine)[keyof typeof Combine]

export type Cells = Uint16Array | Uint32Array
/**
 * What is looked for in a column. Bytes: answers of its 16-bit codes, 1 or 0, those not reached being 0. Words: ranges of
 * its values, pairs of low and high, both ends in it.
 */
export type Wanted = Uint8Array | Uint32Array

export const MOST_SCANS = 8

export interface Loops {
  /**
   * Rows that have what is wanted in all of up to MOST_SCANS columns. Rows are `first .. first + count` of the columns,
   * `first` a multiple of 32; bit `row & 31` of `bits[row >> 5]` is a row's. Bits behind the last row, in its word,
   * become 0. Nothing is kept and nothing else is written.
   */
  scan(
    columns: readonly Cells[],
    wanted: readonly Wanted[],
    first: number,
    count: number,
    bits: Uint32Array,
    combine: Combine,
  ): void
  /**
   * How many bits are set: `counts[i]` is that of the `i`th part of `bits`, all parts being of one length. Counts
   * `first .. end` are made anew.
   */
  count(bits: Uint32Array, counts: Uint16Array, first: number, end: number): void
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
  scan(columns, wanted, first, count, bits, combine) {
    const end = first + count
    for (let row = first; row < end; row += 32) {
      const all = end - row < 32 ? (1 << (end - row)) - 1 : -1
      const at = row >> 5
      let word = combine === Combine.And ? bits[at] & all : all
      for (let i = 0; i < columns.length && word !== 0; i++) word = narrowed(word, columns[i], wanted[i], row)
      store(bits, at, word, combine)
    }
  },

  count(bits, counts, first, end) {
    const each = bits.length / counts.length
    for (let i = first; i < end; i++) {
      let sum = 0
      for (let at = i * each; at < (i + 1) * each; at++) sum += ones(bits[at])
      counts[i] = sum
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

/** Of the bits of 32 rows, those whose cells have what is wanted. */
function narrowed(word: number, cells: Cells, wanted: Wanted, row: number): number {
  let passing = 0
  if (wanted instanceof Uint8Array) {
    for (let left = word; left !== 0; left &= left - 1) {
      const i = 31 - Math.clz32(left & -left)
      if (wanted[cells[row + i]] === 1) passing |= 1 << i
    }
    return passing
  }
  for (let at = 0; at < wanted.length; at += 2) {
    const low = wanted[at]
    const high = wanted[at + 1]
    for (let left = word; left !== 0; left &= left - 1) {
      const i = 31 - Math.clz32(left & -left)
      const value = cells[row + i]
      if (value >= low && value <= high) passing |= 1 << i
    }
  }
  return passing
}

/** How many bits are set. */
export function ones(word: number): number {
  let sum = word - ((word >>> 1) & 0x55555555)
  sum = (sum & 0x33333333) + ((sum >>> 2) & 0x33333333)
  return Math.imul((sum + (sum >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}

export function store(bits: Uint32Array, at: number, word: number, combine: Combine): void {
  if (combine === Combine.Set) bits[at] = word
  else if (combine === Combine.And) bits[at] &= word
  else bits[at] |= word
}
