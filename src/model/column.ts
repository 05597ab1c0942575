// column.ts: a column of quantities in two bytes a row, exactly.
//
// Lengths and byte counts are mostly small, and where they are not they recur: a value below 0x8000 stands for itself,
// another is 0x8000 + its code in a dictionary of 64-bit values. A row's value is written once, so that a chunk's
// 32,768 rows cannot need more codes than there are.

import { TupleDictionary } from './dictionary.ts'
import type { Memory } from './memory.ts'

/** The first cell that stands for a value of the dictionary. */
export const LARGE = 0x8000
const TWO_32 = 0x1_0000_0000

export class QuantityColumn {
  /** Two words each: low, high. */
  readonly large: TupleDictionary

  constructor(
    readonly cells: Uint16Array,
    memory: Memory,
    part: number,
  ) {
    this.large = new TupleDictionary(2, memory, part)
  }

  set(row: number, low: number, high: number): void {
    if (high === 0 && low < LARGE) {
      this.cells[row] = low
      return
    }
    this.large.key[0] = low
    this.large.key[1] = high
    this.cells[row] = LARGE + this.large.intern()
  }

  /** As a double: exact below 2^53. */
  get(row: number): number {
    const cell = this.cells[row]
    if (cell < LARGE) return cell
    const at = (cell - LARGE) << 1
    return this.large.entries[at + 1] * TWO_32 + this.large.entries[at]
  }

  /** A bigint where a double might not hold it. */
  exact(row: number): number | bigint {
    const value = this.get(row)
    if (value <= Number.MAX_SAFE_INTEGER) return value
    const at = (this.cells[row] - LARGE) << 1
    return (BigInt(this.large.entries[at + 1]) << 32n) | BigInt(this.large.entries[at])
  }

  fill(first: number, count: number, out: Float64Array): void {
    const { cells } = this
    for (let i = 0; i < count; i++) {
      const cell = cells[first + i]
      out[i] = cell < LARGE ? cell : this.get(first + i)
    }
  }
}
