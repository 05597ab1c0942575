// rotation-options.ts: the options that spread a recording over several files, so that it can run for days.

import { type Command, Option } from 'commander'
import { parseFilesKept, parseRotationSize, parseRotationTime, rotationOf } from '../formats/quotas.ts'
import { TextError } from '../formats/text-error.ts'
import type { Rotation } from '../protocol/wire.ts'
import { CommandError } from './io.ts'
import { understood } from './options.ts'

export interface RotationOptions {
  rotateSize?: number
  rotateTime?: number
  keep?: number
}

export function addRotationOptions(command: Command): Command {
  const option = (flags: string, description: string, parse: (text: string) => number) =>
    new Option(flags, description).argParser(understood(parse))
  return command
    .addOption(
      option(
        '--rotate-size <size>',
        'go on in another file before one gets larger: 256MB',
        parseRotationSize,
      ),
    )
    .addOption(
      option(
        '--rotate-time <duration>',
        'go on in another file once one covers as much: 10min',
        parseRotationTime,
      ),
    )
    .addOption(
      option('--keep <n>', 'keep the newest files; older ones of this recording are deleted', parseFilesKept),
    )
}

/** null = one file. */
export function rotationFrom({ rotateSize = 0, rotateTime = 0, keep = 0 }: RotationOptions): Rotation | null {
  try {
    return rotationOf({ sizeBytes: rotateSize, timeMs: rotateTime, keep })
  } catch (error) {
    if (!(error instanceof TextError)) throw error
    throw new CommandError(`--keep: ${error.message} (--rotate-size, --rotate-time)`, 2)
  }
}
