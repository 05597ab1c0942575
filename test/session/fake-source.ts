// fake-source.ts: a NativeSource in TypeScript, for tests of what stands above the addon.
//
// It keeps the contract of binding.ts (slots, doorbell, drain after Stop) and the rules of control.h (states, ids, drops
// when the ring is full), with two drivers and callers that issue seeded requests. It is no simulator: nothing here
// behaves like a kernel.

import type { DriverListing, NativeSource, ProcessListing, SimOptions } from '../../addon/binding.ts'
import {
  ABI_VERSION,
  AddDriverReply,
  AddDriverRequest,
  ControlCode,
  CountersReply,
  FunctionCounters,
  HelloReply,
  HookedDriver,
  HookState,
  InFlightReply,
  InFlightRequest,
  KernelKind,
  LATENCY_BUCKETS,
  LAYOUT_HASH,
  ListReply,
  LossReason,
  LossRecord,
  Predicates,
  RecordHeader,
  RecordType,
  RemoveDriverReply,
  RequestEnd,
  RequestFlags,
  RequestStart,
  StartRequest,
} from '../../src/protocol/layout.ts'

const TICKS_PER_SECOND = 10_000_000
const SLOT_HEADER_BYTES = 64
const STATUS_CANCELLED = 0xc0000120
const STATUS_UNSUCCESSFUL = 0xc0000001
const IOCTL_AFD_RECV = 0x12017
const IOCTL_AFD_SEND = 0x1201f

const DRIVERS: DriverListing[] = [
  { name: '\\Driver\\AFD', displayName: 'Ancillary Function Driver for Winsock' },
  { name: '\\Driver\\DrivermonEcho', displayName: 'Echo' },
  { name: '\\FileSystem\\Npfs', displayName: 'Named pipes' },
]

const PROCESSES: ProcessListing[] = [
  { processId: 4, parentProcessId: 0, name: 'System' },
  { processId: 1208, parentProcessId: 4, name: 'chrome.exe' },
  { processId: 2044, parentProcessId: 4, name: 'svchost.exe' },
]

export interface FakeOptions {
  /** What Hello says; another one is refused. */
  abiVersion?: number
  /** NTSTATUS with which Start fails. */
  startStatus?: number
  /** NTSTATUS with which AddDriver fails. */
  addStatus?: number
  /** Start fails for want of memory where it asks for a larger ring. */
  mostRingBytes?: number
  /** What Hello says it is. */
  kernel?: number
  /** Bytes that fit into the ring before records are dropped. */
  ringBytes?: number
  /** What another hook sits on top of, when ours is to go: major functions as bits, the fast-I/O table, the unload routine. */
  chained?: { functions: number; fastIo: boolean; unload?: boolean }
}

interface FakeHook {
  id: number
  name: string
}

interface FunctionTotals {
  arrivals: number
  completions: number
  errors: number
  cancelled: number
  pended: number
  bytesIn: number
  bytesOut: number
  latency: number[]
}

/** An error as the addon throws them. */
export function driverError(message: string, status: number): Error {
  return Object.assign(new Error(message), { status })
}

export class FakeSource implements NativeSource {
  closed = false
  /** Calls in order, by name. */
  readonly calls: string[] = []
  /** What there is to be listed; each asks in turn by chance. */
  readonly running = [...PROCESSES]

  #options: Required<FakeOptions>
  #hooks: FakeHook[] = []
  #nextDriverId = 1
  #capturing = false
  #greeted = false
  #epoch = 0
  #ring: Uint8Array[] = []
  #ringUsed = 0
  #sequence = 0
  #dropped = { starts: 0, ends: 0 }
  #unreported = { starts: 0, ends: 0 }
  #sampleEvery = 1
  #sampledOut = 0
  /** Driver ids whose requests are counted only. */
  #countedOnly = new Set<number>()
  #filtered = 0
  #offered = 0
  #written = 0
  #totals = new Map<string, FunctionTotals>()
  #requestId = 0
  #ticks = 1_000_000

  #slots: Uint8Array | null = null
  #slotCount = 0
  #slotBytes = 0
  #slot = 0
  #doorbell: ((error: Error | null) => void) | null = null
  #pumpScheduled = false

  #traffic: {
    options: SimOptions
    issued: Record<string, number>
    seed: number
    begun: number
    beginTicks: number
  } | null = null
  #trafficTimer: NodeJS.Timeout | undefined

  constructor(options: FakeOptions = {}) {
    this.#options = {
      abiVersion: ABI_VERSION,
      ringBytes: 1 << 20,
      kernel: KernelKind.Simulated,
      startStatus: 0,
      addStatus: 0,
      mostRingBytes: Number.POSITIVE_INFINITY,
      chained: { functions: 0, fastIo: false },
      ...options,
    }
  }

  control(code: number, input: Uint8Array | null, outputBytes: number): Uint8Array {
    if (this.closed) throw new Error('closed')
    const output = new Uint8Array(outputBytes)
    const view = new DataView(output.buffer)
    if (code !== ControlCode.Hello && !this.#greeted) throw driverError('no Hello', 0xc0000184)
    switch (code) {
      case ControlCode.Hello:
        return this.#hello(output, view)
      case ControlCode.AddDriver:
        return this.#addDriver(input!, output, view)
      case ControlCode.RemoveDriver: {
        this.calls.push('removeDriver')
        const id = new DataView(input!.buffer, input!.byteOffset).getUint32(0, true)
        const at = this.#hooks.findIndex((hook) => hook.id === id)
        if (at < 0) throw driverError('not found', 0xc0000225)
        this.#hooks.splice(at, 1)
        view.setUint32(RemoveDriverReply.chainedFunctions, this.#options.chained.functions, true)
        view.setUint32(RemoveDriverReply.chainedFastIo, this.#options.chained.fastIo ? 1 : 0, true)
        view.setUint32(RemoveDriverReply.chainedUnload, this.#options.chained.unload ? 1 : 0, true)
        return output
      }
      case ControlCode.RemoveAll:
        this.#hooks = []
        return output
      case ControlCode.Start:
        this.calls.push('start')
        if (this.#capturing) throw driverError('capturing', 0xc0000184)
        if (this.#options.startStatus !== 0) throw driverError('no start', this.#options.startStatus)
        if (
          input &&
          new DataView(input.buffer, input.byteOffset).getUint32(StartRequest.ringBytes, true) >
            this.#options.mostRingBytes
        ) {
          throw driverError('no memory', 0xc000009a)
        }
        this.#capturing = true
        this.#epoch++
        this.#ring = []
        this.#ringUsed = this.#offered = this.#written = 0
        this.#dropped = { starts: 0, ends: 0 }
        this.#unreported = { starts: 0, ends: 0 }
        this.#totals.clear()
        this.#sampledOut = this.#filtered = 0
        return output
      case ControlCode.Stop:
        this.calls.push('stop')
        this.#capturing = false
        this.#schedulePump()
        return output
      case ControlCode.List:
        return this.#list(output, view)
      case ControlCode.SetPredicates:
        this.calls.push('setPredicates')
        this.#setPredicates(new DataView(input!.buffer, input!.byteOffset))
        return output
      case ControlCode.GetInFlight:
        return this.#inFlight(output, view)
      case ControlCode.GetCounters:
        return this.#counters(output, view)
      default:
        throw driverError('unknown control code', 0xc0000010)
    }
  }

  /** Of all that there is: sampling, and drivers that are only counted. */
  #setPredicates(predicates: DataView): void {
    this.#sampleEvery = predicates.getUint32(Predicates.sampleEvery, true)
    this.#countedOnly.clear()
    for (let i = 0; i < predicates.getUint32(Predicates.driverCount, true); i++) {
      this.#countedOnly.add(predicates.getUint32(Predicates.drivers + 4 * i, true))
    }
  }

  drivers(): DriverListing[] {
    return DRIVERS
  }

  processes(): ProcessListing[] {
    this.calls.push('processes')
    return [...this.running]
  }

  startPump(
    slots: Uint8Array,
    slotCount: number,
    slotBytes: number,
    doorbell: (error: Error | null) => void,
  ): void {
    this.calls.push('startPump')
    this.#slots = slots
    this.#slotCount = slotCount
    this.#slotBytes = slotBytes
    this.#slot = 0
    this.#doorbell = doorbell
    this.#schedulePump()
  }

  released(): void {
    this.#schedulePump()
  }

  pumping(): boolean {
    return this.#doorbell !== null
  }

  stopPump(): void {
    this.#doorbell = null
  }

  /** The pump ends by itself, as when the device disappears; null = in good order. */
  breakPump(error: Error | null): void {
    const doorbell = this.#doorbell
    this.#doorbell = null
    doorbell?.(error)
  }

  startTraffic(options: SimOptions): void {
    this.calls.push('startTraffic')
    this.#traffic = {
      options,
      issued: {},
      seed: options.seed >>> 0,
      begun: performance.now(),
      beginTicks: this.#ticks,
    }
    this.#issueSome()
  }

  stopTraffic(): void {
    this.calls.push('stopTraffic')
    clearTimeout(this.#trafficTimer)
    this.#trafficTimer = undefined
  }

  issued(): Record<string, number> {
    return { ...this.#traffic?.issued }
  }

  trafficRunning(): boolean {
    return this.#trafficTimer !== undefined
  }

  close(): void {
    if (this.closed) return
    this.calls.push('close')
    this.stopTraffic()
    this.stopPump()
    this.closed = true
  }

  /** Puts bytes into the ring as they are: for tests of damaged streams. */
  inject(bytes: Uint8Array): void {
    this.#ring.push(bytes)
    this.#ringUsed += bytes.byteLength
    this.#schedulePump()
  }

  /** Issues `count` requests now, to the hooked drivers in turn. */
  issue(count: number): void {
    for (let i = 0; i < count; i++) {
      const name = DRIVERS[i % 2].name
      this.#request(name, this.#random())
    }
    this.#schedulePump()
  }

  #hello(output: Uint8Array, view: DataView): Uint8Array {
    this.calls.push('hello')
    const accepted = this.#options.abiVersion === ABI_VERSION
    this.#greeted = accepted
    view.setUint32(HelloReply.abiVersion, this.#options.abiVersion, true)
    view.setUint32(HelloReply.layoutHash, LAYOUT_HASH, true)
    view.setUint32(HelloReply.accepted, accepted ? 1 : 0, true)
    view.setUint32(HelloReply.driverVersion, 0x000100, true)
    view.setUint32(HelloReply.kernel, this.#options.kernel, true)
    view.setUint32(HelloReply.processors, 1, true)
    view.setUint32(HelloReply.maxDrivers, 64, true)
    view.setBigUint64(HelloReply.frequency, BigInt(TICKS_PER_SECOND), true)
    view.setBigUint64(HelloReply.anchorTicks, BigInt(this.#ticks), true)
    view.setBigUint64(
      HelloReply.anchorSystemTime,
      BigInt(Date.now()) * 10_000n + 116_444_736_000_000_000n,
      true,
    )
    return output
  }

  /** The driver unloads by itself. */
  unload(name: string): void {
    this.#hooks = this.#hooks.filter((hook) => hook.name !== name)
  }

  #list(output: Uint8Array, view: DataView): Uint8Array {
    view.setUint32(ListReply.count, this.#hooks.length, true)
    view.setUint32(ListReply.total, this.#hooks.length, true)
    this.#hooks.forEach((hook, i) => {
      const at = ListReply.bytes + i * HookedDriver.bytes
      view.setUint32(at + HookedDriver.driverId, hook.id, true)
      view.setUint32(at + HookedDriver.state, HookState.Active, true)
      view.setUint32(at + HookedDriver.nameLength, 2 * hook.name.length, true)
      output.set(Buffer.from(hook.name, 'utf16le'), at + HookedDriver.name)
    })
    return output.subarray(0, ListReply.bytes + this.#hooks.length * HookedDriver.bytes)
  }

  /** Two requests that never end, the younger one first; the start of the older one is held back. */
  #inFlight(output: Uint8Array, view: DataView): Uint8Array {
    view.setBigUint64(InFlightReply.timestamp, BigInt(this.#ticks), true)
    view.setUint32(InFlightReply.count, 2, true)
    view.setUint32(InFlightReply.total, 2, true)
    for (const i of [0, 1]) {
      const at = InFlightReply.bytes + i * InFlightRequest.bytes
      view.setBigUint64(at + InFlightRequest.requestId, BigInt(9 - i), true)
      view.setBigUint64(at + InFlightRequest.arrival, BigInt(this.#ticks - 100 * (i + 1)), true)
      view.setUint32(at + InFlightRequest.driverId, this.#hooks[0]?.id ?? 0, true)
      view.setUint32(at + InFlightRequest.processId, PROCESSES[1].processId, true)
      view.setUint32(at + InFlightRequest.code, IOCTL_AFD_RECV, true)
      view.setUint8(at + InFlightRequest.major, i === 0 ? 14 : 9)
      view.setUint8(at + InFlightRequest.fastIo, i)
      view.setUint8(at + InFlightRequest.held, i)
    }
    return output.subarray(0, InFlightReply.bytes + 2 * InFlightRequest.bytes)
  }

  #addDriver(input: Uint8Array, output: Uint8Array, view: DataView): Uint8Array {
    this.calls.push('addDriver')
    const name = Buffer.from(input.buffer, input.byteOffset + AddDriverRequest.bytes).toString('utf16le')
    const listing = DRIVERS.find((each) => each.name.toLowerCase() === name.toLowerCase())
    if (!listing) throw driverError(`no driver ${name}`, 0xc0000034)
    if (this.#options.addStatus !== 0) throw driverError('refused', this.#options.addStatus)
    if (this.#hooks.some((hook) => hook.name === listing.name)) throw driverError('hooked', 0xc0000035)
    const hook = { id: this.#nextDriverId++, name: listing.name }
    this.#hooks.push(hook)
    view.setUint32(AddDriverReply.driverId, hook.id, true)
    view.setUint32(AddDriverReply.functions, 0x0fffffff, true)
    view.setBigUint64(AddDriverReply.driverObject, 0xffff8a0012340000n, true)
    return output
  }

  #counters(output: Uint8Array, view: DataView): Uint8Array {
    view.setBigUint64(CountersReply.timestamp, BigInt(this.#ticks), true)
    view.setBigUint64(CountersReply.epoch, BigInt(this.#epoch), true)
    view.setBigUint64(CountersReply.offered, BigInt(this.#offered), true)
    view.setBigUint64(CountersReply.written, BigInt(this.#written), true)
    view.setBigUint64(CountersReply.dropsStart, BigInt(this.#dropped.starts), true)
    view.setBigUint64(CountersReply.dropsEnd, BigInt(this.#dropped.ends), true)
    view.setBigUint64(CountersReply.ringUsed, BigInt(this.#ringUsed), true)
    view.setBigUint64(CountersReply.ringSize, BigInt(this.#options.ringBytes), true)
    view.setBigUint64(CountersReply.filteredStarts, BigInt(this.#filtered), true)
    view.setBigUint64(CountersReply.sampledOut, BigInt(this.#sampledOut), true)
    view.setUint32(CountersReply.entriesTotal, this.#totals.size, true)
    let at: number = CountersReply.bytes
    let entries = 0
    for (const [key, totals] of this.#totals) {
      if (at + FunctionCounters.bytes > output.byteLength) break
      const [driverId, fn] = key.split(':').map(Number)
      view.setUint32(at + FunctionCounters.driverId, driverId, true)
      view.setUint32(at + FunctionCounters.function, fn, true)
      for (const name of [
        'arrivals',
        'completions',
        'errors',
        'cancelled',
        'pended',
        'bytesIn',
        'bytesOut',
      ] as const) {
        view.setBigUint64(at + FunctionCounters[name], BigInt(totals[name]), true)
      }
      totals.latency.forEach((count, bucket) => {
        view.setBigUint64(at + FunctionCounters.latency + 8 * bucket, BigInt(count), true)
      })
      at += FunctionCounters.bytes
      entries++
    }
    view.setUint32(CountersReply.entries, entries, true)
    return output.subarray(0, at)
  }

  #issueSome(): void {
    const traffic = this.#traffic!
    const { rate, count } = traffic.options
    const total = Object.values(traffic.issued).reduce((a, b) => a + b, 0)
    const elapsed = (performance.now() - traffic.begun) / 1000
    this.#ticks = Math.max(this.#ticks, traffic.beginTicks + Math.round(elapsed * TICKS_PER_SECOND))
    let due = rate === 0 ? 500 : Math.ceil(rate * elapsed) - total
    if (count > 0) due = Math.min(due, count - total)
    for (let i = 0; i < due; i++) {
      const { name } = DRIVERS[(total + i) % 2]
      traffic.issued[name] = (traffic.issued[name] ?? 0) + 1
      this.#request(name, this.#random())
    }
    this.#schedulePump()
    const done = count > 0 && total + due >= count
    this.#trafficTimer = done ? undefined : setTimeout(() => this.#issueSome(), 5)
  }

  #random(): number {
    const traffic = this.#traffic
    const seed = traffic?.seed ?? this.#requestId
    let mixed = (seed + 0x6d2b79f5) | 0
    if (traffic) traffic.seed = mixed >>> 0
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }

  /** One request and its end, if its driver is hooked and the capture runs. */
  #request(driverName: string, random: number): void {
    const hook = this.#hooks.find((each) => each.name === driverName)
    this.#ticks += 50 + (random & 0x3ff)
    if (!hook || !this.#capturing) return
    const isAfd = driverName.endsWith('AFD')
    const isSend = (random & 1) === 0
    const major = isAfd ? 14 : isSend ? 4 : 3
    const code = isAfd ? (isSend ? IOCTL_AFD_SEND : IOCTL_AFD_RECV) : 0
    const status =
      (random & 0x3f0) === 0 ? STATUS_CANCELLED : (random & 0xf000) === 0 ? STATUS_UNSUCCESSFUL : 0
    const pended = (random & 0x30000) === 0
    const payload = Buffer.from(`request ${this.#requestId + 1} to ${driverName}`)
    const latency = 20 + (random % 2_000)
    const requestId = ++this.#requestId
    const processId = this.running[random % this.running.length].processId
    const arrival = this.#ticks

    const key = `${hook.id}:${major}`
    let totals = this.#totals.get(key)
    if (!totals) {
      totals = {
        arrivals: 0,
        completions: 0,
        errors: 0,
        cancelled: 0,
        pended: 0,
        bytesIn: 0,
        bytesOut: 0,
        latency: new Array(LATENCY_BUCKETS).fill(0),
      }
      this.#totals.set(key, totals)
    }
    totals.arrivals++
    totals.completions++
    if (status === STATUS_CANCELLED) totals.cancelled++
    else if (status !== 0) totals.errors++
    if (pended) totals.pended++
    totals.bytesIn += payload.length
    totals.latency[Math.floor(Math.log2(latency)) + 1]++

    if (this.#countedOnly.has(hook.id)) {
      this.#filtered++
      return
    }
    if (this.#sampleEvery > 1 && requestId % this.#sampleEvery !== 0) {
      this.#sampledOut++
      return
    }
    const start = record(RecordType.RequestStart, RequestStart.bytes, payload)
    this.#header(start, hook.id, arrival)
    start.setBigUint64(RequestStart.requestId, BigInt(requestId), true)
    start.setBigUint64(RequestStart.irp, 0xffff8a0000001000n + BigInt(requestId % 64) * 0x200n, true)
    start.setBigUint64(RequestStart.deviceObject, 0xffff8a0000100000n, true)
    start.setUint32(RequestStart.processId, processId, true)
    start.setUint32(RequestStart.threadId, processId + 4, true)
    start.setUint32(RequestStart.requestorProcessId, processId, true)
    start.setUint8(RequestStart.major, major)
    start.setUint8(RequestStart.requestorMode, 1)
    start.setUint8(RequestStart.stackLocation, 1)
    start.setUint32(RequestStart.code, code, true)
    start.setUint32(RequestStart.inputLength, payload.length, true)
    start.setUint32(RequestStart.outputLength, 256, true)
    start.setUint32(RequestStart.payloadLength, payload.length, true)
    start.setUint32(RequestStart.payloadTotal, payload.length, true)
    this.#offer(start, 'starts')

    const end = record(RecordType.RequestEnd, RequestEnd.bytes, Buffer.alloc(0))
    this.#ticks = arrival + latency
    this.#header(end, hook.id, this.#ticks)
    end.setBigUint64(RequestEnd.requestId, BigInt(requestId), true)
    end.setBigUint64(RequestEnd.arrivalTimestamp, BigInt(arrival), true)
    end.setUint32(RequestEnd.status, status, true)
    end.setUint32(RequestEnd.flags, pended ? RequestFlags.Pended : 0, true)
    end.setUint32(RequestEnd.processId, processId, true)
    end.setUint8(RequestEnd.major, major)
    this.#offer(end, 'ends')
  }

  #header(view: DataView, driverId: number, timestamp: number): void {
    view.setUint32(RecordHeader.sequence, this.#sequence++, true)
    view.setUint32(RecordHeader.driverId, driverId, true)
    view.setBigUint64(RecordHeader.timestamp, BigInt(timestamp), true)
  }

  #offer(view: DataView, kind: 'starts' | 'ends'): void {
    this.#offered++
    const room = this.#options.ringBytes - this.#ringUsed - LossRecord.bytes
    if (view.byteLength > room) {
      this.#dropped[kind]++
      this.#unreported[kind]++
      return
    }
    if (this.#unreported.starts + this.#unreported.ends > 0) {
      const loss = record(RecordType.Loss, LossRecord.bytes, Buffer.alloc(0))
      this.#header(loss, 0, this.#ticks)
      loss.setUint32(LossRecord.starts + 4 * LossReason.RingFull, this.#unreported.starts, true)
      loss.setUint32(LossRecord.ends + 4 * LossReason.RingFull, this.#unreported.ends, true)
      this.#unreported = { starts: 0, ends: 0 }
      this.#push(loss)
    }
    this.#written++
    this.#push(view)
  }

  #push(view: DataView): void {
    this.#ring.push(new Uint8Array(view.buffer))
    this.#ringUsed += view.byteLength
  }

  #schedulePump(): void {
    if (this.#pumpScheduled || !this.#doorbell) return
    this.#pumpScheduled = true
    setImmediate(() => {
      this.#pumpScheduled = false
      this.#pump()
    })
  }

  /** What the native thread would do. */
  #pump(): void {
    const slots = this.#slots
    if (!slots || !this.#doorbell) return
    let filled = false
    while (this.#ring.length > 0) {
      const header = new Int32Array(slots.buffer, slots.byteOffset + this.#slot * SLOT_HEADER_BYTES, 2)
      if (Atomics.load(header, 0) !== 0) break
      const begin = this.#slotCount * SLOT_HEADER_BYTES + this.#slot * this.#slotBytes
      let bytes = 0
      while (this.#ring.length > 0 && bytes + this.#ring[0].byteLength <= this.#slotBytes) {
        const next = this.#ring.shift()!
        slots.set(next, begin + bytes)
        bytes += next.byteLength
      }
      this.#ringUsed -= bytes
      header[1] = bytes
      Atomics.store(header, 0, 1)
      this.#slot = (this.#slot + 1) % this.#slotCount
      filled = true
    }
    const doorbell = this.#doorbell
    const ended = !this.#capturing && this.#ring.length === 0
    if (ended) this.#doorbell = null
    if (filled || ended) doorbell(null)
  }
}

function record(type: number, structBytes: number, payload: Uint8Array): DataView {
  const bytes = new Uint8Array((structBytes + payload.length + 7) & ~7)
  bytes.set(payload, structBytes)
  const view = new DataView(bytes.buffer)
  view.setUint32(RecordHeader.size, bytes.length, true)
  view.setUint8(RecordHeader.type, type)
  return view
}
