// dictionary.ts: numbers for tuples and strings that recur, so that a row carries a small code instead of them.
//
// Who asks and what is asked recur by the thousand in a chunk of rows: two bytes then stand for twenty, and a filter
// tests each distinct value once instead of each row. A TupleDictionary belongs to one chunk and is freed with it,
// so that it can never outgrow its 16-bit codes nor a long capture's memory.

export class TupleDictionary {
  /** The tuple to look for: write it here, then call `intern`. Saves an argument list on the hottest path. */
  readonly key: Uint32Array
  /** Entry `code` is `entries[code * width .. (code + 1) * width]`. Replaced as it grows. */
  entries: Uint32Array
  size = 0
  #index: Uint32Array
  #shift: number
  #last = 0

  constructor(readonly width: number) {
    this.key = new Uint32Array(width)
    this.entries = new Uint32Array(32 * width)
    this.#index = new Uint32Array(64)
    this.#shift = 32 - 6
  }

  get bytes(): number {
    return this.entries.byteLength + this.#index.byteLength
  }

  /** The code of the tuple in `key`: that of the equal entry, or a new one. */
  intern(): number {
    if (this.size > 0 && this.#equals(this.#last)) return this.#last
    const { key, width } = this
    let hash = 0
    for (let i = 0; i < width; i++) hash = Math.imul(hash ^ key[i], 0x9e3779b1) ^ (hash >>> 15)
    const mask = this.#index.length - 1
    let slot = Math.imul(hash, 0x85ebca6b) >>> this.#shift
    for (let held = this.#index[slot]; held !== 0; held = this.#index[slot]) {
      if (this.#equals(held - 1)) {
        this.#last = held - 1
        return held - 1
      }
      slot = (slot + 1) & mask
    }
    const code = this.size++
    this.#index[slot] = code + 1
    if ((code + 1) * width > this.entries.length) this.#growEntries()
    this.entries.set(key, code * width)
    this.#last = code
    if (this.size * 2 > this.#index.length) this.#growIndex()
    return code
  }

  /** Codes of the entries that a test holds for. */
  find(holds: (entries: Uint32Array, at: number) => boolean): Set<number> {
    const codes = new Set<number>()
    for (let code = 0; code < this.size; code++) if (holds(this.entries, code * this.width)) codes.add(code)
    return codes
  }

  #equals(code: number): boolean {
    const { key, width, entries } = this
    for (let i = 0, at = code * width; i < width; i++, at++) if (entries[at] !== key[i]) return false
    return true
  }

  #growEntries(): void {
    const grown = new Uint32Array(this.entries.length * 2)
    grown.set(this.entries)
    this.entries = grown
  }

  #growIndex(): void {
    this.#index = new Uint32Array(this.#index.length * 2)
    this.#shift--
    const { entries, width } = this
    const mask = this.#index.length - 1
    for (let code = 0; code < this.size; code++) {
      let hash = 0
      for (let i = 0; i < width; i++) {
        hash = Math.imul(hash ^ entries[code * width + i], 0x9e3779b1) ^ (hash >>> 15)
      }
      let slot = Math.imul(hash, 0x85ebca6b) >>> this.#shift
      while (this.#index[slot] !== 0) slot = (slot + 1) & mask
      this.#index[slot] = code + 1
    }
  }
}

/** Strings of the whole capture by number, append-only. Number 0 is the empty string: "none", "not known". */
export class StringDictionary {
  readonly values: string[] = ['']
  /** Estimate of the memory held. */
  bytes = 0
  readonly #codes = new Map<string, number>([['', 0]])

  /** `maxBytes` bounds what a hostile or endless capture can put here; beyond it new strings are number 0. */
  constructor(readonly maxBytes: number) {}

  intern(value: string): number {
    const known = this.#codes.get(value)
    if (known !== undefined) return known
    const cost = 2 * value.length + 80
    if (this.bytes + cost > this.maxBytes) return 0
    this.bytes += cost
    this.values.push(value)
    this.#codes.set(value, this.values.length - 1)
    return this.values.length - 1
  }
}
