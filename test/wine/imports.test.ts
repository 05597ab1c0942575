// imports.test.ts: what DriverMon.sys may ask of a kernel, name by name.
//
// Under Wine many exports are stubs, and calling one of some ends the process that all drivers share;
// MmGetSystemRoutineAddress finds them, so it is no protection. A name that is new here must first be looked up: does
// NT document it, from which version on, at which IRQL; and does Wine really have it? Then it goes into a list.

import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { buildForWindows } from './machine.mjs'

const driver = resolve(import.meta.dirname, '../../build-sys/DriverMon.sys')

/** Called on both kernels. */
const everywhere = [
  ...['ExAllocatePoolWithTag', 'ExFreePoolWithTag', 'memcmp', 'memcpy', 'memset', '__C_specific_handler'],
  ...['IoCreateDevice', 'IoDeleteDevice', 'IoCreateSymbolicLink', 'IoDeleteSymbolicLink'],
  ...['IoDriverObjectType', 'ObReferenceObjectByName', 'ObfDereferenceObject'],
  ...['IoGetCurrentProcess', 'IoGetRequestorProcess'],
  ...['IoReleaseCancelSpinLock', 'IofCompleteRequest'],
  ...['KeAcquireSpinLockAtDpcLevel', 'KeAcquireSpinLockRaiseToDpc'],
  ...['KeReleaseSpinLock', 'KeReleaseSpinLockFromDpcLevel'],
  ...['KeEnterCriticalRegion', 'KeLeaveCriticalRegion', 'KeWaitForSingleObject'],
  ...['KeGetCurrentProcessorNumberEx', 'KeQueryActiveProcessorCountEx', 'KeQueryPerformanceCounter'],
  ...['KeInitializeDpc', 'KeInitializeEvent', 'KeInitializeTimer', 'KeSetEvent'],
  ...['KeSetTimerEx', 'KeCancelTimer', 'KeFlushQueuedDpcs'],
  ...['MmGetSystemRoutineAddress', 'MmMapLockedPagesSpecifyCache'],
  ...['PsGetCurrentProcessId', 'PsGetCurrentThreadId', 'PsGetProcessId'],
  ...['PsSetCreateProcessNotifyRoutine', 'PsSetCreateProcessNotifyRoutineEx'],
  ...['RtlInitUnicodeString', 'ZwClose', 'ZwOpenKey', 'ZwQueryValueKey'],
]

/** Called only where the kernel was seen to be NT: on Wine they are missing, or answer and do nothing. */
const onlyOnNt = [
  'ExGetPreviousMode',
  ...['KeGetProcessorNumberFromIndex', 'KeInsertQueueDpc', 'KeSetImportanceDpc', 'KeSetTargetProcessorDpcEx'],
  ...['ObOpenObjectByPointer', 'ZwSetSecurityObject'],
  ...[
    'RtlAddAccessAllowedAce',
    'RtlCreateAcl',
    'RtlCreateSecurityDescriptor',
    'RtlSetDaclSecurityDescriptor',
  ],
]

beforeAll(buildForWindows)

it('imports only what has been looked up', () => {
  const { stdout, status } = spawnSync('x86_64-w64-mingw32-objdump', ['-p', driver], { encoding: 'utf8' })
  expect(status).toBe(0)
  const imported = [...stdout.matchAll(/^\t[0-9a-f]+\t +\d+ {2}(\w+)$/gm)].map(([, name]) => name)
  expect(imported).toContain('IoCreateDevice')
  expect([...new Set(imported)].sort()).toEqual([...everywhere, ...onlyOnNt].sort())
})

it('imports from the kernel and the HAL alone', () => {
  const { stdout } = spawnSync('x86_64-w64-mingw32-objdump', ['-p', driver], { encoding: 'utf8' })
  const libraries = [...stdout.matchAll(/DLL Name: (\S+)/g)].map(([, name]) => name.toLowerCase())
  expect(libraries.sort()).toEqual(['hal.dll', 'ntoskrnl.exe'])
})
