// live-options.ts: the options of a live capture, which the window and `record` share, and the session that they make.

import type { Command, Option } from 'commander'
import { Session } from '../session/session.ts'
import { addCaptureOptions, type CaptureOptions, captureSettings } from './capture-options.ts'
import type { Io, SourceKind } from './io.ts'
import {
  rateOption,
  ringOption,
  seedOption,
  sourceOption,
  type TrafficOptions,
  trafficOf,
} from './options.ts'

export interface LiveOptions extends TrafficOptions, CaptureOptions {
  ring?: number
  memory: number
}

/** `memory` is the command's own, since its default is. */
export function addLiveOptions(command: Command, memory: Option): Command {
  command
    .addOption(sourceOption())
    .addOption(memory)
    .addOption(ringOption())
    .addOption(seedOption())
    .addOption(rateOption())
  return addCaptureOptions(command)
}

/** `count`: after so many requests the simulated callers stop; 0 = never. */
export function openSession(kind: SourceKind, options: LiveOptions, count: number, io: Io): Session {
  return new Session(io.openSource(kind), {
    version: io.version,
    native: io.nativeCode(),
    budgetBytes: options.memory,
    settings: captureSettings(options),
    ...(options.ring === undefined ? {} : { ringBytes: options.ring }),
    traffic: trafficOf(kind, options, count),
  })
}
