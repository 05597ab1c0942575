// run.mjs: `npm run wine -- ARGS` runs the Windows build of `drivermon ARGS` on a Windows machine made of Wine, with
// the real DriverMon.sys and a driver to be watched. The machine's disk stays in build-wine/prefix from run to run.

import { closeSync, openSync, readSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { buildForWindows, Machine } from './machine.mjs'
import { missingPackages } from './wine.mjs'

const root = resolve(import.meta.dirname, '../..')
const relayIntervalMs = 50

/**
 * Shows what is appended to a file. Returns a function that shows the rest and ends it.
 * @param {string} file
 * @param {NodeJS.WriteStream} to
 */
function relay(file, to) {
  const from = openSync(file, 'r')
  const buffer = Buffer.alloc(65_536)
  const forward = () => {
    for (;;) {
      const bytes = readSync(from, buffer)
      if (bytes === 0) return
      to.write(Buffer.from(buffer.subarray(0, bytes)))
    }
  }
  const timer = setInterval(forward, relayIntervalMs)
  return () => {
    clearInterval(timer)
    forward()
    closeSync(from)
  }
}

async function main() {
  const missing = missingPackages()
  if (missing.length > 0) throw new Error(`This needs: apt-get install ${missing.join(' ')}`)
  buildForWindows()
  const machine = new Machine(join(root, 'build-wine/prefix'))
  /** @type {() => void} */
  let interrupt = () => process.exit(130)
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) process.on(signal, () => interrupt())
  try {
    await machine.boot()
    const program = machine.startDrivermon(process.argv.slice(2))
    const relays = [relay(program.stdoutFile, process.stdout), relay(program.stderrFile, process.stderr)]
    interrupt = () => program.interrupt()
    // Nobody reads any more.
    process.stdout.on('error', () => program.interrupt())
    const { status } = await program.ended
    for (const end of relays) end()
    process.exitCode = status ?? 1
  } finally {
    machine.leave()
  }
}

main().catch((error) => {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
  process.exitCode = 1
})
