// control.ts: the driver's control messages as bytes (driver/protocol/control.h), one encode or decode for each.
//
// A reply is checked for its length before it is read: the driver may be of another build, and its first answer
// (Hello) is how one finds out. Counters are 64-bit in the driver and doubles here: exact below 2^53.

import type { DriverId, FunctionIndex, Ticks } from './ids.ts'
import {
  ABI_VERSION,
  AddDriverReply,
  AddDriverRequest,
  CountersReply,
  FunctionCounters,
  HelloReply,
  HelloRequest,
  HookedDriver,
  LATENCY_BUCKETS,
  LAYOUT_HASH,
  ListReply,
  LOSS_REASON_COUNT,
  MAX_DRIVER_NAME_LENGTH,
  RemoveDriverReply,
  RemoveDriverRequest,
  StartRequest,
} from './layout.ts'
import type { Losses } from './records.ts'

/** A reply is shorter than what it should hold. */
export class ControlError extends Error {
  override readonly name = 'ControlError'
}

function reply(bytes: Uint8Array, expected: number, of: string): DataView {
  if (bytes.byteLength < expected) {
    throw new ControlError(
      `the driver's answer to ${of} has ${bytes.byteLength} bytes, ${expected} were expected`,
    )
  }
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function request(size: number): { bytes: Uint8Array; view: DataView } {
  const bytes = new Uint8Array(size)
  return { bytes, view: new DataView(bytes.buffer) }
}

function wide(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true)
}

export interface Hello {
  abiVersion: number
  layoutHash: number
  accepted: boolean
  /** `major.minor.patch`. */
  driverVersion: string
  /** KernelKind. */
  kernel: number
  processors: number
  maxDrivers: number
  ticksPerSecond: number
  anchorTicks: Ticks
  /** Milliseconds since 1970, UTC; a fraction keeps the 100 ns as far as a double can. */
  anchorUtcMs: number
}

export const HELLO_REPLY_BYTES = HelloReply.bytes

export function encodeHello(): Uint8Array {
  const { bytes, view } = request(HelloRequest.bytes)
  view.setUint32(HelloRequest.abiVersion, ABI_VERSION, true)
  view.setUint32(HelloRequest.layoutHash, LAYOUT_HASH, true)
  return bytes
}

/** 100 ns units from 1601-01-01 to 1970-01-01. */
const EPOCH_1970 = 116_444_736_000_000_000n

export function decodeHello(bytes: Uint8Array): Hello {
  const view = reply(bytes, HelloReply.bytes, 'Hello')
  const version = view.getUint32(HelloReply.driverVersion, true)
  const sinceEpoch = view.getBigUint64(HelloReply.anchorSystemTime, true) - EPOCH_1970
  return {
    abiVersion: view.getUint32(HelloReply.abiVersion, true),
    layoutHash: view.getUint32(HelloReply.layoutHash, true),
    accepted: view.getUint32(HelloReply.accepted, true) !== 0,
    driverVersion: `${version >>> 16}.${(version >>> 8) & 0xff}.${version & 0xff}`,
    kernel: view.getUint32(HelloReply.kernel, true),
    processors: view.getUint32(HelloReply.processors, true),
    maxDrivers: view.getUint32(HelloReply.maxDrivers, true),
    ticksPerSecond: wide(view, HelloReply.frequency),
    anchorTicks: wide(view, HelloReply.anchorTicks) as Ticks,
    anchorUtcMs: Number(sinceEpoch / 10_000n) + Number(sinceEpoch % 10_000n) / 10_000,
  }
}

/** Why a driver that refused Hello did so, for people. */
export function helloRefusal(hello: Hello): string {
  if (hello.abiVersion === ABI_VERSION) {
    return 'the driver was built from other headers than this program: install both from one build'
  }
  const older = hello.abiVersion < ABI_VERSION ? 'the driver is older' : 'this program is older'
  return `the driver speaks version ${hello.abiVersion}, this program version ${ABI_VERSION}: ${older}`
}

export interface StartOptions {
  /** Per processor; a power of two. */
  ringBytes: number
  inputSnapLength: number
  outputSnapLength: number
}

export function encodeStart(options: StartOptions): Uint8Array {
  const { bytes, view } = request(StartRequest.bytes)
  view.setUint32(StartRequest.ringBytes, options.ringBytes, true)
  view.setUint32(StartRequest.inputSnapLength, options.inputSnapLength, true)
  view.setUint32(StartRequest.outputSnapLength, options.outputSnapLength, true)
  return bytes
}

export const ADD_DRIVER_REPLY_BYTES = AddDriverReply.bytes

/** `name` is an object name such as `\Driver\AFD`. Throws a RangeError for one that the driver would refuse. */
export function encodeAddDriver(name: string): Uint8Array {
  if (name.length === 0 || name.length > MAX_DRIVER_NAME_LENGTH) {
    throw new RangeError(
      `a driver's name has 1 to ${MAX_DRIVER_NAME_LENGTH} characters, this one ${name.length}`,
    )
  }
  const { bytes, view } = request(AddDriverRequest.bytes + 2 * name.length)
  view.setUint32(AddDriverRequest.nameLength, 2 * name.length, true)
  for (let i = 0; i < name.length; i++)
    view.setUint16(AddDriverRequest.bytes + 2 * i, name.charCodeAt(i), true)
  return bytes
}

export interface AddedDriver {
  driverId: DriverId
  /** Bit per IRP_MJ_*. */
  functions: number
  /** Bit per FastIoFunction. */
  fastIo: number
  driverObject: bigint
}

export function decodeAddDriver(bytes: Uint8Array): AddedDriver {
  const view = reply(bytes, AddDriverReply.bytes, 'AddDriver')
  return {
    driverId: view.getUint32(AddDriverReply.driverId, true) as DriverId,
    functions: view.getUint32(AddDriverReply.functions, true),
    fastIo: view.getUint32(AddDriverReply.fastIo, true),
    driverObject: view.getBigUint64(AddDriverReply.driverObject, true),
  }
}

export const REMOVE_DRIVER_REPLY_BYTES = RemoveDriverReply.bytes

export function encodeRemoveDriver(driverId: DriverId): Uint8Array {
  const { bytes, view } = request(RemoveDriverRequest.bytes)
  view.setUint32(RemoveDriverRequest.driverId, driverId, true)
  return bytes
}

/** What had to stay in place as pass-through, because another hook sits on top of ours. */
export interface RemovedDriver {
  /** Bit per IRP_MJ_*. */
  chainedFunctions: number
  chainedFastIo: boolean
}

export function decodeRemoveDriver(bytes: Uint8Array): RemovedDriver {
  const view = reply(bytes, RemoveDriverReply.bytes, 'RemoveDriver')
  return {
    chainedFunctions: view.getUint32(RemoveDriverReply.chainedFunctions, true),
    chainedFastIo: view.getUint32(RemoveDriverReply.chainedFastIo, true) !== 0,
  }
}

export interface FunctionCount {
  driverId: DriverId
  function: FunctionIndex
  arrivals: number
  completions: number
  unseen: number
  success: number
  warnings: number
  errors: number
  cancelled: number
  pended: number
  fellThrough: number
  bytesIn: number
  bytesOut: number
  /** Completions per bucket: bucket b holds latencies of floor(log2(ticks)) + 1 == b. */
  latency: number[]
}

export interface Counters {
  at: Ticks
  epoch: number
  offered: number
  written: number
  bytesWritten: number
  drops: Losses
  outstanding: number
  ringUsed: number
  ringSize: number
  functions: FunctionCount[]
  /** Entries there were; more than `functions.length` when the buffer was too small. */
  functionsTotal: number
}

/** Room for the counters of `functions` functions. */
export function countersBytes(functions: number): number {
  return CountersReply.bytes + functions * FunctionCounters.bytes
}

function series(view: DataView, at: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => wide(view, at + 8 * i))
}

export function decodeCounters(bytes: Uint8Array): Counters {
  const head = reply(bytes, CountersReply.bytes, 'GetCounters')
  const entries = head.getUint32(CountersReply.entries, true)
  const view = reply(bytes, countersBytes(entries), 'GetCounters')
  return {
    at: wide(view, CountersReply.timestamp) as Ticks,
    epoch: wide(view, CountersReply.epoch),
    offered: wide(view, CountersReply.offered),
    written: wide(view, CountersReply.written),
    bytesWritten: wide(view, CountersReply.bytesWritten),
    drops: {
      starts: series(view, CountersReply.dropsStart, LOSS_REASON_COUNT),
      ends: series(view, CountersReply.dropsEnd, LOSS_REASON_COUNT),
      others: wide(view, CountersReply.dropsOther),
    },
    outstanding: wide(view, CountersReply.outstanding),
    ringUsed: wide(view, CountersReply.ringUsed),
    ringSize: wide(view, CountersReply.ringSize),
    functions: Array.from({ length: entries }, (_, i) => decodeFunction(view, countersBytes(i))),
    functionsTotal: view.getUint32(CountersReply.entriesTotal, true),
  }
}

function decodeFunction(view: DataView, at: number): FunctionCount {
  return {
    driverId: view.getUint32(at + FunctionCounters.driverId, true) as DriverId,
    function: view.getUint32(at + FunctionCounters.function, true) as FunctionIndex,
    arrivals: wide(view, at + FunctionCounters.arrivals),
    completions: wide(view, at + FunctionCounters.completions),
    unseen: wide(view, at + FunctionCounters.unseen),
    success: wide(view, at + FunctionCounters.success),
    warnings: wide(view, at + FunctionCounters.warnings),
    errors: wide(view, at + FunctionCounters.errors),
    cancelled: wide(view, at + FunctionCounters.cancelled),
    pended: wide(view, at + FunctionCounters.pended),
    fellThrough: wide(view, at + FunctionCounters.fellThrough),
    bytesIn: wide(view, at + FunctionCounters.bytesIn),
    bytesOut: wide(view, at + FunctionCounters.bytesOut),
    latency: series(view, at + FunctionCounters.latency, LATENCY_BUCKETS),
  }
}

export interface HookedDriverState {
  driverId: DriverId
  /** HookState. */
  state: number
  driverObject: bigint
  functions: number
  fastIo: number
  outstanding: number
  name: string
}

/** Room for a list of `drivers` drivers. */
export function listBytes(drivers: number): number {
  return ListReply.bytes + drivers * HookedDriver.bytes
}

export function decodeList(bytes: Uint8Array): HookedDriverState[] {
  const head = reply(bytes, ListReply.bytes, 'List')
  const count = head.getUint32(ListReply.count, true)
  const view = reply(bytes, listBytes(count), 'List')
  return Array.from({ length: count }, (_, i) => {
    const at = listBytes(i)
    const nameBytes = Math.min(view.getUint32(at + HookedDriver.nameLength, true), 2 * MAX_DRIVER_NAME_LENGTH)
    let name = ''
    for (let n = 0; n + 1 < nameBytes; n += 2) {
      name += String.fromCharCode(view.getUint16(at + HookedDriver.name + n, true))
    }
    return {
      driverId: view.getUint32(at + HookedDriver.driverId, true) as DriverId,
      state: view.getUint32(at + HookedDriver.state, true),
      driverObject: view.getBigUint64(at + HookedDriver.driverObject, true),
      functions: view.getUint32(at + HookedDriver.functions, true),
      fastIo: view.getUint32(at + HookedDriver.fastIo, true),
      outstanding: view.getUint32(at + HookedDriver.outstanding, true),
      name,
    }
  })
}
