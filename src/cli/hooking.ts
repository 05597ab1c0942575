// hooking.ts: hooks the drivers that the user named, and says what speaks against it.

import { driverObjectName, sameDriverName } from '../formats/driver-names.ts'
import { ProtectedDriverError, type Session } from '../session/session.ts'
import { CommandError, type Io, tell } from './io.ts'

export interface HookingOptions {
  forceHook?: boolean
  countOnly?: string[]
}

export function addDrivers(
  session: Session,
  names: readonly string[],
  { forceHook = false, countOnly = [] }: HookingOptions,
  io: Io,
): void {
  const watched = names.map(driverObjectName)
  const stranger = countOnly.find((name) => !watched.some((each) => sameDriverName(each, name)))
  if (stranger !== undefined) {
    throw new CommandError(`--count-only: ${stranger} is not watched: name it with --driver, too`, 2)
  }
  for (const name of names) {
    try {
      session.addDriver(name, forceHook)
    } catch (error) {
      if (!(error instanceof ProtectedDriverError)) throw error
      throw new CommandError(`${error.message} --force-hook hooks it anyway; do that on a virtual machine.`)
    }
    const warning = session.warningOf(name)
    if (warning !== '') tell(io, `${name}: ${warning}`)
  }
}
