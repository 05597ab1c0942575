// main.ts: the composition root: the one place where the program meets its process and the native addon.

import { dirname } from 'node:path'
import { isatty } from 'node:tty'
import { fileURLToPath } from 'node:url'
import { loadBinding } from '../../addon/load.ts'
import { version } from '../../package.json'
import { type Io, standardOutput } from './io.ts'
import { run } from './run.ts'
import { openBrowser } from './shell.ts'

/** SIGHUP too: the terminal was closed, and drivers must not stay hooked for that. */
const INTERRUPTS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

const io: Io = {
  out: standardOutput(1, () => process.stdout, isatty(1)),
  err: standardOutput(2, () => process.stderr, isatty(2)),
  env: process.env,
  platform: process.platform,
  version,
  home: dirname(fileURLToPath(import.meta.url)),
  onInterrupt(handler) {
    for (const signal of INTERRUPTS) process.on(signal, handler)
    return () => {
      for (const signal of INTERRUPTS) process.off(signal, handler)
    }
  },
  // A promise that was rejected unheard arrives here, too.
  onFault(handler) {
    process.on('uncaughtException', handler)
    return () => process.off('uncaughtException', handler)
  },
  openSource(kind) {
    const binding = loadBinding()
    return kind === 'sim' ? binding.openSim() : binding.openDevice()
  },
  nativeCode() {
    try {
      return loadBinding().store
    } catch {
      return undefined
    }
  },
  openBrowser: (url) => openBrowser(url, process.platform),
}

/** How long what the command has begun, such as printing, may take after its end. */
const LINGER_MS = 5000

void run(process.argv.slice(2), io).then((status) => {
  process.exitCode = status
  // What is still there then waits for a disk that does not answer, and `process.exit` would wait with it.
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), LINGER_MS).unref()
})
