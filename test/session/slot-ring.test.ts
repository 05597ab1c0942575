// slot-ring.test.ts: the ring against a pump that is driven by hand.

import { describe, expect, it } from 'vitest'
import { type PumpSource, SlotRing } from '../../src/session/slot-ring.ts'

const SLOTS = 4
const SLOT_BYTES = 64

/** Fills slots when told to. */
class HandPump implements PumpSource {
  slots!: Uint8Array
  doorbell!: (error: Error | null) => void
  releases = 0
  isPumping = true
  #next = 0
  #batch = 0

  startPump(
    slots: Uint8Array,
    _count: number,
    _bytes: number,
    doorbell: (error: Error | null) => void,
  ): void {
    this.slots = slots
    this.doorbell = doorbell
  }
  released(): void {
    this.releases++
  }
  pumping(): boolean {
    return this.isPumping
  }
  /** Fills the next slot with a numbered batch; false if it is not free. */
  fill(): boolean {
    const header = new Int32Array(this.slots.buffer, this.#next * 64, 2)
    if (Atomics.load(header, 0) !== 0) return false
    this.slots[SLOTS * 64 + this.#next * SLOT_BYTES] = this.#batch++
    header[1] = 8
    Atomics.store(header, 0, 1)
    this.#next = (this.#next + 1) % SLOTS
    return true
  }
}

/** Time stands still unless a test moves it: a loaded machine ends no turn early. */
function setup(onBatch?: (batch: number) => void, now = () => 0) {
  const pump = new HandPump()
  const batches: number[] = []
  const ring = new SlotRing(
    pump,
    (bytes) => {
      expect(bytes.byteLength).toBe(8)
      batches.push(bytes[0])
      onBatch?.(bytes[0])
    },
    { slotCount: SLOTS, slotBytes: SLOT_BYTES, turnMs: 8, now },
  )
  return { pump, batches, ring }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('SlotRing', () => {
  it('hands on full slots in order, round and round, and tells the pump', () => {
    const { pump, batches } = setup()
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < SLOTS; i++) expect(pump.fill()).toBe(true)
      expect(pump.fill()).toBe(false)
      pump.doorbell(null)
    }
    expect(batches).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
    expect(pump.releases).toBe(3)
  })

  it('gives the event loop back after its time, and comes again by itself', async () => {
    let time = 0
    const { pump, batches } = setup(
      () => {
        time += 5
      },
      () => time,
    )
    for (let i = 0; i < SLOTS; i++) pump.fill()
    pump.doorbell(null)
    expect(batches).toEqual([0, 1]) // 10 ms are over the limit of 8
    await turn()
    expect(batches).toEqual([0, 1, 2, 3])
  })

  it('leaves slots full while paused', async () => {
    const { pump, batches, ring } = setup()
    ring.pause()
    for (let i = 0; i < SLOTS; i++) pump.fill()
    pump.doorbell(null)
    await turn()
    expect(batches).toEqual([])
    expect(pump.fill()).toBe(false)
    ring.resume()
    await turn()
    expect(batches).toEqual([0, 1, 2, 3])
  })

  it('ends after the last full slot, and not before', async () => {
    const { pump, batches, ring } = setup()
    let ended = false
    void ring.ended.then(() => {
      ended = true
    })
    pump.fill()
    pump.fill()
    ring.pause()
    pump.isPumping = false
    pump.doorbell(null)
    await turn()
    expect(ended).toBe(false)
    ring.resume()
    expect(await ring.ended).toBeNull()
    expect(batches).toEqual([0, 1])
  })

  it('reports a pump that broke, after what it had brought', async () => {
    const { pump, batches, ring } = setup()
    pump.fill()
    pump.isPumping = false
    pump.doorbell(new Error('the device is gone'))
    expect((await ring.ended)?.message).toBe('the device is gone')
    expect(batches).toEqual([0])
  })

  it('frees a slot whose batch could not be taken, and goes on with the next', async () => {
    const { pump, batches } = setup((batch) => {
      if (batch === 0) throw new Error('no')
    })
    pump.fill()
    pump.fill()
    expect(() => pump.doorbell(null)).toThrow('no')
    expect(pump.releases).toBe(1)
    expect(pump.fill()).toBe(true)
    await turn()
    expect(batches).toEqual([0, 1, 2])
  })
})
