// pairing.ts: which row a request id belongs to while its start or its end is still awaited.
//
// Open addressing over typed arrays with linear probing; a deletion shifts its followers back, so there are no
// tombstones and a table that has seen a billion requests is as good as new. It holds requests in flight, and the
// latest few ends whose start has not come: an end can overtake its start when they ran on different processors,
// by a batch at most. Older ones are let go (their rows stay), or heavy loss of starts would fill the memory.

const KEEP_LOST = 65536

export class PairingTable {
  #low = new Uint32Array(1024)
  #high = new Uint32Array(1024)
  /** Row, or -1 for a free slot. */
  #rows = new Float64Array(1024).fill(-1)
  #shift = 32 - 10
  #size = 0
  /** A ring of the ids whose start is missing, oldest overwritten. */
  readonly #lostLow = new Uint32Array(KEEP_LOST)
  readonly #lostHigh = new Uint32Array(KEEP_LOST)
  readonly #lostRow = new Float64Array(KEEP_LOST).fill(-1)
  #lostNext = 0

  get size(): number {
    return this.#size
  }

  get bytes(): number {
    return this.#rows.length * 16 + KEEP_LOST * 16
  }

  /** The row of a request id, or -1. */
  find(low: number, high: number): number {
    return this.#rows[this.#slot(low, high)]
  }

  /** Sets the row of a request id; one that it had before is forgotten. */
  set(low: number, high: number, row: number): void {
    const slot = this.#slot(low, high)
    if (this.#rows[slot] < 0) this.#size++
    this.#low[slot] = low
    this.#high[slot] = high
    this.#rows[slot] = row
    if (this.#size * 2 > this.#rows.length) this.#grow()
  }

  /** As `set`, for an end without its start: forgotten when many more of them have come. */
  setLost(low: number, high: number, row: number): void {
    const next = this.#lostNext
    const old = this.#lostRow[next]
    if (old >= 0 && this.find(this.#lostLow[next], this.#lostHigh[next]) === old) {
      this.delete(this.#lostLow[next], this.#lostHigh[next])
    }
    this.#lostLow[next] = low
    this.#lostHigh[next] = high
    this.#lostRow[next] = row
    this.#lostNext = (next + 1) % KEEP_LOST
    this.set(low, high, row)
  }

  delete(low: number, high: number): void {
    const rows = this.#rows
    const mask = rows.length - 1
    let hole = this.#slot(low, high)
    if (rows[hole] < 0) return
    this.#size--
    for (let next = (hole + 1) & mask; rows[next] >= 0; next = (next + 1) & mask) {
      const home = this.#home(this.#low[next], this.#high[next])
      // The entry at `next` may fill the hole unless its home lies behind the hole, cyclically.
      if (((next - home) & mask) < ((next - hole) & mask)) continue
      this.#low[hole] = this.#low[next]
      this.#high[hole] = this.#high[next]
      rows[hole] = rows[next]
      hole = next
    }
    rows[hole] = -1
  }

  #home(low: number, high: number): number {
    return Math.imul(low ^ Math.imul(high, 0x85ebca6b), 0x9e3779b1) >>> this.#shift
  }

  /** Where the id is, or the free slot where it would go. */
  #slot(low: number, high: number): number {
    const mask = this.#rows.length - 1
    let slot = this.#home(low, high)
    while (this.#rows[slot] >= 0 && (this.#low[slot] !== low || this.#high[slot] !== high))
      slot = (slot + 1) & mask
    return slot
  }

  #grow(): void {
    const [low, high, rows] = [this.#low, this.#high, this.#rows]
    this.#low = new Uint32Array(low.length * 2)
    this.#high = new Uint32Array(low.length * 2)
    this.#rows = new Float64Array(low.length * 2).fill(-1)
    this.#shift--
    for (let i = 0; i < rows.length; i++) {
      if (rows[i] < 0) continue
      const slot = this.#slot(low[i], high[i])
      this.#low[slot] = low[i]
      this.#high[slot] = high[i]
      this.#rows[slot] = rows[i]
    }
  }
}
