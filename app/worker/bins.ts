// bins.ts: cumulative counters become rates over time, in bins of fixed width, without losing a count.
//
// Ticks come at irregular times. A difference between two ticks is spread over the bins which the time between them
// covers, in proportion: the sum over all bins stays exactly what was counted, and the picture does not jitter.

export class Bins {
  private readonly cells: Float64Array
  /** The bin, counted from time 0, that was written last. -1 = none. */
  private newest = -1

  constructor(
    /** Values kept per bin. */
    readonly lanes: number,
    readonly bins: number,
    readonly binTicks: number,
  ) {
    this.cells = new Float64Array(lanes * bins)
  }

  /** Adds what was counted in lane `lane` between two times. Times must not go backwards between calls. */
  add(fromTicks: number, toTicks: number, lane: number, amount: number): void {
    this.advance(toTicks)
    if (amount === 0) return
    const oldest = this.newest - this.bins + 1
    const lastBin = Math.floor(toTicks / this.binTicks)
    if (toTicks <= fromTicks) {
      this.cells[this.cell(lastBin, lane)]! += amount
      return
    }
    const perTick = amount / (toTicks - fromTicks)
    for (let bin = Math.max(oldest, Math.floor(fromTicks / this.binTicks)); bin <= lastBin; bin++) {
      const begin = Math.max(fromTicks, bin * this.binTicks)
      const end = Math.min(toTicks, (bin + 1) * this.binTicks)
      if (end > begin) this.cells[this.cell(bin, lane)]! += perTick * (end - begin)
    }
  }

  /** Moves on to the bin of that time; the bins in between hold zeros. */
  advance(toTicks: number): void {
    const bin = Math.floor(toTicks / this.binTicks)
    if (bin <= this.newest) return
    const first = this.newest < 0 ? bin - this.bins + 1 : Math.max(this.newest + 1, bin - this.bins + 1)
    for (let fresh = first; fresh <= bin; fresh++) {
      const at = this.cell(fresh, 0)
      this.cells.fill(0, at, at + this.lanes)
    }
    this.newest = bin
  }

  /**
   * One lane from old to new, without the newest bin, which is still filling: `bins - 1` values, the last being the
   * last full bin.
   */
  lane(lane: number): Float64Array {
    const values = new Float64Array(this.bins - 1)
    if (this.newest < 0) return values
    for (let i = 0; i < values.length; i++)
      values[i] = this.cells[this.cell(this.newest - values.length + i, lane)]!
    return values
  }

  /** Sum of a lane over the last `count` full bins. */
  recent(lane: number, count: number): number {
    let sum = 0
    if (this.newest < 0) return 0
    for (let back = 1; back <= Math.min(count, this.bins - 1); back++)
      sum += this.cells[this.cell(this.newest - back, lane)]!
    return sum
  }

  /** A value that changes when a further bin became full. */
  get stamp(): number {
    return this.newest
  }

  private cell(bin: number, lane: number): number {
    // A bin may be negative before time 0 + one turn of the ring.
    const slot = ((bin % this.bins) + this.bins) % this.bins
    return slot * this.lanes + lane
  }
}
