// session.ts: one open driver and what is made of its records: the capture in memory and, if wanted, a file.
//
// It is given its source and never loads the addon. Everything here happens on one thread, between two awaits nothing
// changes by itself; stopping is the one thing that takes time, because every record that the driver took is fetched
// before the capture is called finished.

import os from 'node:os'
import { resolve } from 'node:path'
import type { NativeSource, ProcessListing, SimOptions } from '../../addon/binding.ts'
import type { CaptureInfo } from '../formats/capture-info.ts'
import { driverObjectName, sameDriverName } from '../formats/driver-names.ts'
import { describePredicates } from '../formats/predicates.ts'
import { type DriverProtection, driverProtection } from '../formats/protected-drivers.ts'
import { Capture } from '../model/capture.ts'
import {
  type CapturePredicates,
  type CaptureSettings,
  DEFAULT_PREDICATES,
  DEFAULT_SETTINGS,
} from '../protocol/capture-settings.ts'
import type { AddedDriver, Counters } from '../protocol/control.ts'
import type { DriverId, Ticks } from '../protocol/ids.ts'
import { HookState, KernelKind, LATENCY_BUCKETS, ProcessEvent } from '../protocol/layout.ts'
import { encodeDriverHooked, encodeProcess, noLosses, RecordError } from '../protocol/records.ts'
import type { DriverEntry, InFlightList, Rotation, SessionState } from '../protocol/wire.ts'
import { Driver, DriverRefusal } from './driver.ts'
import { checkBudget, defaultBudgetBytes, defaultRingBytes, LEAST_RING_BYTES } from './memory-budget.ts'
import type { NativeCode } from './native-code.ts'
import type { RecordCounts } from './recorder.ts'
import { Recording } from './recording.ts'
import { RecordingFiles } from './recording-files.ts'
import { SessionError } from './session-error.ts'
import { SlotRing } from './slot-ring.ts'
import type { Gauges, Subject, SubjectEvents } from './subject.ts'

/** Of the requests in flight, so many are listed: the oldest. */
const IN_FLIGHT_LISTED = 200

/** Ours, of any ABI version: it refuses to be hooked by itself. */
const OWN_DRIVER = /^\\Driver\\DriverMon\d+$/i

const COUNTERS_INTERVAL_MS = 100
const HOOKS_INTERVAL_MS = 1000
const PROCESSES_INTERVAL_MS = 250

export interface SessionOptions {
  /** The product's version, for files. */
  version: string
  budgetBytes?: number
  ringBytes?: number
  settings?: CaptureSettings
  /** Not left to a default: without it a busy driver is too much for us, and nobody would see why. */
  native: NativeCode | undefined
  /** The simulator's callers; null on a device. */
  traffic: SimOptions | null
}

/** A driver that had better not be hooked; forcing is up to the user. */
export class ProtectedDriverError extends SessionError {}

interface Hook extends AddedDriver {
  name: string
}

type Phase = 'idle' | 'running' | 'stopping'

export class Session implements Subject {
  readonly driver: Driver
  #source: NativeSource
  #options: SessionOptions
  #settings: CaptureSettings
  /** Those that the driver has. */
  #predicates: CapturePredicates = DEFAULT_PREDICATES
  /** The hooked ones among those that they name. */
  #namedDrivers: DriverId[] = []
  #budgetBytes: number
  #capture: Capture
  #hooks: Hook[] = []
  #phase: Phase = 'idle'
  #ring: SlotRing | null = null
  #stopped: Promise<void> = Promise.resolve()
  #recording: Recording
  #counters: Counters | null = null
  #countersTimer: NodeJS.Timeout | undefined
  #hooksTimer: NodeJS.Timeout | undefined
  #processTimer: NodeJS.Timeout | undefined
  #processesAskedAt = Number.NEGATIVE_INFINITY
  #wanted = new Set<number>()
  /** Records of processes were lost: what any id means now must be asked. */
  #wantsAll = false
  #othersLost = 0
  #events = new Set<SubjectEvents>()

  /** Greets the driver; throws when it cannot be used. The source is closed by `close`, also then. */
  constructor(source: NativeSource, options: SessionOptions) {
    this.#source = source
    this.#options = options
    this.#settings = options.settings ?? DEFAULT_SETTINGS
    this.#budgetBytes = options.budgetBytes ?? defaultBudgetBytes()
    this.#recording = new Recording(options.native?.writePackets, {
      changed: () => this.#changed(),
      problem: (message) => this.#problem(message),
      room: () => this.#ring?.resume(),
    })
    try {
      this.driver = new Driver(source)
      this.#applyPredicates()
    } catch (error) {
      source.close()
      throw error
    }
    this.#capture = this.#newCapture()
  }

  get capture(): Capture {
    return this.#capture
  }

  /** The driver's totals since Start, as read last; after a stop they are final. */
  get counters(): Counters | null {
    return this.#counters
  }

  get running(): boolean {
    return this.#phase !== 'idle'
  }

  /** Of the recording, or the last one. */
  get recordedBytes(): number {
    return this.#recording.bytes
  }

  /** Its files that are there. */
  get recordedFiles(): string[] {
    return this.#recording.files
  }

  /** What became of its records. */
  get recordCounts(): RecordCounts {
    return this.#recording.counts
  }

  state(): SessionState {
    const { driverVersion, ticksPerSecond, anchorTicks, anchorUtcMs } = this.driver.hello
    return {
      source: this.#options.traffic ? 'sim' : 'device',
      sourceLabel: this.#sourceLabel(),
      running: this.running,
      drivers: this.#hooks.map(({ name, driverId }) => ({ name, driverId })),
      recording: this.#recording.path,
      recordingFailure: this.#recording.failure,
      settings: this.#settings,
      recordedOnly: describePredicates(this.#predicates),
      driverVersion,
      ticksPerSecond,
      anchorTicks,
      anchorUtcMs,
    }
  }

  gauges(): Gauges {
    const counters = this.#counters
    const latency = new Array<number>(LATENCY_BUCKETS).fill(0)
    for (const each of counters?.functions ?? []) {
      for (let bucket = 0; bucket < LATENCY_BUCKETS; bucket++) latency[bucket] += each.latency[bucket]
    }
    const drops = counters?.drops ?? noLosses()
    return {
      at: counters?.at ?? this.driver.hello.anchorTicks,
      functions: (counters?.functions ?? []).map((each) => [
        each.driverId,
        each.function,
        each.arrivals,
        each.errors,
        each.pended,
        each.bytesIn,
        each.bytesOut,
      ]),
      latency,
      droppedStarts: drops.starts,
      droppedEnds: drops.ends,
      droppedOthers: drops.others,
      filtered: counters?.filteredStarts ?? 0,
      sampledOut: counters?.sampledOut ?? 0,
      outstanding: this.running ? (counters?.outstanding ?? 0) : 0,
      ringUsed: counters?.ringUsed ?? 0,
      ringSize: counters?.ringSize ?? 0,
      recordedBytes: this.recordedBytes,
    }
  }

  subscribe(events: SubjectEvents): () => void {
    this.#events.add(events)
    return () => this.#events.delete(events)
  }

  /** In the order of their names. */
  drivers(): DriverEntry[] {
    return this.#source
      .drivers()
      .filter(({ name }) => !OWN_DRIVER.test(name))
      .toSorted((a, b) => (a.name.toLowerCase() < b.name.toLowerCase() ? -1 : 1))
      .map((driver) => ({
        ...driver,
        hooked: this.#hooks.some((hook) => sameDriverName(hook.name, driver.name)),
        warning: this.warningOf(driver.name),
      }))
  }

  /** Why it is not a good idea to hook a driver, or ''. */
  warningOf(name: string): string {
    return this.#protection(driverObjectName(name))?.warning ?? ''
  }

  /** Refuses one that PatchGuard is known to check, unless forced to. */
  addDriver(name: string, force = false): void {
    const objectName = driverObjectName(name)
    const protection = this.#protection(objectName)
    if (protection?.known && !force) throw new ProtectedDriverError(`${objectName}: ${protection.warning}`)
    const hook = { ...this.driver.addDriver(objectName), name: objectName }
    this.#hooks.push(hook)
    this.#applyPredicates()
    // The driver writes this record too, if it captures; but one that was hooked before Start, or before a recording
    // began, would have no name there.
    this.#append(encodeDriverHooked(hook, this.#now()))
    this.#changed()
  }

  removeDriver(name: string): void {
    const objectName = driverObjectName(name)
    const hook = this.#hooks.find((each) => sameDriverName(each.name, objectName))
    if (!hook) throw new SessionError(`${objectName}: it is not hooked.`)
    this.#unhook(hook)
    this.#hooks.splice(this.#hooks.indexOf(hook), 1)
    this.#applyPredicates()
    this.#changed()
  }

  start(): void {
    if (this.#phase === 'stopping')
      throw new SessionError('The capture is still stopping; try again in a moment.')
    if (this.#phase === 'running') throw new SessionError('A capture is running already.')
    if (this.#hooks.length === 0) throw new SessionError('No driver is selected: add one first.')
    const { traffic } = this.#options
    // Names first: whoever asks in the next moment may be gone in the one after.
    const processes = this.#processes()
    const before = this.#now()
    this.#startDriver()
    this.#phase = 'running'
    this.#capture = this.#newCapture()
    for (const hook of this.#hooks) this.#append(encodeDriverHooked(hook, before))
    this.#append(encodeProcesses(processes, before))
    const ring = new SlotRing(this.#source, (batch) => this.#append(batch))
    this.#ring = ring
    void ring.ended.then((error) => {
      if (this.#phase !== 'running') return
      const reason = error ? error.message : 'the driver has stopped'
      this.#giveUp(`The capture has ended by itself: ${reason}`)
    })
    if (traffic) this.#source.startTraffic(traffic)
    this.#countersTimer = setInterval(() => this.#readCounters(), COUNTERS_INTERVAL_MS)
    this.#hooksTimer = setInterval(() => this.#checkHooks(), HOOKS_INTERVAL_MS)
    // At once, too: until the next reading, what was counted before would look like a part of this capture.
    this.#readCounters()
    this.#changed()
  }

  /** Resolves when every record has been taken in and a recording is closed. Idempotent. */
  stop(): Promise<void> {
    if (this.#phase === 'running') {
      this.#phase = 'stopping'
      this.#stopped = this.#stop()
    }
    return this.#stopped
  }

  /** Which requests are recorded, from now on; how much of each, from the next start on. */
  configure(settings: CaptureSettings): void {
    const before = this.#settings
    this.#settings = settings
    try {
      this.#applyPredicates()
    } catch (error) {
      this.#settings = before
      throw error
    }
    this.#changed()
  }

  /** The oldest requests that have not ended, recorded or not. */
  inFlight(): InFlightList {
    const { at, total, requests } = this.driver.inFlight()
    const oldest = requests.toSorted((a, b) => a.arrival - b.arrival).slice(0, IN_FLIGHT_LISTED)
    return {
      at,
      total,
      requests: oldest.map((request) => ({
        ...request,
        driverName: this.#capture.driverName(request.driverId),
        processName: this.#capture.processes.nameAt(request.processId, request.arrival),
      })),
    }
  }

  clear(): void {
    this.#capture.clear()
  }

  setBudget(bytes: number): void {
    checkBudget(bytes)
    this.#budgetBytes = bytes
    this.#capture.budgetBytes = bytes
    this.#changed()
  }

  /** From now on, or from the next start on. Refuses to overwrite. */
  record(path: string, rotation: Rotation | null = null): Promise<void> {
    return this.recordTo(path, rotation, false)
  }

  async recordTo(path: string, rotation: Rotation | null, overwrite: boolean): Promise<void> {
    if (this.#phase === 'stopping')
      throw new SessionError('The capture is still stopping; try again in a moment.')
    if (path.trim() === '') throw new SessionError('A recording needs a file name.')
    await this.#recording.begin(new RecordingFiles(resolve(path), rotation, overwrite), this.#info())
    if (this.#phase !== 'running') return
    for (const hook of this.#hooks) this.#record(encodeDriverHooked(hook, this.#now()))
    this.#record(encodeProcesses(this.#processes(), this.#now()))
  }

  /** Resolves when the file is closed. Idempotent. */
  stopRecord(): Promise<void> {
    return this.#recording.end()
  }

  /** As `stopRecord`, for a recording that never began: nothing of it stays. */
  discardRecord(): Promise<void> {
    return this.#recording.discard()
  }

  /** Sim only: what the simulated callers say they have issued, by driver. */
  issued(): Record<string, number> {
    return this.#source.issued()
  }

  /** Sim only: false once the callers have issued as many as they were told. */
  trafficRunning(): boolean {
    return this.#source.trafficRunning()
  }

  /** Stops, unhooks everything and lets the driver go. */
  async close(): Promise<void> {
    await this.stop()
    await this.stopRecord()
    try {
      for (const hook of this.#hooks.splice(0)) this.#unhook(hook)
    } catch {
      // One that has gone, or a driver that answers no more: what there is to unhook, is when it is let go.
    }
    this.#source.close()
  }

  /** As `close`, without waiting for anything; what is in flight is lost. */
  abort(): void {
    this.#stopTimers()
    this.#source.close()
  }

  async #stop(): Promise<void> {
    this.#stopTimers()
    this.#recording.hurry()
    try {
      if (this.#options.traffic) this.#source.stopTraffic()
      this.driver.stop()
      await this.#ring?.ended
      this.#counters = this.driver.counters()
    } catch (error) {
      this.#problem((error as Error).message)
    }
    this.#source.stopPump()
    this.#ring = null
    this.#stopTimers()
    this.#learnProcesses()
    this.#capture.finish()
    await this.#recording.end()
    this.#phase = 'idle'
    this.#changed()
  }

  #unhook({ driverId, name }: Hook): void {
    const { chainedFunctions, chainedFastIo, chainedUnload } = this.driver.removeDriver(driverId)
    if (chainedFunctions === 0 && !chainedFastIo && !chainedUnload) return
    this.#problem(`${name}: another hook sits on top of ours, which therefore stays in place and passes on.`)
  }

  #giveUp(message: string): void {
    this.#problem(message)
    void this.stop()
  }

  /** One batch of records into everything that wants it. */
  #append(batch: Uint8Array): void {
    try {
      this.#record(batch)
      this.#capture.ingest(batch)
    } catch (error) {
      if (this.#phase === 'running') {
        const what =
          error instanceof RecordError
            ? "The driver's records cannot be understood"
            : 'No more records can be taken in'
        this.#giveUp(`${what}: ${(error as Error).message}`)
      }
      return
    }
    for (const events of this.#events) events.grown?.()
    for (const processId of this.#capture.unknownProcesses()) this.#wanted.add(processId)
    const { others } = this.#capture.losses
    this.#wantsAll ||= others > this.#othersLost
    this.#othersLost = others
    if ((this.#wanted.size > 0 || this.#wantsAll) && this.#phase === 'running') {
      // At once if the last snapshot is long ago: who asks may be gone in a moment.
      const waitMs = Math.max(0, this.#processesAskedAt + PROCESSES_INTERVAL_MS - performance.now())
      this.#processTimer ??= setTimeout(() => this.#learnProcesses(), waitMs)
    }
  }

  #record(batch: Uint8Array): void {
    if (!this.#recording.append(batch)) this.#ring?.pause()
  }

  /** Names for process ids that records brought up; a snapshot of the system is costly, so many ids share one. */
  #learnProcesses(): void {
    this.#processTimer = undefined
    if (this.#wanted.size === 0 && !this.#wantsAll) return
    const found = this.#processes().filter(({ processId }) => this.#wantsAll || this.#wanted.has(processId))
    this.#wanted.clear()
    this.#wantsAll = false
    const now = this.#now()
    this.#capture.learnProcesses(found, now)
    this.#record(encodeProcesses(found, now))
  }

  /** The processes that there are; none where they cannot be listed: rows then carry numbers. */
  #processes(): ProcessListing[] {
    this.#processesAskedAt = performance.now()
    try {
      return this.#source.processes()
    } catch {
      return []
    }
  }

  /** Where there is not enough memory for rings of a size that nobody has asked for, smaller ones do. */
  #startDriver(): void {
    const { ringBytes: asked } = this.#options
    const { inputSnapLength, outputSnapLength } = this.#settings
    for (let ringBytes = asked ?? defaultRingBytes(); ; ringBytes /= 2) {
      try {
        this.driver.start({ ringBytes, inputSnapLength, outputSnapLength })
        return
      } catch (error) {
        const smaller = asked === undefined && ringBytes > LEAST_RING_BYTES
        if (!smaller || !(error instanceof DriverRefusal) || !error.noMemory) throw error
      }
    }
  }

  #readCounters(): void {
    try {
      this.#counters = this.driver.counters()
    } catch (error) {
      this.#giveUp((error as Error).message)
    }
  }

  /** A monitored driver may unload; then nothing is left of it to watch. */
  #checkHooks(): void {
    let alive: Set<DriverId>
    try {
      const hooked = this.driver.hooked().filter(({ state }) => state === HookState.Active)
      alive = new Set(hooked.map(({ driverId }) => driverId))
    } catch {
      return // The counters, read more often, say it when the driver does not answer.
    }
    const gone = this.#hooks.filter(({ driverId }) => !alive.has(driverId))
    if (gone.length === 0) return
    this.#hooks = this.#hooks.filter(({ driverId }) => alive.has(driverId))
    this.#changed()
    for (const { name } of gone) this.#problem(`${name} has been unloaded; it is watched no longer.`)
  }

  #stopTimers(): void {
    clearInterval(this.#countersTimer)
    clearInterval(this.#hooksTimer)
    clearTimeout(this.#processTimer)
    this.#processTimer = undefined
  }

  /** Tells the driver, if it does not have them already: an older one need not know of predicates at all. */
  #applyPredicates(): void {
    const { predicates } = this.#settings
    const named = this.#hooks
      .filter((hook) => predicates.drivers.values.some((name) => sameDriverName(hook.name, name)))
      .map(({ driverId }) => driverId)
    const wanted = JSON.stringify([predicates, named])
    if (wanted === JSON.stringify([this.#predicates, this.#namedDrivers])) return
    this.driver.setPredicates(predicates, named)
    const before = describePredicates(this.#predicates)
    this.#predicates = predicates
    this.#namedDrivers = named
    const words = describePredicates(predicates)
    if (words !== before) this.#recording.recordedOnly(words)
  }

  /** Only NT has PatchGuard. */
  #protection(objectName: string): DriverProtection | null {
    return this.driver.hello.kernel === KernelKind.Nt ? driverProtection(objectName) : null
  }

  #newCapture(): Capture {
    const { ticksPerSecond, anchorTicks, anchorUtcMs } = this.driver.hello
    const { native } = this.#options
    return new Capture({ budgetBytes: this.#budgetBytes, ticksPerSecond, anchorTicks, anchorUtcMs, native })
  }

  #info(): CaptureInfo {
    const { abiVersion, ticksPerSecond, anchorTicks, anchorUtcMs } = this.driver.hello
    return {
      abiVersion,
      ticksPerSecond,
      anchorTicks,
      anchorUtcMs,
      os: this.#sourceLabel(),
      application: `DriverMon ${this.#options.version}`,
      source: this.#options.traffic ? 'sim' : 'device',
      series: 0,
      recordedOnly: describePredicates(this.#predicates),
    }
  }

  #sourceLabel(): string {
    if (this.driver.hello.kernel === KernelKind.Simulated) return 'Simulated kernel'
    if (this.driver.hello.kernel === KernelKind.Wine) return 'Wine'
    return `${os.version()} (${os.release()})`
  }

  /** Now, by the driver's clock; a moment ago if the driver does not answer any more. */
  #now(): Ticks {
    try {
      return this.driver.counters().at
    } catch {
      return this.#counters?.at ?? this.driver.hello.anchorTicks
    }
  }

  #changed(): void {
    for (const events of this.#events) events.state()
  }

  #problem(message: string): void {
    for (const events of this.#events) events.problem(message)
  }
}

function encodeProcesses(list: readonly ProcessListing[], at: Ticks): Uint8Array {
  return Buffer.concat(list.map((each) => encodeProcess({ ...each, at, event: ProcessEvent.Snapshot })))
}
