// file-names.ts: the files that a command is given. Shells of Windows leave wildcards to the program, and so `afd_*.pcapng`
// arrives here as it was typed; other shells have replaced it, and what is still there is a name.

import { readdirSync } from 'node:fs'
import { win32 } from 'node:path'
import type { Io } from './io.ts'

/** Each name with * or ? in its last part becomes the names that fit, sorted; or stays, where none does. */
export function filesNamed(names: readonly string[], { platform }: Pick<Io, 'platform'>): string[] {
  return platform === 'win32' ? names.flatMap(matches) : [...names]
}

function matches(name: string): string[] {
  const pattern = win32.basename(name)
  if (!/[*?]/.test(pattern)) return [name]
  // The folder as it was written, in front of each.
  const folder = name.slice(0, name.length - pattern.length)
  const fits = expressionOf(pattern)
  const found = entries(folder || '.').filter((entry) => fits.test(entry))
  return found.length === 0 ? [name] : found.sort().map((entry) => folder + entry)
}

function expressionOf(pattern: string): RegExp {
  const parts: Readonly<Record<string, string>> = { '*': '.*', '?': '.' }
  const expression = pattern.replace(/[\\^$.*+?()[\]{}|]/g, (sign) => parts[sign] ?? `\\${sign}`)
  return new RegExp(`^${expression}$`, 'iu')
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return [] // Whoever opens the file says why.
  }
}
