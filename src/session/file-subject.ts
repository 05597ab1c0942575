// file-subject.ts: a capture file as something to look at: like a session that has stopped, and cannot be started.

import { basename } from 'node:path'
import type { CaptureInfo } from '../formats/capture-info.ts'
import type { Capture } from '../model/capture.ts'
import { DEFAULT_SETTINGS } from '../protocol/capture-settings.ts'
import { LATENCY_BUCKETS } from '../protocol/layout.ts'
import type { DriverEntry, SessionState } from '../protocol/wire.ts'
import { type LoadOptions, loadCaptureFiles } from './capture-file.ts'
import { checkBudget } from './memory-budget.ts'
import { SessionError } from './session-error.ts'
import type { Gauges, Subject, SubjectEvents } from './subject.ts'

export async function openFileSubject(paths: readonly string[], options: LoadOptions): Promise<Subject> {
  const { capture, info, warnings } = await loadCaptureFiles(paths, options)
  return new FileSubject(paths, info, capture, warnings)
}

class FileSubject implements Subject {
  readonly capture: Capture
  #paths: readonly string[]
  #info: CaptureInfo
  #warnings: readonly string[]
  #gauges: Gauges

  constructor(paths: readonly string[], info: CaptureInfo, capture: Capture, warnings: readonly string[]) {
    this.#paths = paths
    this.#warnings = warnings
    this.#info = info
    this.capture = capture
    this.#gauges = finalGauges(info, capture)
  }

  state(): SessionState {
    const { ticksPerSecond, anchorTicks, anchorUtcMs } = this.#info
    return {
      source: 'file',
      sourceLabel: `${describePaths(this.#paths)} (${this.#info.os})`,
      running: false,
      drivers: [...this.capture.drivers].map(([driverId, name]) => ({ name, driverId })),
      recording: '',
      recordingFailure: '',
      settings: DEFAULT_SETTINGS,
      recordedOnly: this.#info.recordedOnly,
      driverVersion: '',
      ticksPerSecond,
      anchorTicks,
      anchorUtcMs,
    }
  }

  gauges(): Gauges {
    return this.#gauges
  }

  /** What was wrong with the files is known by now. */
  subscribe(events: SubjectEvents): () => void {
    for (const warning of this.#warnings) events.problem(warning)
    return () => {}
  }

  drivers(): DriverEntry[] {
    return [...this.capture.drivers.values()].map((name) => ({
      name,
      displayName: '',
      hooked: false,
      warning: '',
    }))
  }

  addDriver(): never {
    throw notLive()
  }
  removeDriver(): never {
    throw notLive()
  }
  start(): never {
    throw notLive()
  }
  async stop(): Promise<void> {}
  setBudget(bytes: number): void {
    checkBudget(bytes)
    this.capture.budgetBytes = bytes
  }
  clear(): never {
    throw notLive()
  }
  configure(): never {
    throw notLive()
  }
  inFlight(): never {
    throw notLive()
  }
  record(): Promise<void> {
    return Promise.reject(notLive())
  }
  async stopRecord(): Promise<void> {}
}

function describePaths(paths: readonly string[]): string {
  const first = basename(paths[0])
  return paths.length === 1 ? first : `${first} … ${basename(paths[paths.length - 1])}`
}

function notLive(): SessionError {
  return new SessionError('This is a capture file; to watch drivers, start DriverMon without one.')
}

function finalGauges(info: CaptureInfo, capture: Capture): Gauges {
  const { losses } = capture
  return {
    at: info.anchorTicks,
    functions: capture
      .stats()
      .map((each) => [
        each.driverId,
        each.function,
        each.count,
        each.errors,
        each.pended,
        each.bytesIn,
        each.bytesOut,
      ]),
    latency: new Array<number>(LATENCY_BUCKETS).fill(0),
    droppedStarts: losses.starts,
    droppedEnds: losses.ends,
    droppedOthers: losses.others,
    filtered: 0,
    sampledOut: 0,
    outstanding: 0,
    ringUsed: 0,
    ringSize: 0,
    recordedBytes: 0,
  }
}
