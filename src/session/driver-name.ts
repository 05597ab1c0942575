// driver-name.ts: how people may name a driver: `\Driver\AFD` as the system does, or `AFD` for short.

/** The object name that a user means. A name without a folder lies in `\Driver`. */
export function driverObjectName(text: string): string {
  const name = text.trim()
  return name.startsWith('\\') ? name : `\\Driver\\${name}`
}

/** The object manager does not tell upper from lower case. */
export function sameDriverName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase()
}
