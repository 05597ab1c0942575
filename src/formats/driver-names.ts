// driver-names.ts: how people may name a driver: `\Driver\AFD` as the system says, or `AFD`.

/** The object name that a user means. A name without a folder lies in `\Driver`. */
export function driverObjectName(text: string): string {
  const name = text.trim()
  return name.startsWith('\\') ? name : `\\Driver\\${name}`
}

/** The object manager does not tell upper from lower case. */
export function sameDriverName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase()
}

/** `AFD, \FileSystem\Npfs`. */
export function parseDriverNames(text: string): string[] {
  const names = text.split(/[\s,]+/).filter((word) => word !== '')
  return [...new Set(names.map(driverObjectName))]
}
