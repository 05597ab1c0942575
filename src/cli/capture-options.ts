// capture-options.ts: the options that choose which requests are recorded, and how much of each.

import { type Command, Option } from 'commander'
import { parseDriverNames } from '../formats/driver-names.ts'
import { parseCodes, parseDuration, parseFunctions, parseProcessIds } from '../formats/predicates.ts'
import type { CaptureSettings, Choice } from '../protocol/capture-settings.ts'
import type { FunctionIndex } from '../protocol/ids.ts'
import { DEFAULT_SNAP_LENGTH, MAX_SNAP_LENGTH } from '../protocol/layout.ts'
import { understood, wholeNumber } from './options.ts'

export interface CaptureOptions {
  countOnly?: string[]
  onlyFunction?: FunctionIndex[]
  notFunction?: FunctionIndex[]
  pid?: number[]
  notPid?: number[]
  ioctl?: number[]
  notIoctl?: number[]
  errorsOnly?: boolean
  minLatency?: number
  sample?: number
  ownProcesses?: boolean
  snaplen: number
  inputSnaplen?: number
  outputSnaplen?: number
  forceHook?: boolean
}

/** Adds them all, in the order in which --help shows them. */
export function addCaptureOptions(command: Command): Command {
  const snapLength = wholeNumber(0, MAX_SNAP_LENGTH)
  return command
    .addOption(
      listOption(
        '--count-only <names...>',
        'of the drivers watched, count these and record nothing of them',
        parseDriverNames,
      ),
    )
    .addOption(
      listOption('--only-function <names...>', 'record only these: READ, FAST_IO_WRITE', parseFunctions),
    )
    .addOption(
      listOption(
        '--not-function <names...>',
        'record all but these; FAST_IO is all fast I/O',
        parseFunctions,
      ).conflicts('onlyFunction'),
    )
    .addOption(listOption('--pid <ids...>', 'record only the requests of these processes', parseProcessIds))
    .addOption(listOption('--not-pid <ids...>', 'record none of theirs', parseProcessIds).conflicts('pid'))
    .addOption(
      listOption(
        '--ioctl <codes...>',
        'of control requests record only these: AFD_RECV, 0x12017',
        parseCodes,
      ),
    )
    .addOption(
      listOption('--not-ioctl <codes...>', 'of control requests record all but these', parseCodes).conflicts(
        'ioctl',
      ),
    )
    .option('--errors-only', 'record only requests that fail')
    .addOption(
      new Option('--min-latency <duration>', 'record only requests that take as long: 1ms, 250us').argParser(
        understood(parseDuration),
      ),
    )
    .addOption(
      new Option('--sample <n>', 'record one request in so many').argParser(wholeNumber(1, 0xffffffff)),
    )
    .option('--own-processes', 'record the requests of DriverMon itself, too')
    .addOption(
      new Option('--snaplen <bytes>', 'bytes kept of each input and output')
        .argParser(snapLength)
        .default(DEFAULT_SNAP_LENGTH),
    )
    .addOption(
      new Option('--input-snaplen <bytes>', 'of each input, if not as --snaplen').argParser(snapLength),
    )
    .addOption(
      new Option('--output-snaplen <bytes>', 'of each output, if not as --snaplen').argParser(snapLength),
    )
    .option('--force-hook', 'hook a driver even if PatchGuard checks it, which may stop the machine')
}

export function captureSettings(options: CaptureOptions): CaptureSettings {
  return {
    predicates: {
      drivers: choice<string>(undefined, options.countOnly),
      functions: choice(options.onlyFunction, options.notFunction),
      processes: choice(options.pid, options.notPid),
      codes: choice(options.ioctl, options.notIoctl),
      errorsOnly: options.errorsOnly ?? false,
      minimumLatencyNs: options.minLatency ?? 0,
      sampleEvery: options.sample ?? 1,
      ownProcesses: options.ownProcesses ?? false,
    },
    inputSnapLength: options.inputSnaplen ?? options.snaplen,
    outputSnapLength: options.outputSnaplen ?? options.snaplen,
  }
}

function choice<T>(only: T[] | undefined, not: T[] | undefined): Choice<T> {
  if (only) return { mode: 'only', values: only }
  return not ? { mode: 'allBut', values: not } : { mode: 'any', values: [] }
}

/** May be given more than once, and each time several. */
function listOption<T>(flags: string, description: string, parse: (text: string) => T[]): Option {
  const read = understood(parse)
  return new Option(flags, description).argParser((text: string, before: T[] = []) => [
    ...before,
    ...read(text),
  ])
}
