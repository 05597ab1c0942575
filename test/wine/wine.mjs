// wine.mjs: a Wine prefix, as a Windows machine that programs can be run on.
//
// Output goes through files, because Windows Node cannot write to a pipe under Wine (EBADF). Nothing is inherited:
// Wine's services outlive the program that started them, and would keep our own standard output open.
// A prefix shuts itself down, drivers included, when its last ordinary program ends; `powerOff` does not wait for that.

import { spawn, spawnSync } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const wineFolder = process.env.DRIVERMON_WINE ?? '/usr/lib/wine'
const loader = join(wineFolder, 'wine64')
const server = join(wineFolder, 'wineserver64')

/** What is not here of what it takes to build for Windows and to run it, by Debian's package names. */
export function missingPackages() {
  const has = (/** @type {string} */ program) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0
  const needed = /** @type {const} */ ([
    ['wine wine64', existsSync(loader) && existsSync(server)],
    ['g++-mingw-w64-x86-64-posix', has('x86_64-w64-mingw32-g++-posix')],
    ['mingw-w64-tools', has('x86_64-w64-mingw32-dlltool')],
    ['clang', has('clang') || has('clang-14')],
    ['cmake', has('cmake')],
  ])
  return needed.filter(([, here]) => !here).map(([name]) => name)
}

/** @typedef {{ status: number | null, stdout: string, stderr: string }} Outcome */

/** A program that was started, and goes on by itself. */
class Program {
  #child
  #folder
  /** @type {Outcome | undefined} */
  #outcome

  /**
   * @param {string} name
   * @param {string[]} command
   * @param {NodeJS.ProcessEnv} env
   */
  constructor(name, command, env) {
    this.name = name
    this.#folder = mkdtempSync(join(tmpdir(), 'drivermon-wine-'))
    /** Files that receive what the program writes, while it writes. */
    this.stdoutFile = join(this.#folder, 'stdout')
    this.stderrFile = join(this.#folder, 'stderr')
    const stdout = openSync(this.stdoutFile, 'w')
    const stderr = openSync(this.stderrFile, 'w')
    // In a process group of its own, so that a terminal's Ctrl-C reaches it, and Wine's services, through us alone.
    this.#child = spawn(loader, command, { env, stdio: ['ignore', stdout, stderr], detached: true })
    closeSync(stdout)
    closeSync(stderr)
    /** @type {Promise<Outcome>} */
    this.ended = new Promise((done, failed) => {
      this.#child.once('error', failed)
      this.#child.once('exit', (status) => {
        const outcome = { status, stdout: this.stdout(), stderr: this.stderr() }
        this.#outcome = outcome
        rmSync(this.#folder, { recursive: true, force: true })
        done(outcome)
      })
    })
  }

  /** What it has written so far. */
  stdout() {
    return this.#outcome?.stdout ?? readFileSync(this.stdoutFile, 'utf8')
  }

  stderr() {
    return this.#outcome?.stderr ?? readFileSync(this.stderrFile, 'utf8')
  }

  get running() {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /**
   * Waits until it has written something.
   * @param {string} text
   * @param {number} timeoutMs
   */
  async says(text, timeoutMs) {
    const deadline = performance.now() + timeoutMs
    while (!this.stdout().includes(text)) {
      const late = performance.now() > deadline
      if (!this.running || late)
        throw new Error(
          `${this.name} ${late ? 'has not said' : 'ended before it said'} ${text}\n${this.stdout()}${this.stderr()}`,
        )
      await sleep(20)
    }
  }

  /** Ctrl-C. (Wine turns SIGINT into the console event.) */
  interrupt() {
    this.#child.kill('SIGINT')
  }

  kill() {
    this.#child.kill('SIGKILL')
  }

  /**
   * Waits for its end. After `timeoutMs` it is killed, and that is an error.
   * @param {number} timeoutMs
   * @returns {Promise<Outcome>}
   */
  async end(timeoutMs) {
    let late = false
    const timer = setTimeout(() => {
      late = true
      this.kill()
    }, timeoutMs)
    const outcome = await this.ended
    clearTimeout(timer)
    if (late)
      throw new Error(`${this.name} did not end within ${timeoutMs} ms\n${outcome.stdout}${outcome.stderr}`)
    return outcome
  }
}

export class Wine {
  #env

  /** @param {string} prefix the folder that holds the machine's disk and registry */
  constructor(prefix) {
    this.prefix = resolve(prefix)
    this.#env = {
      ...process.env,
      WINEPREFIX: this.prefix,
      WINEDEBUG: process.env.WINEDEBUG ?? '-all',
      // Neither .NET nor a browser engine is needed; asking for them would open a window.
      WINEDLLOVERRIDES: 'mscoree,mshtml=;winemenubuilder.exe=d',
    }
  }

  get installed() {
    return existsSync(join(this.prefix, 'system.reg'))
  }

  /** Makes the machine from nothing: some 10 s. */
  async install() {
    mkdirSync(this.prefix, { recursive: true })
    await this.expect(['wineboot', '-i'], 120_000)
    // Node for Windows refuses to run on anything older.
    await this.expect(['winecfg', '-v', 'win10'], 60_000)
  }

  /** Where a Windows program finds a file of this machine. */
  static path(/** @type {string} */ file) {
    return `Z:${resolve(file).replaceAll('/', '\\')}`
  }

  /** The Unix path of a file on the machine's C: drive. */
  onDisk(/** @type {string[]} */ ...parts) {
    return join(this.prefix, 'drive_c', ...parts)
  }

  start(/** @type {string[]} */ command) {
    return new Program(command[0], command, this.#env)
  }

  /**
   * @param {string[]} command
   * @param {number} timeoutMs
   */
  run(command, timeoutMs) {
    return this.start(command).end(timeoutMs)
  }

  /**
   * Runs a program that must succeed.
   * @param {string[]} command
   * @param {number} timeoutMs
   */
  async expect(command, timeoutMs) {
    const outcome = await this.run(command, timeoutMs)
    if (outcome.status !== 0) {
      throw new Error(`${command.join(' ')} ended with ${outcome.status}\n${outcome.stdout}${outcome.stderr}`)
    }
    return outcome
  }

  /** Ends every program of this machine, services and drivers included, and waits until they are gone. */
  powerOff() {
    for (const option of ['-k', '-w'])
      spawnSync(server, [option], { env: this.#env, stdio: 'ignore', timeout: 30_000 })
  }
}
