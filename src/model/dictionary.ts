// dictionary.ts: numbers for tuples and strings that recur, so that a row carries a small code instead of them.
//
// Who asks and what is asked recur by the thousand in a chunk of rows: two bytes then stand for twenty, and a filter
// tests each distinct value once instead of each row. A TupleDictionary belongs to one chunk and is freed with it,
// so that it can never outgrow its 16-bit codes nor a long capture's memory.

import type { Memory } from './memory.ts'

const HEADER_WORDS = 4
const LEAST_CAPACITY = 32

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

/** What a dictionary with so many entries has room for. */
export function capacityFor(size: number): number {
  return Math.max(LEAST_CAPACITY, 2 ** Math.ceil(Math.log2(size)))
}

/**
 * Its memory is one part: a header (size, capacity, slots of the index), `capacity` entries, and the index: open
 * addressing, twice as many slots as entries, code + 1 or 0 in each. Native code reads and writes it too.
 */
export class TupleDictionary {
  /** The tuple to look for: write it here, then call `intern`. Saves an argument list on the hottest path. */
  readonly key: Uint32Array
  /** Entry `code` is `entries[code * width .. (code + 1) * width]`. Replaced as it grows. */
  entries: Uint32Array
  readonly #memory: Memory
  readonly #part: number
  readonly #firstCapacity: number
  #words: Uint32Array
  #index: Uint32Array
  #shift = 0

  constructor(
    readonly width: number,
    memory: Memory,
    part: number,
    /** How many entries it makes room for at first; a power of two. */
    firstCapacity = LEAST_CAPACITY,
  ) {
    this.key = new Uint32Array(width)
    this.#memory = memory
    this.#part = part
    this.#firstCapacity = firstCapacity
    this.#words = memory.put(part, HEADER_WORDS << 2)
    this.entries = this.#words.subarray(HEADER_WORDS)
    this.#index = this.entries
  }

  get size(): number {
    return this.#words[0]
  }

  /** The code of the tuple in `key`: that of the equal entry, or a new one. */
  intern(): number {
    if (this.#index.length === 0) this.#grow()
    const { key, width } = this
    let slot = this.#slot()
    const held = this.#index[slot]
    if (held !== 0) return held - 1
    const code = this.#words[0]
    if ((code + 1) * width > this.entries.length) {
      this.#grow()
      slot = this.#slot()
    }
    this.#words[0] = code + 1
    this.#index[slot] = code + 1
    this.entries.set(key, code * width)
    return code
  }

  /** The code of the tuple in `key`, or -1. */
  find(): number {
    return this.#index.length === 0 ? -1 : this.#index[this.#slot()] - 1
  }

  /** Codes of the entries that a test holds for. */
  codesWhere(holds: (entries: Uint32Array, at: number) => boolean): Set<number> {
    const codes = new Set<number>()
    for (let code = 0; code < this.size; code++) if (holds(this.entries, code * this.width)) codes.add(code)
    return codes
  }

  /** Gives back what only new entries need. Should one come after all, it is built anew. */
  seal(): void {
    if (this.#index.length > 0) this.#resize(this.size, 0)
  }

  /** Where the key is in the index, or the free slot where it would go. */
  #slot(): number {
    const { key, width, entries } = this
    const index = this.#index
    const mask = index.length - 1
    let slot = hashOf(key, 0, width) >>> this.#shift
    for (let held = index[slot]; held !== 0; held = index[slot]) {
      if (areEqual(entries, (held - 1) * width, key, width)) break
      slot = (slot + 1) & mask
    }
    return slot
  }

  #grow(): void {
    const capacity = Math.max(this.#firstCapacity, capacityFor(this.size + 1))
    this.#resize(capacity, 2 * capacity)
  }

  #resize(capacity: number, slots: number): void {
    const { width, size, entries } = this
    const words = this.#memory.put(this.#part, (HEADER_WORDS + capacity * width + slots) << 2)
    words[0] = size
    words[1] = capacity
    words[2] = slots
    this.#words = words
    this.entries = words.subarray(HEADER_WORDS, HEADER_WORDS + capacity * width)
    this.entries.set(entries.subarray(0, size * width))
    this.#index = words.subarray(HEADER_WORDS + capacity * width)
    if (slots === 0) return
    this.#shift = 1 + Math.clz32(slots)
    const mask = slots - 1
    for (let code = 0; code < size; code++) {
      let slot = hashOf(this.entries, code * width, width) >>> this.#shift
      while (this.#index[slot] !== 0) slot = (slot + 1) & mask
      this.#index[slot] = code + 1
    }
  }
}

/** Stands for all for which there was no room. */
const NO_ROOM = '(no room for the name)'

/** Strings of the whole capture by number, append-only. Number 0 is the empty string: "none", "not known". */
export class StringDictionary {
  readonly values: string[] = ['']
  /** Estimate of the memory held. */
  bytes = 0
  readonly #codes = new Map<string, number>([['', 0]])

  /** `maxBytes` bounds what a hostile or endless capture can put here; beyond it new strings are all NO_ROOM. */
  constructor(readonly maxBytes: number) {}

  intern(value: string): number {
    const known = this.#codes.get(value)
    if (known !== undefined) return known
    const cost = 2 * value.length + 80
    if (this.bytes + cost > this.maxBytes && value !== NO_ROOM) return this.intern(NO_ROOM)
    this.bytes += cost
    this.values.push(value)
    this.#codes.set(value, this.values.length - 1)
    return this.values.length - 1
  }
}

interface Use {
  number: number
  /** Position of the newest chunk with a row that refers to it. */
  position: number
}

/**
 * Strings that rows refer to by number, kept as long as there may be such rows. Number 0 is the empty string: "none".
 * A number is not given out again, so that whoever has learned it may go on.
 */
export class RowStrings {
  readonly values = new Map<number, string>([[0, '']])
  /** In the order of their last use, nearly: what the oldest chunk alone refers to comes first. */
  readonly #uses = new Map<string, Use>()
  readonly #memory: Memory
  #last = 0

  constructor(memory: Memory) {
    this.#memory = memory
  }

  /** For a row of the chunk at a position. */
  intern(value: string, position: number): number {
    if (value === '') return 0
    let use = this.#uses.get(value)
    if (use && use.position >= position) return use.number
    if (use) {
      this.#uses.delete(value)
      use.position = position
    } else {
      use = { number: this.#next(), position }
      this.values.set(use.number, value)
      this.#memory.add(costOf(value))
    }
    this.#uses.set(value, use)
    return use.number
  }

  /** No row is left of the chunks before a position. */
  forgetBefore(position: number): void {
    for (const [value, use] of this.#uses) {
      if (use.position >= position) break
      this.#uses.delete(value)
      this.values.delete(use.number)
      this.#memory.add(-costOf(value))
    }
  }

  /** A row has 32 bits for it. */
  #next(): number {
    do this.#last = (this.#last + 1) >>> 0
    while (this.values.has(this.#last))
    return this.#last
  }
}

/** Estimate, with its places in two maps. */
function costOf(value: string): number {
  return 2 * value.length + 160
}
