// What may be recorded, as people write it: read, named again, and put into words.

import { describe, expect, test } from 'vitest'
import {
  describePredicates,
  formatCodes,
  formatFunctions,
  parseCodes,
  parseDuration,
  parseFunctions,
  parseProcessIds,
} from '../../src/formats/predicates.ts'
import { driverProtection } from '../../src/formats/protected-drivers.ts'
import { TextError } from '../../src/formats/text-error.ts'
import { DEFAULT_PREDICATES } from '../../src/protocol/capture-settings.ts'

describe('reading', () => {
  test('functions, fast I/O as one word', () => {
    expect(parseFunctions('READ, irp_mj_write  FAST_IO_DEVICE_CONTROL,READ')).toEqual([3, 4, 37])
    expect(parseFunctions('fast_io')).toHaveLength(21)
    expect(parseFunctions(' ')).toEqual([])
    expect(() => parseFunctions('READ, RAED')).toThrow('there is no function "RAED"')
  })

  test('control codes and process ids', () => {
    expect(parseCodes('AFD_RECV, ioctl_afd_send 0x222004 5')).toEqual([0x12017, 0x1201f, 0x222004, 5])
    expect(() => parseCodes('nonsense')).toThrow(TextError)
    expect(() => parseCodes('0x1FFFFFFFF')).toThrow(TextError)
    expect(parseProcessIds('4,1208')).toEqual([4, 1208])
    expect(() => parseProcessIds('chrome')).toThrow('"chrome" is no process id')
    expect(() => parseProcessIds(Array.from({ length: 65 }, (_, i) => i).join())).toThrow('at most 64')
  })

  test.each([
    ['1ms', 1e6],
    ['2.5 s', 2.5e9],
    ['250µs', 250e3],
    ['.5us', 500],
    ['0', 0],
  ])('the duration %s', (text, ns) => {
    expect(parseDuration(text)).toBe(ns)
  })

  test.each(['', '5', 'ms', '1 fortnight', '-1ms', '5constructor'])('no duration: “%s”', (text) => {
    expect(() => parseDuration(text)).toThrow(TextError)
  })
})

test('names read back as the same', () => {
  const functions = parseFunctions('CREATE FAST_IO')
  expect(formatFunctions(functions)).toBe('CREATE, FAST_IO')
  expect(parseFunctions(formatFunctions(functions))).toEqual(functions)
  expect(formatCodes([0x12017, 0x222004])).toBe('IOCTL_AFD_RECV, 0x222004')
})

test('words', () => {
  expect(describePredicates(DEFAULT_PREDICATES)).toBe('')
  expect(describePredicates({ ...DEFAULT_PREDICATES, ownProcesses: true })).toBe('')
  expect(
    describePredicates({
      drivers: { mode: 'allBut', values: ['\\Driver\\disk'] },
      functions: { mode: 'allBut', values: parseFunctions('CLEANUP CLOSE') },
      processes: { mode: 'only', values: [4, 8] },
      codes: { mode: 'only', values: [] },
      errorsOnly: true,
      minimumLatencyNs: 1e6,
      sampleEvery: 1000,
      ownProcesses: false,
    }),
  ).toBe('not \\Driver\\disk; not CLEANUP, CLOSE; PID 4, 8; code none; errors; latency ≥ 1.00 ms; 1 in 1,000')
})

test('drivers that PatchGuard checks, or may check', () => {
  expect(driverProtection('\\FileSystem\\NTFS')?.known).toBe(true)
  expect(driverProtection('\\FileSystem\\Npfs')?.known).toBe(false)
  expect(driverProtection('\\Driver\\Ntfs')).toBeNull()
  expect(driverProtection('\\Driver\\AFD')).toBeNull()
})
