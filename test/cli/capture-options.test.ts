// capture-options.test.ts: what each capture option makes of the settings; and that no other field changes.

import { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { addCaptureOptions, type CaptureOptions, captureSettings } from '../../src/cli/capture-options.ts'
import {
  type CaptureSettings,
  DEFAULT_PREDICATES,
  DEFAULT_SETTINGS,
} from '../../src/protocol/capture-settings.ts'

const UNCHANGED = {
  ...DEFAULT_PREDICATES,
  inputSnapLength: DEFAULT_SETTINGS.inputSnapLength,
  outputSnapLength: DEFAULT_SETTINGS.outputSnapLength,
}

function settingsOf(...args: string[]): CaptureSettings {
  const command = addCaptureOptions(new Command())
  return captureSettings(command.parse(args, { from: 'user' }).opts<CaptureOptions>())
}

describe('capture options', () => {
  it('without any: the default settings', () => {
    expect(settingsOf()).toEqual(DEFAULT_SETTINGS)
  })

  it.each<[string[], Partial<typeof UNCHANGED>]>([
    [
      ['--count-only', 'AFD', '\\FileSystem\\Npfs'],
      { drivers: { mode: 'allBut', values: ['\\Driver\\AFD', '\\FileSystem\\Npfs'] } },
    ],
    [['--only-function', 'READ', 'IRP_MJ_WRITE'], { functions: { mode: 'only', values: [3, 4] as never } }],
    [['--not-function', 'DEVICE_CONTROL'], { functions: { mode: 'allBut', values: [14] as never } }],
    [['--pid', '4', '1208,7'], { processes: { mode: 'only', values: [4, 1208, 7] } }],
    [['--not-pid', '4'], { processes: { mode: 'allBut', values: [4] } }],
    [['--ioctl', 'AFD_RECV', '--ioctl', '0x1201f'], { codes: { mode: 'only', values: [0x12017, 0x1201f] } }],
    [['--not-ioctl', 'AFD_RECV'], { codes: { mode: 'allBut', values: [0x12017] } }],
    [['--errors-only'], { errorsOnly: true }],
    [['--min-latency', '250us'], { minimumLatencyNs: 250_000 }],
    [['--sample', '10'], { sampleEvery: 10 }],
    [['--own-processes'], { ownProcesses: true }],
    [['--snaplen', '64'], { inputSnapLength: 64, outputSnapLength: 64 }],
    [['--input-snaplen', '0'], { inputSnapLength: 0 }],
    [['--output-snaplen', '0'], { outputSnapLength: 0 }],
    [['--snaplen', '64', '--output-snaplen', '7'], { inputSnapLength: 64, outputSnapLength: 7 }],
    [['--force-hook'], {}],
  ])('%j', (args, changed) => {
    const { inputSnapLength, outputSnapLength, ...predicates } = { ...UNCHANGED, ...changed }
    expect(settingsOf(...args)).toEqual({ predicates, inputSnapLength, outputSnapLength })
  })
})
