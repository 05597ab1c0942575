// ranked-values.ts: the distinct values that rows are sorted by, a number and a rank for each.
//
// To compare two ranks is to compare two small integers, whatever the values are: addresses, names, or nothing at all.
// A number stays with its value as long as anybody uses it; ranks move up as values come in between.

/** null = absent. */
export type Sortable = number | bigint | string | null

export class RankedValues {
  /** By number. */
  ranks = new Uint32Array(64)
  /** Numbers by rank. */
  inOrder: Uint32Array = new Uint32Array(0)
  readonly #values: Sortable[] = []
  readonly #numbers = new Map<Sortable, number>()
  /** By number: how many use it. */
  readonly #uses: number[] = []
  /** Numbers without a rank, and without a value. */
  #fresh: number[] = []
  readonly #free: number[] = []

  constructor(readonly descending: boolean) {}

  /** Of a value, which may be new: it has no rank, and may be forgotten, until it is used. */
  numberOf(value: Sortable): number {
    const known = this.#numbers.get(value)
    if (known !== undefined) return known
    const number = this.#free.pop() ?? this.#values.length
    this.#values[number] = value
    this.#uses[number] = 0
    this.#numbers.set(value, number)
    this.#fresh.push(number)
    return number
  }

  /** From now on these have ranks. */
  use(numbers: Iterable<number>): void {
    for (const number of numbers) this.#uses[number]++
    if (this.#fresh.length > 0) this.#rank()
  }

  /** Their ranks will not be looked at any more. */
  release(numbers: Iterable<number>): void {
    for (const number of numbers) this.#uses[number]--
  }

  /** Anew: new values come in, those that nobody uses leave. */
  #rank(): void {
    const fresh = this.#fresh.sort((a, b) => this.#compare(a, b))
    const stay = this.inOrder.filter((number) => this.#uses[number] > 0 || this.#forget(number))
    const inOrder = new Uint32Array(stay.length + fresh.length)
    let end = stay.length
    for (let i = fresh.length - 1; i >= 0; i--) {
      const place = this.#placeOf(fresh[i], stay, end)
      inOrder.set(stay.subarray(place, end), place + i + 1)
      inOrder[place + i] = fresh[i]
      end = place
    }
    inOrder.set(stay.subarray(0, end))
    this.inOrder = inOrder
    this.#fresh = []
    if (this.ranks.length < this.#values.length) this.ranks = new Uint32Array(2 * this.#values.length)
    for (let rank = 0; rank < inOrder.length; rank++) this.ranks[inOrder[rank]] = rank
  }

  #forget(number: number): boolean {
    this.#numbers.delete(this.#values[number])
    this.#values[number] = null
    this.#free.push(number)
    return false
  }

  /** How many of the first `end` numbers in order come before one. */
  #placeOf(number: number, inOrder: Uint32Array, end: number): number {
    let low = 0
    let high = end
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#compare(inOrder[middle], number) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  /** What is absent comes last in either direction. */
  #compare(first: number, second: number): number {
    const a = this.#values[first]
    const b = this.#values[second]
    if (a === null) return 1
    if (b === null) return -1
    return a < b !== this.descending ? -1 : 1
  }
}
