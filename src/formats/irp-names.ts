// irp-names.ts: names of what a driver can be asked to do: IRP major and minor functions, fast-I/O routines.
//
// Counters, charts and colours number functions in one range (FunctionIndex): the 28 majors first, then the fast-I/O
// routines. `IRP_MJ_…` and `FAST_IO_…` are the names people search for; the short forms fit a column.

import type { FunctionIndex } from '../protocol/ids.ts'
import { MAJOR_FUNCTION_COUNT, RequestFlags } from '../protocol/layout.ts'

/** By IRP_MJ_* number. */
const MAJORS = [
  'CREATE',
  'CREATE_NAMED_PIPE',
  'CLOSE',
  'READ',
  'WRITE',
  'QUERY_INFORMATION',
  'SET_INFORMATION',
  'QUERY_EA',
  'SET_EA',
  'FLUSH_BUFFERS',
  'QUERY_VOLUME_INFORMATION',
  'SET_VOLUME_INFORMATION',
  'DIRECTORY_CONTROL',
  'FILE_SYSTEM_CONTROL',
  'DEVICE_CONTROL',
  'INTERNAL_DEVICE_CONTROL',
  'SHUTDOWN',
  'LOCK_CONTROL',
  'CLEANUP',
  'CREATE_MAILSLOT',
  'QUERY_SECURITY',
  'SET_SECURITY',
  'POWER',
  'SYSTEM_CONTROL',
  'DEVICE_CHANGE',
  'QUERY_QUOTA',
  'SET_QUOTA',
  'PNP',
] as const

/** By FastIoFunction number, with the major that does the same by IRP. */
const FAST_IO: readonly (readonly [name: string, major: (typeof MAJORS)[number]])[] = [
  ['CHECK_IF_POSSIBLE', 'READ'],
  ['READ', 'READ'],
  ['WRITE', 'WRITE'],
  ['QUERY_BASIC_INFO', 'QUERY_INFORMATION'],
  ['QUERY_STANDARD_INFO', 'QUERY_INFORMATION'],
  ['LOCK', 'LOCK_CONTROL'],
  ['UNLOCK_SINGLE', 'LOCK_CONTROL'],
  ['UNLOCK_ALL', 'LOCK_CONTROL'],
  ['UNLOCK_ALL_BY_KEY', 'LOCK_CONTROL'],
  ['DEVICE_CONTROL', 'DEVICE_CONTROL'],
  ['DETACH_DEVICE', 'PNP'],
  ['QUERY_NETWORK_OPEN_INFO', 'QUERY_INFORMATION'],
  ['MDL_READ', 'READ'],
  ['MDL_READ_COMPLETE', 'READ'],
  ['PREPARE_MDL_WRITE', 'WRITE'],
  ['MDL_WRITE_COMPLETE', 'WRITE'],
  ['READ_COMPRESSED', 'READ'],
  ['WRITE_COMPRESSED', 'WRITE'],
  ['MDL_READ_COMPLETE_COMPRESSED', 'READ'],
  ['MDL_WRITE_COMPLETE_COMPRESSED', 'WRITE'],
  ['QUERY_OPEN', 'QUERY_INFORMATION'],
]

export const Major = Object.fromEntries(MAJORS.map((name, number) => [name, number])) as Record<
  (typeof MAJORS)[number],
  number
>

/** `DEVICE_CONTROL`, `FAST_IO_DEVICE_CONTROL`, by FunctionIndex. */
export const functionNames: readonly string[] = [...MAJORS, ...FAST_IO.map(([name]) => `FAST_IO_${name}`)]

/** The major of an IRP, or the one that a fast-I/O routine stands for, by FunctionIndex. */
export const functionMajors: readonly number[] = [
  ...MAJORS.map((_, number) => number),
  ...FAST_IO.map(([, major]) => Major[major]),
]

export function functionIndex(major: number, flags: number): FunctionIndex {
  return ((flags & RequestFlags.FastIo) !== 0 ? MAJOR_FUNCTION_COUNT + major : major) as FunctionIndex
}

export function isFastIo(index: FunctionIndex): boolean {
  return index >= MAJOR_FUNCTION_COUNT
}

/** `DEVICE_CONTROL`, `FAST_IO_READ`; `MAJOR_0x1F` for a number without a name. */
export function functionName(index: FunctionIndex): string {
  return functionNames[index] ?? `MAJOR_${hexByte(index)}`
}

/** `IRP_MJ_DEVICE_CONTROL`, `FAST_IO_READ`. */
export function functionFullName(index: FunctionIndex): string {
  return isFastIo(index) ? functionName(index) : `IRP_MJ_${functionName(index)}`
}

export function majorName(major: number): string {
  return MAJORS[major] ?? `MAJOR_${hexByte(major)}`
}

/** Accepts `DEVICE_CONTROL`, `IRP_MJ_DEVICE_CONTROL`, in any case. */
export function majorByName(name: string): number | undefined {
  return (Major as Record<string, number | undefined>)[name.toUpperCase().replace(/^IRP_MJ_/, '')]
}

/** Accepts what `majorByName` does, and `FAST_IO_READ`, `FASTIO_READ`. */
export function functionByName(name: string): FunctionIndex | undefined {
  const plain = name
    .toUpperCase()
    .replace(/^IRP_MJ_/, '')
    .replace(/^FASTIO_/, 'FAST_IO_')
  const index = functionNames.indexOf(plain)
  return index < 0 ? undefined : (index as FunctionIndex)
}

/** Of FILE_SYSTEM_CONTROL; the others, such as MOUNT_VOLUME, have other parameters. */
const USER_FS_REQUEST = 0
const KERNEL_CALL = 4

/** Whether `code` of a request with this function is an IOCTL or FSCTL. */
export function carriesControlCode(index: FunctionIndex, minor: number): boolean {
  const major = functionMajors[index]
  return (
    major === Major.DEVICE_CONTROL ||
    major === Major.INTERNAL_DEVICE_CONTROL ||
    (major === Major.FILE_SYSTEM_CONTROL && (minor === USER_FS_REQUEST || minor === KERNEL_CALL))
  )
}

/** DPC 1, MDL 2, COMPLETE 4, COMPRESSED 8, and those of their sums that ntddk.h names. */
const TRANSFER_MINORS = [
  'NORMAL',
  'DPC',
  'MDL',
  'MDL_DPC',
  'COMPLETE',
  undefined,
  'COMPLETE_MDL',
  'COMPLETE_MDL_DPC',
  'COMPRESSED',
]

const MINORS: Partial<Record<(typeof MAJORS)[number], readonly (string | undefined)[]>> = {
  READ: TRANSFER_MINORS,
  WRITE: TRANSFER_MINORS,
  DIRECTORY_CONTROL: [undefined, 'QUERY_DIRECTORY', 'NOTIFY_CHANGE_DIRECTORY', 'NOTIFY_CHANGE_DIRECTORY_EX'],
  FILE_SYSTEM_CONTROL: [
    'USER_FS_REQUEST',
    'MOUNT_VOLUME',
    'VERIFY_VOLUME',
    'LOAD_FILE_SYSTEM',
    'KERNEL_CALL',
  ],
  LOCK_CONTROL: [undefined, 'LOCK', 'UNLOCK_SINGLE', 'UNLOCK_ALL', 'UNLOCK_ALL_BY_KEY'],
  FLUSH_BUFFERS: ['FLUSH', 'FLUSH_AND_PURGE', 'FLUSH_DATA_ONLY', 'FLUSH_NO_SYNC', 'FLUSH_DATA_SYNC_ONLY'],
  POWER: ['WAIT_WAKE', 'POWER_SEQUENCE', 'SET_POWER', 'QUERY_POWER'],
  SYSTEM_CONTROL: [
    'QUERY_ALL_DATA',
    'QUERY_SINGLE_INSTANCE',
    'CHANGE_SINGLE_INSTANCE',
    'CHANGE_SINGLE_ITEM',
    'ENABLE_EVENTS',
    'DISABLE_EVENTS',
    'ENABLE_COLLECTION',
    'DISABLE_COLLECTION',
    'REGINFO',
    'EXECUTE_METHOD',
    undefined,
    'REGINFO_EX',
  ],
  PNP: [
    'START_DEVICE',
    'QUERY_REMOVE_DEVICE',
    'REMOVE_DEVICE',
    'CANCEL_REMOVE_DEVICE',
    'STOP_DEVICE',
    'QUERY_STOP_DEVICE',
    'CANCEL_STOP_DEVICE',
    'QUERY_DEVICE_RELATIONS',
    'QUERY_INTERFACE',
    'QUERY_CAPABILITIES',
    'QUERY_RESOURCES',
    'QUERY_RESOURCE_REQUIREMENTS',
    'QUERY_DEVICE_TEXT',
    'FILTER_RESOURCE_REQUIREMENTS',
    undefined,
    'READ_CONFIG',
    'WRITE_CONFIG',
    'EJECT',
    'SET_LOCK',
    'QUERY_ID',
    'QUERY_PNP_DEVICE_STATE',
    'QUERY_BUS_INFORMATION',
    'DEVICE_USAGE_NOTIFICATION',
    'SURPRISE_REMOVAL',
    'QUERY_LEGACY_BUS_INFORMATION',
    'DEVICE_ENUMERATED',
  ],
}

/** `QUERY_ID` for a PNP request; '' where minors have no meaning, `MINOR_0x2A` where the number has no name. */
export function minorName(index: FunctionIndex, minor: number): string {
  if (isFastIo(index)) return ''
  const names = MINORS[MAJORS[index]]
  if (!names) return minor === 0 ? '' : `MINOR_${hexByte(minor)}`
  return names[minor] ?? (minor === 0 ? '' : `MINOR_${hexByte(minor)}`)
}

function hexByte(value: number): string {
  return `0x${value.toString(16).toUpperCase().padStart(2, '0')}`
}
