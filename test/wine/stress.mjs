// stress.mjs: `npm run stress -- SECONDS` (60 unless told): the stress (caller/stress.h) with the real driver under Wine.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildForWindows, caller, Machine } from './machine.mjs'
import { missingPackages } from './wine.mjs'

async function main() {
  const seconds = Number(process.argv[2] ?? 60)
  if (!(seconds > 0)) throw new Error('npm run stress -- SECONDS')
  const missing = missingPackages()
  if (missing.length > 0) throw new Error(`This needs: apt-get install ${missing.join(' ')}`)
  buildForWindows()
  const folder = mkdtempSync(join(tmpdir(), 'drivermon-stress-'))
  const machine = new Machine(join(folder, 'prefix'))
  try {
    await machine.boot()
    const program = machine.start([caller, 'stress', String(Math.ceil(seconds))])
    const { status, stdout, stderr } = await program.end((seconds + 120) * 1000)
    process.stdout.write(stdout)
    process.stderr.write(stderr)
    process.exitCode = status ?? 1
  } finally {
    machine.leave()
    machine.powerOff()
    rmSync(folder, { recursive: true, force: true })
  }
}

main().catch((error) => {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
  process.exitCode = 1
})
