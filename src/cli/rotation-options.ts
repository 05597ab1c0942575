// rotation-options.ts: the options that spread a recording over several files, so that it can run for days.

import { type Command, Option } from 'commander'
import { parseDuration } from '../formats/predicates.ts'
import {
  MAX_FILES_KEPT,
  MIN_FILES_KEPT,
  MIN_ROTATION_BYTES,
  MIN_ROTATION_MS,
  type Rotation,
} from '../protocol/wire.ts'
import { CommandError } from './io.ts'
import { size, understood, wholeNumber } from './options.ts'

export interface RotationOptions {
  rotateSize?: number
  /** Nanoseconds. */
  rotateTime?: number
  keep?: number
}

export function addRotationOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--rotate-size <size>', 'go on in another file before one gets larger: 256MB').argParser(
        size(MIN_ROTATION_BYTES, Number.MAX_SAFE_INTEGER),
      ),
    )
    .addOption(
      new Option(
        '--rotate-time <duration>',
        'go on in another file when one covers as much: 10min, 1h',
      ).argParser(understood(parseDuration)),
    )
    .addOption(
      new Option(
        '--keep <n>',
        'keep the newest files only; older ones of this recording are deleted',
      ).argParser(wholeNumber(MIN_FILES_KEPT, MAX_FILES_KEPT)),
    )
}

/** null = one file. */
export function rotationOf({ rotateSize, rotateTime, keep }: RotationOptions): Rotation | null {
  if (rotateTime !== undefined && rotateTime / 1e6 < MIN_ROTATION_MS) {
    throw new CommandError('--rotate-time: a file should cover a second at least', 2)
  }
  if (rotateSize === undefined && rotateTime === undefined) {
    if (keep === undefined) return null
    throw new CommandError(
      '--keep needs --rotate-size or --rotate-time: without them there is one file only',
      2,
    )
  }
  return { sizeBytes: rotateSize ?? 0, timeMs: (rotateTime ?? 0) / 1e6, keep: keep ?? 0 }
}
