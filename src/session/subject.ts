// subject.ts: what a server shows: a live session, or a file that was opened. The server need not know which.

import type { Capture } from '../model/capture.ts'
import type { CaptureSettings } from '../protocol/capture-settings.ts'
import type { DriverEntry, InFlightList, Rotation, SessionState, Tick } from '../protocol/wire.ts'

/** The part of a Tick that comes from the driver's counters and the recorder; the rest is the capture's. */
export type Gauges = Pick<
  Tick,
  | 'at'
  | 'functions'
  | 'latency'
  | 'droppedStarts'
  | 'droppedEnds'
  | 'droppedOthers'
  | 'filtered'
  | 'sampledOut'
  | 'outstanding'
  | 'ringUsed'
  | 'ringSize'
  | 'recordedBytes'
>

export interface SubjectEvents {
  /** `state()` answers differently now. */
  state(): void
  /** Something went wrong by itself; for people. */
  problem(message: string): void
  /** The capture has taken something in. Called for each batch: it may cost next to nothing. */
  grown?(): void
}

/** Commands throw (or reject) with a message for people. */
export interface Subject {
  state(): SessionState
  /** Another object after each start. */
  readonly capture: Capture
  gauges(): Gauges
  /** Until the result is called. */
  subscribe(events: SubjectEvents): () => void
  drivers(): DriverEntry[]
  /** Throws for a driver that PatchGuard is known to check, unless forced to. */
  addDriver(name: string, force?: boolean): void
  removeDriver(name: string): void
  start(): void
  stop(): Promise<void>
  clear(): void
  /** How much memory rows may take, from now on. */
  setBudget(bytes: number): void
  configure(settings: CaptureSettings): void
  /** The oldest requests that have not ended. */
  inFlight(): InFlightList
  record(path: string, rotation: Rotation | null): Promise<void>
  stopRecord(): Promise<void>
}
