// hooking.ts: hooks the drivers that the user named, and says what speaks against it.

import { ProtectedDriverError, type Session } from '../session/session.ts'
import { CommandError, type Io } from './io.ts'

export function addDrivers(session: Session, names: readonly string[], force: boolean, io: Io): void {
  for (const name of names) {
    try {
      session.addDriver(name, force)
    } catch (error) {
      if (!(error instanceof ProtectedDriverError)) throw error
      throw new CommandError(`${error.message} --force-hook hooks it anyway; do that on a virtual machine.`)
    }
    const warning = session.warningOf(name)
    if (warning !== '') io.err.write(`drivermon: ${name}: ${warning}\n`)
  }
}
