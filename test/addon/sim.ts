// sim.ts: what every test of the addon does with a source: say Hello, hook, start, and keep what the pump brings.
// Control messages are laid out by hand here: the tests stand on the ABI, not on the core's code.

import type { NativeSource } from '../../addon/binding.ts'
import {
  ABI_VERSION,
  AddDriverReply,
  AddDriverRequest,
  ControlCode,
  CountersReply,
  DEFAULT_RING_BYTES,
  DEFAULT_SNAP_LENGTH,
  HelloReply,
  HelloRequest,
  LAYOUT_HASH,
  LOSS_REASON_COUNT,
  LossRecord,
  RecordHeader,
  RecordType,
  StartRequest,
} from '../../src/protocol/layout.ts'

export const ECHO = '\\Driver\\DrivermonEcho'

const HEADER_BYTES = 64

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

export function hello(source: NativeSource, abiVersion: number = ABI_VERSION): DataView {
  const request = new Uint8Array(HelloRequest.bytes)
  view(request).setUint32(HelloRequest.abiVersion, abiVersion, true)
  view(request).setUint32(HelloRequest.layoutHash, LAYOUT_HASH, true)
  return view(source.control(ControlCode.Hello, request, HelloReply.bytes))
}

/** Returns the driver's id. */
export function addDriver(source: NativeSource, name: string): number {
  const text = Buffer.from(name, 'utf16le')
  const request = new Uint8Array(AddDriverRequest.bytes + text.length)
  view(request).setUint32(AddDriverRequest.nameLength, text.length, true)
  request.set(text, AddDriverRequest.bytes)
  const reply = view(source.control(ControlCode.AddDriver, request, AddDriverReply.bytes))
  return reply.getUint32(AddDriverReply.driverId, true)
}

export function start(source: NativeSource, ringBytes: number = DEFAULT_RING_BYTES): void {
  const request = new Uint8Array(StartRequest.bytes)
  view(request).setUint32(StartRequest.ringBytes, ringBytes, true)
  view(request).setUint32(StartRequest.inputSnapLength, DEFAULT_SNAP_LENGTH, true)
  view(request).setUint32(StartRequest.outputSnapLength, DEFAULT_SNAP_LENGTH, true)
  source.control(ControlCode.Start, request, 0)
}

export function stop(source: NativeSource): void {
  source.control(ControlCode.Stop, null, 0)
}

/** Records lost by the driver's own count. */
export function droppedByDriver(source: NativeSource): number {
  const counters = view(source.control(ControlCode.GetCounters, null, 1 << 20))
  let dropped = Number(counters.getBigUint64(CountersReply.dropsOther, true))
  for (let reason = 0; reason < LOSS_REASON_COUNT; reason++) {
    dropped += Number(counters.getBigUint64(CountersReply.dropsStart + 8 * reason, true))
    dropped += Number(counters.getBigUint64(CountersReply.dropsEnd + 8 * reason, true))
  }
  return dropped
}

/** Counts what is in the slots, and checks that they hold whole records and nothing else. */
export class Tally {
  starts = 0
  ends = 0
  /** Sum of all Loss records, and of the starts in them. */
  lost = 0
  lostStarts = 0
  batches = 0
  error: Error | null = null
  /** Resolves when the pump has ended by itself. */
  readonly ended: Promise<void>

  #source: NativeSource
  #slots: Uint8Array
  #states: Int32Array
  #slotCount: number
  #slotBytes: number
  #next = 0

  constructor(source: NativeSource, slotCount: number, slotBytes = 256 * 1024) {
    this.#source = source
    this.#slotCount = slotCount
    this.#slotBytes = slotBytes
    this.#slots = new Uint8Array(new SharedArrayBuffer(slotCount * (HEADER_BYTES + slotBytes)))
    this.#states = new Int32Array(this.#slots.buffer, 0, (slotCount * HEADER_BYTES) / 4)
    let resolveEnded = () => {}
    this.ended = new Promise((resolve) => {
      resolveEnded = resolve
    })
    source.startPump(this.#slots, slotCount, slotBytes, (error) => {
      this.error ??= error
      this.empty()
      if (!source.pumping()) resolveEnded()
    })
  }

  /** What lies in the slots and their headers now. */
  snapshot(): Buffer {
    return Buffer.from(this.#slots)
  }

  empty(): void {
    for (;;) {
      const header = (this.#next * HEADER_BYTES) / 4
      if (Atomics.load(this.#states, header) === 0) break
      const first = this.#slotCount * HEADER_BYTES + this.#next * this.#slotBytes
      const bytes = new Uint32Array(this.#slots.buffer)[header + 1]
      this.#count(new DataView(this.#slots.buffer, first, bytes))
      Atomics.store(this.#states, header, 0)
      this.#next = (this.#next + 1) % this.#slotCount
    }
    this.#source.released()
  }

  #count(batch: DataView): void {
    this.batches++
    if (batch.byteLength === 0) throw new Error('an empty slot was handed over')
    let at = 0
    while (at < batch.byteLength) {
      const size = batch.getUint32(at + RecordHeader.size, true)
      if (size < RecordHeader.bytes || size % 8 !== 0 || at + size > batch.byteLength) {
        throw new Error(`no record at ${at} of ${batch.byteLength}: size ${size}`)
      }
      const type = batch.getUint8(at + RecordHeader.type)
      if (type === RecordType.RequestStart) this.starts++
      if (type === RecordType.RequestEnd) this.ends++
      if (type === RecordType.Loss) {
        this.lost += batch.getUint32(at + LossRecord.others, true)
        for (let reason = 0; reason < LOSS_REASON_COUNT; reason++) {
          const starts = batch.getUint32(at + LossRecord.starts + 4 * reason, true)
          this.lostStarts += starts
          this.lost += starts
          this.lost += batch.getUint32(at + LossRecord.ends + 4 * reason, true)
        }
      }
      at += size
    }
  }
}

/** Lets the event loop run until something is so. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve))
}

/** Holds the JavaScript thread until something is so: no event runs, no slot is emptied. */
export function stall(condition: () => boolean): void {
  // Nobody else can end this: vitest's own time limit needs the event loop.
  const limit = performance.now() + 30_000
  while (!condition()) if (performance.now() > limit) throw new Error('it never came to pass')
}
