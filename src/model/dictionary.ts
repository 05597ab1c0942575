// dictionary.ts: numbers for tuples and strings that recur, so that a row carries a small code instead of them.
//
// Who asks and what is asked recur by the thousand in a chunk of rows: two bytes then stand for twenty, and a filter
// tests each distinct value once instead of each row. A TupleDictionary belongs to one chunk and is freed with it,
// so that it can never outgrow its 16-bit codes nor a long capture's memory.

/** Two, four or six words. The products do not wait for each other, as those of a rolling hash would. */
function hashOf(words: Uint32Array, at: number, width: number): number {
  let hash = Math.imul(words[at], 0x9e3779b1) + Math.imul(words[at + 1], 0x85ebca6b)
  if (width > 2) hash += Math.imul(words[at + 2], 0xc2b2ae35) + Math.imul(words[at + 3], 0x27d4eb2f)
  if (width > 4) hash += Math.imul(words[at + 4], 0x165667b1) + Math.imul(words[at + 5], 0xfd7046c5)
  return Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
}

function areEqual(entries: Uint32Array, at: number, key: Uint32Array, width: number): boolean {
  return (
    entries[at] === key[0] &&
    entries[at + 1] === key[1] &&
    (width <= 2 || (entries[at + 2] === key[2] && entries[at + 3] === key[3])) &&
    (width <= 4 || (entries[at + 4] === key[4] && entries[at + 5] === key[5]))
  )
}

export class TupleDictionary {
  /** The tuple to look for: write it here, then call `intern`. Saves an argument list on the hottest path. */
  readonly key: Uint32Array
  /** Entry `code` is `entries[code * width .. (code + 1) * width]`. Replaced as it grows. */
  entries: Uint32Array
  size = 0
  #index: Uint32Array
  #shift: number

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
    const { key, width, entries } = this
    const index = this.#index
    const mask = index.length - 1
    let slot = hashOf(key, 0, width) >>> this.#shift
    for (let held = index[slot]; held !== 0; held = index[slot]) {
      if (areEqual(entries, (held - 1) * width, key, width)) return held - 1
      slot = (slot + 1) & mask
    }
    const code = this.size++
    index[slot] = code + 1
    if ((code + 1) * width > entries.length) this.#growEntries()
    this.entries.set(key, code * width)
    if (this.size * 2 > index.length) this.#growIndex()
    return code
  }

  /** Codes of the entries that a test holds for. */
  find(holds: (entries: Uint32Array, at: number) => boolean): Set<number> {
    const codes = new Set<number>()
    for (let code = 0; code < this.size; code++) if (holds(this.entries, code * this.width)) codes.add(code)
    return codes
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
      let slot = hashOf(entries, code * width, width) >>> this.#shift
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
