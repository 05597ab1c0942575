// binding.ts: what the native addon offers, as types. The loader (load.ts) finds the addon and hands out this.
//
// The addon knows how to reach a driver (a Windows device, or the simulator in this process) and how to pump
// its records into shared memory. It does not know what a record or a control message means.

/** A driver that could be hooked. */
export interface DriverListing {
  /** Object name, such as `\Driver\AFD`. */
  name: string
  /** The service's display name, or ''. */
  displayName: string
}

export interface ProcessListing {
  processId: number
  parentProcessId: number
  /** Image name without a path, such as `msedge.exe`. */
  name: string
}

export interface SimOptions {
  /** The same seed gives the same traffic, per simulated caller. */
  seed: number
  /** Requests per second over all callers; 0 = as many as the machine can. */
  rate: number
  /** Stop issuing after this many requests; 0 = go on. */
  count: number
}

/**
 * One open session with a driver. Every method throws a `DriverError`-shaped Error: `message` is for people,
 * `status` (number) is the NTSTATUS or Win32 error, where there was one.
 */
export interface NativeSource {
  /** Sends one IOCTL and waits for it. `code` is a ControlCode. Returns the output that was written. */
  control(code: number, input: Uint8Array | null, outputBytes: number): Uint8Array
  drivers(): DriverListing[]
  processes(): ProcessListing[]
  /**
   * Starts the native thread that fills slots with GetData. `slots` is a view of one SharedArrayBuffer:
   * `slotCount` × 64-byte headers {i32 state: 0 free, 1 full; u32 bytes}, then `slotCount` × `slotBytes` (64-aligned).
   * Slots are filled and emptied in turn, round and round. Who fills stores `bytes`, then `state` (release); who
   * empties stores `state` 0 and calls `released`.
   * `doorbell` is called on the JavaScript thread after slots became full, coalesced: with null; with an Error when
   * the pump stopped by itself. After Stop it drains what is left and ends: then `doorbell` gets null a last time
   * and `pumping()` is false.
   */
  startPump(
    slots: Uint8Array,
    slotCount: number,
    slotBytes: number,
    doorbell: (error: Error | null) => void,
  ): void
  /** After JavaScript has emptied slots: lets a pump that waits for a free slot go on. Cheap when none waits. */
  released(): void
  pumping(): boolean
  /** Cancels the pump's wait and joins its thread. Full slots stay full. Idempotent. */
  stopPump(): void
  /** Sim only: lets the simulated callers run. Throws on a device. */
  startTraffic(options: SimOptions): void
  /** Sim only: stops the callers and waits until each has returned from its last call. */
  stopTraffic(): void
  /** Sim only: requests issued by simulated callers to each driver (by object name) since startTraffic. */
  issued(): Record<string, number>
  /** Sim only: whether callers are still issuing (false once `count` is reached). */
  trafficRunning(): boolean
  /** Ends the session: stops the pump, closes the handle. Idempotent. */
  close(): void
}

/** What native code does for the store and its capture files. src/session/native-code.ts has the contract. */
export interface NativeStore {
  readonly loops: {
    scan(
      columns: readonly (Uint16Array | Uint32Array)[],
      wanted: readonly (Uint8Array | Uint32Array)[],
      first: number,
      count: number,
      bits: Uint32Array,
      combine: 0 | 1 | 2,
    ): void
    count(bits: Uint32Array, counts: Uint16Array, first: number, end: number): void
    sort(keys: Uint32Array, rows: Uint16Array): void
  }
  writePackets(
    records: Uint32Array,
    at: number,
    out: Uint32Array,
    state: Float64Array,
    interfaces: Uint32Array,
    received: Float64Array,
  ): number
  ingest(
    records: Uint32Array,
    at: number,
    captureParts: readonly Uint32Array[],
    chunkParts: readonly (readonly Uint32Array[])[],
  ): number
}

export interface NativeBinding {
  readonly platform: 'linux' | 'win32' | 'darwin'
  readonly store: NativeStore
  /** Opens `\\.\DriverMon1`. Throws with advice when there is no driver, no rights, or another client. */
  openDevice(): NativeSource
  /** Boots the simulated machine in this process. One at a time per process. */
  openSim(): NativeSource
}
