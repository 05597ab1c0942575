// Names of functions, control codes and statuses: spot checks against what Microsoft documents, and that the tables
// agree with themselves.

import { describe, expect, test } from 'vitest'
import {
  controlCode,
  controlCodeParts,
  describeControlCode,
  describeIoctl,
  ioctlByName,
  ioctlName,
  ioctlNames,
} from '../../src/formats/ioctl.ts'
import {
  carriesControlCode,
  functionByName,
  functionFullName,
  functionIndex,
  functionMajors,
  functionNames,
  isFastIo,
  Major,
  majorByName,
  majorName,
  minorName,
} from '../../src/formats/irp-names.ts'
import { isError, statusByName, statusName, statusNames, statusSeverity } from '../../src/formats/ntstatus.ts'
import type { FunctionIndex } from '../../src/protocol/ids.ts'
import { FUNCTION_COUNT, MAJOR_FUNCTION_COUNT, RequestFlags } from '../../src/protocol/layout.ts'

describe('functions', () => {
  test('there is a name for each, and each name leads back', () => {
    expect(functionNames).toHaveLength(FUNCTION_COUNT)
    expect(functionMajors).toHaveLength(FUNCTION_COUNT)
    expect(new Set(functionNames).size).toBe(FUNCTION_COUNT)
    for (let index = 0; index < FUNCTION_COUNT; index++) {
      const fn = index as FunctionIndex
      expect(functionByName(functionFullName(fn))).toBe(index)
      expect(functionByName(functionNames[index].toLowerCase())).toBe(index)
      expect(isFastIo(fn)).toBe(index >= MAJOR_FUNCTION_COUNT)
    }
  })

  test('numbers are those of wdm.h', () => {
    expect(Major).toMatchObject({
      CREATE: 0,
      CLOSE: 2,
      READ: 3,
      WRITE: 4,
      DEVICE_CONTROL: 14,
      CLEANUP: 18,
      PNP: 27,
    })
    expect(majorByName('IRP_MJ_POWER')).toBe(0x16)
    expect(majorName(200)).toBe('MAJOR_0xC8')
    const fastControl = functionIndex(9, RequestFlags.FastIo)
    expect(functionFullName(fastControl)).toBe('FAST_IO_DEVICE_CONTROL')
    expect(functionMajors[fastControl]).toBe(Major.DEVICE_CONTROL)
  })

  test('which of them carry a control code', () => {
    const fastControl = functionIndex(9, RequestFlags.FastIo)
    expect(carriesControlCode(fastControl, 0)).toBe(true)
    expect(carriesControlCode(functionIndex(9, 0), 0)).toBe(false)
    // A driver may have minors of its own in its own requests.
    expect(carriesControlCode(Major.DEVICE_CONTROL as FunctionIndex, 7)).toBe(true)
    expect(carriesControlCode(Major.INTERNAL_DEVICE_CONTROL as FunctionIndex, 7)).toBe(true)
    const fileSystemControl = Major.FILE_SYSTEM_CONTROL as FunctionIndex
    const minors = [0, 1, 2, 3, 4, 5].filter((minor) => carriesControlCode(fileSystemControl, minor))
    expect(minors.map((minor) => minorName(fileSystemControl, minor))).toEqual([
      'USER_FS_REQUEST',
      'KERNEL_CALL',
    ])
  })

  test('minors', () => {
    expect(minorName(Major.PNP as FunctionIndex, 0x13)).toBe('QUERY_ID')
    expect(minorName(Major.POWER as FunctionIndex, 2)).toBe('SET_POWER')
    expect(minorName(Major.DIRECTORY_CONTROL as FunctionIndex, 1)).toBe('QUERY_DIRECTORY')
    expect(minorName(Major.PNP as FunctionIndex, 0x77)).toBe('MINOR_0x77')
    expect(minorName(Major.CLOSE as FunctionIndex, 0)).toBe('')
    const flush = [0, 1, 2, 3, 4].map((minor) => minorName(Major.FLUSH_BUFFERS as FunctionIndex, minor))
    expect(flush).toEqual([
      'FLUSH',
      'FLUSH_AND_PURGE',
      'FLUSH_DATA_ONLY',
      'FLUSH_NO_SYNC',
      'FLUSH_DATA_SYNC_ONLY',
    ])
  })

  // Bits in ntddk.h, not numbers in a row.
  test.each([Major.READ, Major.WRITE])('minors of READ and WRITE (%i)', (major) => {
    expect([0, 1, 2, 3, 4, 5, 6, 7, 8].map((minor) => minorName(major as FunctionIndex, minor))).toEqual([
      'NORMAL',
      'DPC',
      'MDL',
      'MDL_DPC',
      'COMPLETE',
      'MINOR_0x05',
      'COMPLETE_MDL',
      'COMPLETE_MDL_DPC',
      'COMPRESSED',
    ])
  })
})

describe('control codes', () => {
  test.each([
    ['IOCTL_AFD_RECV', 0x12017],
    ['IOCTL_AFD_SEND', 0x1201f],
    ['IOCTL_AFD_POLL', 0x12024],
    ['IOCTL_AFD_SUPER_CONNECT', 0x120c7],
    ['IOCTL_MOUNTMGR_QUERY_POINTS', 0x6d0008],
    ['IOCTL_MOUNTDEV_QUERY_DEVICE_NAME', 0x4d0008],
    ['IOCTL_DISK_GET_DRIVE_GEOMETRY', 0x70000],
    ['IOCTL_DISK_GET_LENGTH_INFO', 0x7405c],
    ['IOCTL_STORAGE_QUERY_PROPERTY', 0x2d1400],
    ['IOCTL_STORAGE_GET_DEVICE_NUMBER', 0x2d1080],
    ['IOCTL_VOLUME_GET_VOLUME_DISK_EXTENTS', 0x560000],
    ['IOCTL_VOLUME_QUERY_MINIMUM_SHRINK_SIZE', 0x564058],
    ['IOCTL_VOLUME_PREPARE_FOR_SHRINK', 0x56c05c],
    ['IOCTL_VOLUME_GET_CSVBLOCKCACHE_CALLBACK', 0x56c068],
    ['IOCTL_SCSI_PASS_THROUGH_DIRECT', 0x4d014],
    ['IOCTL_SERIAL_SET_BAUD_RATE', 0x1b0004],
    ['IOCTL_KS_PROPERTY', 0x2f0003],
    ['FSCTL_GET_REPARSE_POINT', 0x900a8],
    ['FSCTL_PIPE_WAIT', 0x110018],
    ['FSCTL_PIPE_TRANSCEIVE', 0x11c017],
    ['FSCTL_SET_SPARSE', 0x900c4],
    ['FSCTL_QUERY_USN_JOURNAL', 0x900f4],
    ['IOCTL_NDIS_QUERY_GLOBAL_STATS', 0x170002],
  ])('%s', (name, code) => {
    expect(ioctlByName(name)).toBe(code)
    expect(ioctlName(code)).toBe(name)
    expect(describeIoctl(code)).toBe(name)
  })

  test('no two names share a code, but for aliases', () => {
    const byCode = new Map<number, string[]>()
    for (const name of ioctlNames())
      byCode.set(ioctlByName(name)!, [...(byCode.get(ioctlByName(name)!) ?? []), name])
    const shared = [...byCode.values()].filter((names) => names.length > 1).map((names) => names[0])
    expect(shared.every((name) => name.startsWith('IOCTL_AFD_'))).toBe(true)
  })

  test('an unknown code says what it is made of', () => {
    expect(controlCodeParts(0x22e01a)).toEqual({ deviceType: 0x22, function: 0x806, method: 2, access: 3 })
    expect(controlCode(0x22, 0x806, 2, 3)).toBe(0x22e01a)
    expect(describeIoctl(0x9c402408)).toBe('0x9C402408 (0x9C40 0x902 BUFFERED)')
    expect(describeIoctl(0x222007)).toBe('0x222007 (UNKNOWN 0x801 NEITHER)')
    expect(ioctlByName('afd_recv')).toBe(0x12017)
    expect(ioctlByName('IOCTL_AFD_RECEIVE')).toBe(0x12017)
    expect(ioctlByName('NO_SUCH')).toBeUndefined()
  })

  test('takes a code apart, AFD’s in AFD’s own way', () => {
    expect(describeControlCode(0x00012017)).toEqual({
      parts: 'NETWORK · AFD request 5 · METHOD_NEITHER',
      access: '',
    })
    expect(describeControlCode(0x0007c0f4).parts).toBe('DISK · function 0x3D · METHOD_BUFFERED')
  })
})

describe('statuses', () => {
  test.each([
    ['STATUS_SUCCESS', 0],
    ['STATUS_PENDING', 0x103],
    ['STATUS_BUFFER_OVERFLOW', 0x80000005],
    ['STATUS_NO_MORE_FILES', 0x80000006],
    ['STATUS_ACCESS_VIOLATION', 0xc0000005],
    ['STATUS_INVALID_DEVICE_REQUEST', 0xc0000010],
    ['STATUS_BUFFER_TOO_SMALL', 0xc0000023],
    ['STATUS_CANCELLED', 0xc0000120],
    ['STATUS_CONNECTION_RESET', 0xc000020d],
    ['STATUS_DEVICE_NOT_READY', 0xc00000a3],
  ])('%s', (name, status) => {
    expect(statusName(status)).toBe(name)
    expect(statusByName(name.toLowerCase())).toBe(status)
  })

  test('names are unique, lead back, and have a severity', () => {
    const names = statusNames()
    expect(names.length).toBeGreaterThan(500)
    expect(new Set(names).size).toBe(names.length)
    for (const name of names) expect(statusName(statusByName(name)!)).toBe(name)
    expect([0, 0x40000000, 0x80000005, 0xc0000120].map(statusSeverity)).toEqual([
      'success',
      'information',
      'warning',
      'error',
    ])
    expect([isError(0xc0000001), isError(0x80000005), isError(0)]).toEqual([true, false, false])
    expect(statusName(0xdeadbeef)).toBe('0xDEADBEEF')
  })
})
