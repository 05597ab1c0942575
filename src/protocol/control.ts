// control.ts: the driver's control messages as bytes (driver/protocol/control.h), one encode or decode for each.
//
// A reply is checked for its length before it is read: the driver may be of another build, and its first answer
// (Hello) is how one finds out. Counters are 64-bit in the driver and doubles here: exact below 2^53.

import type { CapturePredicates, Choice } from './capture-settings.ts'
import type { DriverId, FunctionIndex, Ticks } from './ids.ts'
import {
  ABI_VERSION,
  AddDriverReply,
  AddDriverRequest,
  CountersReply,
  FUNCTION_COUNT,
  FunctionCounters,
  HelloReply,
  HelloRequest,
  HookedDriver,
  InFlightReply,
  InFlightRequest,
  LATENCY_BUCKETS,
  LAYOUT_HASH,
  ListReply,
  LOSS_REASON_COUNT,
  MAJOR_FUNCTION_COUNT,
  MAX_DRIVER_NAME_LENGTH,
  MAX_PREDICATE_ENTRIES,
  PredicateFlags,
  PredicateMode,
  Predicates,
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
  const older =
    hello.abiVersion < ABI_VERSION
      ? 'the driver is older: load the one that came with this program'
      : 'this program is older: update it'
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

/** Throws a RangeError for more entries than the driver takes. */
/** `driverIds`: of the drivers that the predicates name, those that are hooked. */
export function encodePredicates(
  predicates: CapturePredicates,
  ticksPerSecond: number,
  driverIds: readonly DriverId[] = [],
): Uint8Array {
  const { bytes, view } = request(Predicates.bytes)
  const { functions, processes, codes, errorsOnly, ownProcesses, minimumLatencyNs, sampleEvery } = predicates
  const flags =
    (errorsOnly ? PredicateFlags.ErrorsOnly : 0) | (ownProcesses ? PredicateFlags.OwnProcesses : 0)
  view.setUint32(Predicates.flags, flags, true)
  view.setUint32(Predicates.sampleEvery, sampleEvery, true)
  const latency = BigInt(Math.ceil((minimumLatencyNs * ticksPerSecond) / 1e9))
  view.setBigUint64(Predicates.minimumLatency, latency, true)
  view.setBigUint64(Predicates.leftOutFunctions, leftOut(functions), true)
  const choose = (
    of: string,
    choice: Choice<number>,
    at: { mode: number; count: number; values: number },
  ) => {
    const { mode, values } = choice
    if (mode === 'any') return
    if (values.length > MAX_PREDICATE_ENTRIES) {
      throw new RangeError(`at most ${MAX_PREDICATE_ENTRIES} ${of} can be chosen, these are ${values.length}`)
    }
    view.setUint32(at.mode, mode === 'only' ? PredicateMode.Only : PredicateMode.AllBut, true)
    view.setUint32(at.count, values.length, true)
    for (const [i, value] of values.entries()) view.setUint32(at.values + 4 * i, value, true)
  }
  choose(
    'drivers',
    { mode: predicates.drivers.mode, values: driverIds },
    { mode: Predicates.driverMode, count: Predicates.driverCount, values: Predicates.drivers },
  )
  choose('processes', processes, {
    mode: Predicates.processMode,
    count: Predicates.processCount,
    values: Predicates.processes,
  })
  choose('codes', codes, {
    mode: Predicates.codeMode,
    count: Predicates.codeCount,
    values: Predicates.codes,
  })
  return bytes
}

/** A bit for each function that is not recorded. */
function leftOut({ mode, values }: Choice<FunctionIndex>): bigint {
  if (mode === 'any') return 0n
  const chosen = values.reduce((bits, fn) => bits | (1n << BigInt(fn)), 0n)
  return mode === 'allBut' ? chosen : chosen ^ ((1n << BigInt(FUNCTION_COUNT)) - 1n)
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
  chainedUnload: boolean
}

export function decodeRemoveDriver(bytes: Uint8Array): RemovedDriver {
  const view = reply(bytes, RemoveDriverReply.bytes, 'RemoveDriver')
  return {
    chainedFunctions: view.getUint32(RemoveDriverReply.chainedFunctions, true),
    chainedFastIo: view.getUint32(RemoveDriverReply.chainedFastIo, true) !== 0,
    chainedUnload: view.getUint32(RemoveDriverReply.chainedUnload, true) !== 0,
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
  /** Records of its starts and ends that found no room. */
  drops: number
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
  /** Requests that a predicate kept out of the records. */
  filteredStarts: number
  /** Requests that sampling kept out of them. */
  sampledOut: number
  /**
   * Fast-I/O calls that fell through are no requests of their own. How many of them are in `drops.starts`,
   * `filteredStarts` and `sampledOut`; those of the functions' `fellThrough` that are in none were recorded.
   */
  dropsFellThrough: number[]
  filteredFellThrough: number
  sampledOutFellThrough: number
  /** Records whose payload is where it cannot be read by rule. */
  payloadsBeyondReach: number
  /** Completions that came for a request which had ended, or been given up: somebody copied its location, or was late. */
  staleCompletions: number
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
    filteredStarts: wide(view, CountersReply.filteredStarts),
    sampledOut: wide(view, CountersReply.sampledOut),
    dropsFellThrough: series(view, CountersReply.dropsFellThrough, LOSS_REASON_COUNT),
    filteredFellThrough: wide(view, CountersReply.filteredFellThrough),
    sampledOutFellThrough: wide(view, CountersReply.sampledOutFellThrough),
    payloadsBeyondReach: wide(view, CountersReply.payloadsBeyondReach),
    staleCompletions: wide(view, CountersReply.staleCompletions),
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
    drops: wide(view, at + FunctionCounters.drops),
    latency: series(view, at + FunctionCounters.latency, LATENCY_BUCKETS),
  }
}

/** A request that has arrived and not ended, whether or not it is recorded. */
export interface RequestInFlight {
  requestId: number
  arrival: Ticks
  driverId: DriverId
  processId: number
  threadId: number
  function: FunctionIndex
  minor: number
  code: number
  /** Its start is held back until it has ended. */
  held: boolean
}

export interface InFlightState {
  at: Ticks
  requests: RequestInFlight[]
  /** Requests there are; more than `requests.length` when the buffer was too small. */
  total: number
}

/** Room for `requests` requests in flight. */
export function inFlightBytes(requests: number): number {
  return InFlightReply.bytes + requests * InFlightRequest.bytes
}

export function decodeInFlight(bytes: Uint8Array): InFlightState {
  const head = reply(bytes, InFlightReply.bytes, 'GetInFlight')
  const count = head.getUint32(InFlightReply.count, true)
  const view = reply(bytes, inFlightBytes(count), 'GetInFlight')
  return {
    at: wide(view, InFlightReply.timestamp) as Ticks,
    requests: Array.from({ length: count }, (_, i) => {
      const at = inFlightBytes(i)
      const major = view.getUint8(at + InFlightRequest.major)
      const fastIo = view.getUint8(at + InFlightRequest.fastIo) !== 0
      return {
        requestId: wide(view, at + InFlightRequest.requestId),
        arrival: wide(view, at + InFlightRequest.arrival) as Ticks,
        driverId: view.getUint32(at + InFlightRequest.driverId, true) as DriverId,
        processId: view.getUint32(at + InFlightRequest.processId, true),
        threadId: view.getUint32(at + InFlightRequest.threadId, true),
        function: (fastIo ? MAJOR_FUNCTION_COUNT + major : major) as FunctionIndex,
        minor: view.getUint8(at + InFlightRequest.minor),
        code: view.getUint32(at + InFlightRequest.code, true),
        held: view.getUint8(at + InFlightRequest.held) !== 0,
      }
    }),
    total: view.getUint32(InFlightReply.total, true),
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
