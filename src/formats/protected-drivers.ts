// protected-drivers.ts: drivers whose objects Windows itself guards, so that hooking them may stop the machine.
//
// Kernel Patch Protection (PatchGuard, 64-bit Windows) compares critical structures with what they were and, when one
// has changed, ends in bug check 0x109 CRITICAL_STRUCTURE_CORRUPTION, minutes or hours later. Driver objects are among
// them: parameter 4 is then 0x1C, "Driver object corruption".
// https://learn.microsoft.com/windows-hardware/drivers/debugger/bug-check-0x109---critical-structure-corruption
//
// What is known: \FileSystem\Ntfs is checked. A filter that did nothing but pass requests on from Ntfs' dispatch table
// ended in (0x109, …, 0x1C) on Windows 10 15063 (https://github.com/hfiref0x/UPGDSED/issues/2), and the author of the
// first DriverMon says the same of Windows 8 and later (https://github.com/zodiacon/DriverMon/issues/12).
// What is not known: Microsoft publishes no list, and it may differ from build to build. A driver that is not named
// here is not therefore safe. The other file systems that come with Windows are of the same kind as Ntfs; whether
// they are checked, no public source that we found shows, so they are warned of and not refused.

export interface DriverProtection {
  /** Known to be checked; else only likely. */
  known: boolean
  /** For people. */
  warning: string
}

const KNOWN = new Set(['\\filesystem\\ntfs'])

const LIKELY = new Set(
  ['exfat', 'fastfat', 'refs', 'refsv1', 'cdfs', 'udfs', 'fltmgr', 'mup', 'npfs', 'msfs', 'raw'].map(
    (name) => `\\filesystem\\${name}`,
  ),
)

/** null for a driver that nothing is known of. The name is an object name such as `\FileSystem\Ntfs`, in any case. */
export function driverProtection(objectName: string): DriverProtection | null {
  const name = objectName.toLowerCase()
  if (KNOWN.has(name)) {
    return {
      known: true,
      warning: 'PatchGuard checks this driver: hooking it ends in bug check 0x109, sooner or later.',
    }
  }
  if (LIKELY.has(name)) {
    return {
      known: false,
      warning: 'PatchGuard checks Ntfs and may check this file system, too: bug check 0x109 is possible.',
    }
  }
  return null
}
