// processes.ts: which process a process id meant at a given time.
//
// Windows reuses process ids within seconds, so a name holds from a time on, until the next one. A snapshot taken
// by user mode says nothing about before; yet a process that was not created while we looked was there all along:
// the first name learned for an id holds back to the beginning, unless it comes with its creation. A creation ends what
// the id meant before, also if it tells no name: the first one learned after it holds back to it.

import { StringDictionary } from './dictionary.ts'
import type { Memory } from './memory.ts'

interface Name {
  since: number
  /** 0 = created, but not named yet. */
  name: number
}

/** Estimate of what an entry takes. */
const NAME_BYTES = 80
/** Ids of which it is remembered that they were asked for. */
const MOST_REPORTED = 65536
const CACHE_SLOTS = 4096
const SLOT_WORDS = 4

export class ProcessNames {
  readonly names: StringDictionary
  /** Oldest first. */
  readonly #known = new Map<number, Name[]>()
  /** Ids that have had several. */
  readonly #reused = new Set<number>()
  readonly #memory: Memory
  readonly #unknown = new Set<number>()
  readonly #reported = new Set<number>()
  // The newest name of recently seen ids: a Map look-up per record would be felt. Slots of 16 bytes: id, name + 1 (0 =
  // the slot is free), since when (double).
  readonly #cache: Uint32Array
  readonly #cachedSince: Float64Array

  constructor(maxBytes: number, memory: Memory, part: number) {
    this.names = new StringDictionary(maxBytes)
    this.#memory = memory
    this.#cache = memory.put(part, (CACHE_SLOTS * SLOT_WORDS) << 2)
    this.#cachedSince = new Float64Array(this.#cache.buffer)
  }

  /** A name from `at` on; '' = none that is known. Returns whether rows that had none may have one now. */
  learn(processId: number, name: string, at: number, created: boolean): boolean {
    const code = this.names.intern(imageName(name))
    if (code === 0 && !created) return false
    this.#cache[cacheSlot(processId) + 1] = 0
    if (code !== 0) this.#unknown.delete(processId)
    this.#reported.delete(processId)
    const known = this.#known.get(processId)
    if (!known) {
      this.#memory.add(NAME_BYTES)
      this.#known.set(processId, [{ since: created ? at : Number.NEGATIVE_INFINITY, name: code }])
      return code !== 0
    }
    const after = known.findIndex((entry) => entry.since > at)
    const place = after < 0 ? known.length : after
    const before = known[place - 1]
    if (before && !created) {
      if (before.name === code) return false
      if (before.name === 0) {
        before.name = code
        return true
      }
    }
    known.splice(place, 0, { since: at, name: code })
    this.#memory.add(NAME_BYTES)
    this.#reused.add(processId)
    return code !== 0
  }

  /** No row that is left arrived before: what had been replaced by then is forgotten. */
  forgetBefore(arrival: number): void {
    for (const processId of this.#reused) {
      const known = this.#known.get(processId) ?? []
      const replaced = known.findLastIndex((entry) => entry.since <= arrival)
      if (replaced > 0) {
        known.splice(0, replaced)
        this.#memory.add(-replaced * NAME_BYTES)
      }
      if (known.length < 2) this.#reused.delete(processId)
    }
  }

  /** The number of the name that an id had at a time; 0 = not known, which is remembered for `takeUnknown`. */
  at(processId: number, at: number): number {
    const slot = cacheSlot(processId)
    const cached = this.#cache[slot + 1]
    if (cached !== 0 && this.#cache[slot] === processId && at >= this.#cachedSince[(slot >> 1) + 1])
      return cached - 1
    const known = this.#known.get(processId)
    const entry = known?.findLast((candidate) => candidate.since <= at)
    const name = entry?.name ?? 0
    if (entry === known?.at(-1)) {
      // Of an earlier process of that id nobody could tell the name any more.
      const isNew = name === 0 && !this.#reported.has(processId)
      if (isNew && this.#unknown.size < MOST_REPORTED) this.#unknown.add(processId)
      // What `learn` says about the id from now on goes past the cache.
      this.#cache[slot] = processId
      this.#cache[slot + 1] = name + 1
      this.#cachedSince[(slot >> 1) + 1] = entry?.since ?? Number.NEGATIVE_INFINITY
    }
    return name
  }

  nameAt(processId: number, at: number): string {
    return this.names.values[this.at(processId, at)]
  }

  /** Ids seen without a name; each is given out once, or again after very many others. */
  takeUnknown(): number[] {
    const ids = [...this.#unknown]
    if (this.#reported.size + ids.length > MOST_REPORTED) this.#reported.clear()
    for (const id of ids) this.#reported.add(id)
    this.#unknown.clear()
    return ids
  }
}

/** The first word of the only slot that may hold an id. */
function cacheSlot(processId: number): number {
  return ((processId >>> 2) & (CACHE_SLOTS - 1)) * SLOT_WORDS
}

/** `\Device\HarddiskVolume3\Windows\explorer.exe` → `explorer.exe`. */
function imageName(path: string): string {
  return path.slice(Math.max(path.lastIndexOf('\\'), path.lastIndexOf('/')) + 1)
}
