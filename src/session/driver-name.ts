// driver-name.ts: how people may name a driver, and which there are: `\Driver\AFD` as the system says, or `AFD`.

import type { DriverListing, NativeSource } from '../../addon/binding.ts'

/** Ours, of any ABI version: it refuses to be hooked by itself. */
const OWN_DRIVER = /^\\Driver\\DriverMon\d+$/i

/** The object name that a user means. A name without a folder lies in `\Driver`. */
export function driverObjectName(text: string): string {
  const name = text.trim()
  return name.startsWith('\\') ? name : `\\Driver\\${name}`
}

/** The object manager does not tell upper from lower case. */
export function sameDriverName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase()
}

/** In the order of their names. */
export function hookableDrivers(source: Pick<NativeSource, 'drivers'>): DriverListing[] {
  return source
    .drivers()
    .filter(({ name }) => !OWN_DRIVER.test(name))
    .toSorted((a, b) => (a.name.toLowerCase() < b.name.toLowerCase() ? -1 : 1))
}
