// dev.mjs: `npm run dev -- ARGS` is `drivermon ARGS` that follows the sources.
//
//   driver/, addon/*.cpp … ──► addon/build.mjs ──► build/drivermon.node ─┐
//   src/ ─────────────────────► rolldown --watch ─► dist/drivermon.cjs ───┼─► drivermon is started again
//   app/ ─────────────────────► vite build --watch ► dist/app/ ───────────┘   (the server serves the UI from memory)
//
// Only the first start opens a window; later ones print the new address.

import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, watch } from 'node:fs'
import { join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '..')
const bin = (/** @type {string} */ name) => join(root, 'node_modules', name)
const bundle = join(root, 'dist/drivermon.cjs')
const page = join(root, 'dist/app/index.html')

/** Tools write a product in several steps. */
const settleMs = 300

/** @type {import('node:child_process').ChildProcess[]} */
const watchers = []
/** @type {import('node:child_process').ChildProcess | undefined} */
let program
let wanted = false
let ending = false
let args = process.argv.slice(2)

function say(/** @type {string} */ text) {
  process.stderr.write(`dev: ${text}\n`)
}

function settled(/** @type {() => void} */ action) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer
  return () => {
    clearTimeout(timer)
    timer = setTimeout(action, settleMs)
  }
}

/** Starts the program, after the one that runs has ended. */
function restart() {
  if (ending || !existsSync(bundle) || !existsSync(page)) return
  wanted = true
  if (program) program.kill('SIGTERM')
  else startProgram()
}

function startProgram() {
  wanted = false
  program = spawn(process.execPath, ['--enable-source-maps', bundle, ...args], {
    cwd: root,
    stdio: 'inherit',
  })
  if (!args.includes('--no-open')) args = [...args, '--no-open']
  program.once('exit', (status) => {
    program = undefined
    if (wanted && !ending) startProgram()
    else if (!ending) say(`drivermon ended (${status}); it is started again at the next change`)
  })
}

function buildNative() {
  return (
    spawnSync(process.execPath, [join(root, 'addon/build.mjs')], { cwd: root, stdio: 'inherit' }).status === 0
  )
}

function keepRunning(/** @type {string} */ tool, /** @type {string[]} */ toolArgs) {
  const child = spawn(process.execPath, [tool, ...toolArgs], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  child.once('exit', (status) => {
    if (!ending) end(status ?? 1)
  })
  watchers.push(child)
}

function end(/** @type {number} */ status) {
  if (ending) return
  ending = true
  process.exitCode = status
  for (const child of [...watchers, program]) child?.kill('SIGTERM')
  for (const watcher of fileWatchers) watcher.close()
}

mkdirSync(join(root, 'dist'), { recursive: true })
const native = settled(() => {
  if (buildNative()) restart()
})
const product = settled(restart)
const fileWatchers = [
  watch(join(root, 'driver'), { recursive: true }, native),
  watch(join(root, 'addon'), (_, name) => {
    if (name === null || /\.(h|cpp|txt)$/.test(name)) native()
  }),
  watch(join(root, 'dist'), { recursive: true }, product),
]
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) process.on(signal, () => end(0))

if (buildNative()) {
  keepRunning(bin('rolldown/bin/cli.mjs'), ['-c', 'src/rolldown.config.mjs', '--watch', '--logLevel', 'warn'])
  keepRunning(bin('vite/bin/vite.js'), ['build', 'app', '--watch', '--logLevel', 'warn'])
  product()
} else end(1)
