// native-race.ts: runs one of the native programs, which time their contestants themselves and print one JSON object.

import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'

/** Nanoseconds by contestant; medians over the rounds. */
export function runNative(program: string, rounds: number): Record<string, number> {
  const path = join(dirname(process.argv[1]), program)
  const { status, error, stdout, stderr } = spawnSync(path, [String(rounds)], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${program} failed (${error?.message ?? status}): ${stderr}`)
  return JSON.parse(stdout) as Record<string, number>
}
