// driver.ts: the driver's control calls with types, and its refusals as sentences that say what to do.

import type { NativeSource } from '../../addon/binding.ts'
import type { CapturePredicates } from '../protocol/capture-settings.ts'
import {
  ADD_DRIVER_REPLY_BYTES,
  type AddedDriver,
  type Counters,
  countersBytes,
  decodeAddDriver,
  decodeCounters,
  decodeHello,
  decodeInFlight,
  decodeList,
  decodeRemoveDriver,
  encodeAddDriver,
  encodeHello,
  encodePredicates,
  encodeRemoveDriver,
  encodeStart,
  HELLO_REPLY_BYTES,
  type Hello,
  type HookedDriverState,
  helloRefusal,
  type InFlightState,
  inFlightBytes,
  listBytes,
  REMOVE_DRIVER_REPLY_BYTES,
  type RemovedDriver,
  type StartOptions,
} from '../protocol/control.ts'
import type { DriverId } from '../protocol/ids.ts'
import { ControlCode, FUNCTION_COUNT } from '../protocol/layout.ts'

/** The driver refused something; the message says what to do. */
export class DriverRefusal extends Error {
  override readonly name = 'DriverRefusal'

  /** Whether the reason is that memory is short. */
  get noMemory(): boolean {
    const status = statusOf(this.cause)
    return status === NO_MEMORY || status === NO_MEMORY_WIN32
  }
}

const NO_MEMORY = 0xc000009a
const NO_MEMORY_WIN32 = 1450

/** Requests in flight that are asked for at first, and at most: 3 MB. */
const IN_FLIGHT_ROOM = 1024
const MOST_IN_FLIGHT = 65536

export class Driver {
  readonly hello: Hello
  #source: NativeSource
  #countersRoom = 4 * FUNCTION_COUNT
  #inFlightRoom = IN_FLIGHT_ROOM

  /** Greets the driver. Throws a DriverRefusal when it is of another version. */
  constructor(source: NativeSource) {
    this.#source = source
    this.hello = decodeHello(this.#call('Hello', ControlCode.Hello, encodeHello(), HELLO_REPLY_BYTES))
    if (!this.hello.accepted) throw new DriverRefusal(helloRefusal(this.hello))
  }

  addDriver(name: string): AddedDriver {
    let request: Uint8Array
    try {
      request = encodeAddDriver(name)
    } catch (error) {
      throw new DriverRefusal((error as Error).message)
    }
    return decodeAddDriver(this.#call(name, ControlCode.AddDriver, request, ADD_DRIVER_REPLY_BYTES))
  }

  removeDriver(driverId: DriverId): RemovedDriver {
    const request = encodeRemoveDriver(driverId)
    return decodeRemoveDriver(
      this.#call('RemoveDriver', ControlCode.RemoveDriver, request, REMOVE_DRIVER_REPLY_BYTES),
    )
  }

  removeAll(): void {
    this.#call('RemoveAll', ControlCode.RemoveAll, null, 0)
  }

  start(options: StartOptions): void {
    this.#call('Start', ControlCode.Start, encodeStart(options), 0)
  }

  stop(): void {
    this.#call('Stop', ControlCode.Stop, null, 0)
  }

  counters(): Counters {
    for (;;) {
      const counters = decodeCounters(
        this.#call('GetCounters', ControlCode.GetCounters, null, countersBytes(this.#countersRoom)),
      )
      if (counters.functionsTotal <= counters.functions.length) return counters
      this.#countersRoom = counters.functionsTotal + FUNCTION_COUNT
    }
  }

  /** `driverIds`: of the drivers that they name, those that are hooked. */
  setPredicates(predicates: CapturePredicates, driverIds: readonly DriverId[]): void {
    const request = encodePredicates(predicates, this.hello.ticksPerSecond, driverIds)
    this.#call('Capture options', ControlCode.SetPredicates, request, 0)
  }

  /** All requests in flight, as far as there are not absurdly many. */
  inFlight(): InFlightState {
    for (;;) {
      const room = this.#inFlightRoom
      const state = decodeInFlight(
        this.#call('Requests in flight', ControlCode.GetInFlight, null, inFlightBytes(room)),
      )
      if (state.total <= state.requests.length || room === MOST_IN_FLIGHT) return state
      this.#inFlightRoom = Math.min(2 * state.total, MOST_IN_FLIGHT)
    }
  }

  /** The drivers hooked now. */
  hooked(): HookedDriverState[] {
    const room = listBytes(this.hello.maxDrivers)
    return decodeList(this.#call('List', ControlCode.List, null, room))
  }

  #call(subject: string, code: number, input: Uint8Array | null, outputBytes: number): Uint8Array {
    try {
      return this.#source.control(code, input, outputBytes)
    } catch (error) {
      const status = statusOf(error)
      const advice = status === null ? undefined : (REFUSALS[code]?.[status] ?? ANY_CALL[status])
      if (advice !== undefined) throw new DriverRefusal(`${subject}: ${advice}`, { cause: error })
      throw error
    }
  }
}

function statusOf(error: unknown): number | null {
  const status = (error as { status?: unknown } | undefined)?.status
  return typeof status === 'number' ? status >>> 0 : null
}

/** What each status of control.h means for the user; by NTSTATUS, and by the Win32 error that stands for it. */
function advice(rows: [ntStatus: number, win32: number | null, text: string][]): Record<number, string> {
  const table: Record<number, string> = {}
  for (const [ntStatus, win32, text] of rows) {
    table[ntStatus] = text
    if (win32 !== null) table[win32] ??= text
  }
  return table
}

const NO_SUCH_DRIVER = 'there is no such driver. `drivermon drivers` lists those that can be hooked.'

const REFUSALS: Record<number, Record<number, string>> = {
  [ControlCode.AddDriver]: advice([
    [0xc0000034, 2, NO_SUCH_DRIVER],
    [0xc000003a, 3, NO_SUCH_DRIVER],
    [0xc0000033, 123, 'this is not the name of a driver object; one looks like \\Driver\\AFD.'],
    [0xc0000024, null, 'this object is not a driver.'],
    [0xc0000035, 183, 'it is hooked already.'],
    [0xc0000022, 5, 'this driver may not be hooked.'],
    [0xc0000056, null, 'it is being unloaded; try again once it is loaded anew.'],
    [0xc00000a3, 21, 'it is being loaded; try again in a moment.'],
    [0xc0000106, 206, 'the name is too long.'],
    [NO_MEMORY, NO_MEMORY_WIN32, 'no more drivers can be hooked; remove one first.'],
  ]),
  [ControlCode.SetPredicates]: advice([
    [0xc0000010, 1, 'this driver cannot choose which requests it records; update it.'],
    [0xc000000d, 87, 'a number is out of range.'],
  ]),
  [ControlCode.GetInFlight]: advice([[0xc0000010, 1, 'this driver does not list them; update it.']]),
  [ControlCode.RemoveDriver]: advice([[0xc0000225, 1168, 'it is not hooked.']]),
  [ControlCode.Start]: advice([
    [0xc0000184, 22, 'a capture is running already; stop it first.'],
    [0xc000000d, 87, 'the ring size or snap length is out of range.'],
    [NO_MEMORY, NO_MEMORY_WIN32, 'there is not enough memory for the rings; choose smaller ones.'],
  ]),
}

const ANY_CALL = advice([
  [0xc0000043, 32, 'another program is using the driver; close it first.'],
  [NO_MEMORY, NO_MEMORY_WIN32, 'the system is short of memory.'],
])
