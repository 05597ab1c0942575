// build.mjs: builds what is native. Runs before `npm start`, so it returns at once when there is nothing to do.
//
//   node addon/build.mjs             the addon for this machine                       build/drivermon.node
//                                    on Windows: looks whether it was brought         build-win/drivermon.node
//   node addon/build.mjs --windows   on Linux: the addon and the drivers for Windows  build-win/, build-sys/
//   node addon/build.mjs --layout    the ABI's TypeScript view                        src/protocol/layout.ts
//   node addon/build.mjs --layout --check     fails when that file is not current
//
// What a build prints is shown only when it fails.

import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism, tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '..')
const toolchain = join(root, 'driver/cmake/mingw-w64.cmake')
const windowsAddon = join(root, 'build-win/drivermon.node')

/** Something a person should read; no stack trace. */
class BuildError extends Error {}

/** @param {string} command @param {string[]} args */
function works(command, args = ['--version']) {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0
}

/** A tool, and the Debian package that brings it. `commands`: any of them will do. @typedef {{ what: string, commands: string[], apt: string }} Tool */

/** @type {Tool} */
const cmake = { what: 'cmake', commands: ['cmake'], apt: 'cmake' }
/** @type {Tool} */
const make = { what: 'make', commands: ['ninja', 'make'], apt: 'make' }
/** @type {Tool} */
const compiler = {
  what: 'a C++ compiler',
  commands: [process.env.CXX || 'c++', 'g++', 'clang++'],
  apt: 'g++',
}
/** @type {Tool[]} */
const crossTools = [
  { what: 'mingw-w64', commands: ['x86_64-w64-mingw32-g++-posix'], apt: 'g++-mingw-w64-x86-64-posix' },
  { what: 'dlltool', commands: ['x86_64-w64-mingw32-dlltool'], apt: 'mingw-w64-tools' },
  { what: 'clang', commands: ['clang', 'clang-14'], apt: 'clang' },
]

/** @param {Tool[]} tools @param {string} purpose */
function require(tools, purpose) {
  const missing = tools.filter(({ commands }) => !commands.some((command) => works(command)))
  if (missing.length === 0) return
  const advice = {
    linux: `apt-get install -y ${missing.map(({ apt }) => apt).join(' ')}`,
    darwin: 'xcode-select --install; brew install cmake',
  }[/** @type {'linux' | 'darwin'} */ (process.platform)]
  throw new BuildError(
    `${purpose} needs ${missing.map(({ what }) => what).join(', ')}: ${advice ?? 'install it'}`,
  )
}

/** @param {string} command @param {string[]} args */
function run(command, args) {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', maxBuffer: 256 << 20 })
  if (result.error) throw new BuildError(`${command}: ${result.error.message}`)
  if (result.status !== 0)
    throw new BuildError(`${result.stdout}${result.stderr}\n${command} failed (see above)`)
  return result.stdout
}

/**
 * When a native source was last changed, in ms. A folder's own time tells of files that went.
 * @param {string[]} paths
 * @returns {number}
 */
function newest(paths) {
  let time = 0
  for (const path of paths) {
    const stat = statSync(path)
    time = Math.max(time, stat.mtimeMs)
    if (stat.isDirectory()) time = Math.max(time, newest(readdirSync(path).map((name) => join(path, name))))
  }
  return time
}

function newestSource() {
  const addon = readdirSync(join(root, 'addon'))
  return newest([
    join(root, 'CMakeLists.txt'),
    join(root, 'driver'),
    ...addon.filter((name) => /\.(h|cpp|txt)$/.test(name)).map((name) => join(root, 'addon', name)),
    join(root, 'node_modules/node-addon-api/package.json'),
    join(root, 'node_modules/node-api-headers/package.json'),
  ])
}

/**
 * Runs `build` unless `product` is there and nothing has changed since the last time it ran to its end.
 * @param {string} product
 * @param {string} what
 * @param {() => void} build
 */
function upToDate(product, what, build) {
  const folder = resolve(product, '..')
  const stamp = join(folder, '.built')
  if (existsSync(product) && existsSync(stamp) && statSync(stamp).mtimeMs >= newestSource()) return
  process.stderr.write(`Building ${what}${existsSync(product) ? '' : ' (the first time takes a minute)'}\n`)
  const started = new Date()
  build()
  if (!existsSync(product)) throw new BuildError(`The build made no ${relative(root, product)}`)
  writeFileSync(stamp, '')
  utimesSync(stamp, started, started) // a source that changed meanwhile is newer
}

/** @param {string} folder @param {string[]} [extra] */
function buildAddon(folder, extra = []) {
  const parallel = String(availableParallelism())
  const args = ['build', '--out', folder, '--config', 'RelWithDebInfo', '--parallel', parallel, ...extra]
  const cmakeJs = createRequire(import.meta.url).resolve('cmake-js/bin/cmake-js')
  // Only the addon: the tests and the drivers have builds of their own.
  run(process.execPath, [cmakeJs, ...args, '--target', 'drivermon_addon'])
}

/** The simulator in it is not for Microsoft's compiler. */
function refuseOnWindows() {
  throw new BuildError(
    'The native addon for Windows is built on Linux: npm run build:windows. Then copy the folders build-win (the addon) and build-sys (the driver) from there to here',
  )
}

function buildNative() {
  if (process.platform === 'win32') {
    if (!existsSync(windowsAddon)) refuseOnWindows()
    return
  }
  const folder = join(root, 'build')
  upToDate(join(folder, 'drivermon.node'), 'the native addon', () => {
    require([cmake, compiler, make], 'The native addon')
    buildAddon(folder)
  })
}

function buildWindows() {
  if (process.platform === 'win32') refuseOnWindows()
  const tools = [cmake, make, ...crossTools]
  upToDate(windowsAddon, 'the addon for Windows', () => {
    require(tools, 'The build for Windows')
    buildAddon(resolve(windowsAddon, '..'), [`--CDCMAKE_TOOLCHAIN_FILE=${toolchain}`])
  })
  const drivers = join(root, 'build-sys')
  upToDate(join(drivers, 'DriverMon.sys'), 'the drivers', () => {
    require(tools, 'The build for Windows')
    const parallel = String(availableParallelism())
    run('cmake', [
      '-S',
      root,
      '-B',
      drivers,
      '--toolchain',
      toolchain,
      '-DDRIVERMON_KERNEL=ON',
      `-DCMAKE_LIBRARY_OUTPUT_DIRECTORY=${drivers}`,
    ])
    run('cmake', ['--build', drivers, '--parallel', parallel])
  })
}

/** @param {boolean} check */
function layout(check) {
  require([compiler], 'The layout')
  const cxx = compiler.commands.find((command) => works(command)) ?? ''
  const folder = mkdtempSync(join(tmpdir(), 'drivermon-layout-'))
  try {
    const tool = join(folder, 'emit_layout')
    run(cxx, ['-std=c++17', join(root, 'driver/protocol/emit_layout.cpp'), '-o', tool])
    const current = run(tool, [])
    const file = join(root, 'src/protocol/layout.ts')
    if (readFileSync(file, 'utf8') === current) return
    if (check) throw new BuildError('src/protocol/layout.ts is not current: npm run layout')
    writeFileSync(file, current)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

try {
  const args = process.argv.slice(2)
  const unknown = args.find((arg) => !['--windows', '--layout', '--check'].includes(arg))
  if (unknown !== undefined) throw new BuildError(`Unknown argument ${unknown}`)
  if (args.includes('--layout')) layout(args.includes('--check'))
  else if (args.includes('--windows')) buildWindows()
  else buildNative()
} catch (error) {
  if (!(error instanceof BuildError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
}
