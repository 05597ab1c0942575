// app.ts: `drivermon`: the window, and the core behind it.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Command, Option } from 'commander'
import { assetsOfFolder } from '../server/assets.ts'
import { startAppServer } from '../server/server.ts'
import { openFileSubject } from '../session/file-subject.ts'
import { defaultBudgetBytes } from '../session/memory-budget.ts'
import type { Subject } from '../session/subject.ts'
import { filesNamed } from './file-names.ts'
import { addDrivers } from './hooking.ts'
import { Interruption } from './interruption.ts'
import { CommandError, type Io, stackOf, tell, writeOut } from './io.ts'
import { addLiveOptions, type LiveOptions, openSession } from './live-options.ts'
import { driverOption, memoryOption, sourceKind, wholeNumber } from './options.ts'
import { findShell, openWindow } from './shell.ts'

/** What the simulated kernel shows if nothing else is asked for, so that the first screen is alive. */
const SIM_DRIVERS = ['\\Driver\\AFD', '\\Driver\\DrivermonEcho']

interface Options extends LiveOptions {
  driver?: string[]
  port: number
  open: boolean
  shell?: string
}

export function addAppCommand(program: Command, io: Io): void {
  const command = program
    .command('app', { isDefault: true })
    .description('Open the window (the default command)')
    .argument('[files...]', 'a capture file to look at, instead of a live source; or those of one recording')
    .addOption(driverOption())
    .addOption(
      new Option('--port <n>', 'port on 127.0.0.1 (default: any free one)')
        .argParser(wholeNumber(0, 65535))
        .default(0, 'any free one'),
    )
    .option('--no-open', 'print the URL and open nothing')
    .option('--shell <file>', 'the Neutralino binary that makes the window (or DRIVERMON_SHELL)')
  addLiveOptions(command, memoryOption(defaultBudgetBytes(), 'a quarter of what there is')).action(
    (names: string[], options: Options) => app(filesNamed(names, io), options, io),
  )
}

async function app(files: string[], options: Options, io: Io): Promise<void> {
  if (files.length > 0) checkIsFile(files[0])
  const assets = loadAssets(io)
  const interruption = new Interruption(io)
  try {
    const { subject, close, abort } =
      files.length === 0 ? openLive(options, io) : await openFiles(files, options, interruption, io)
    try {
      const server = await startAppServer({
        subject,
        assets,
        version: io.version,
        port: options.port,
        report: (error) => io.err.write(`drivermon: a view has failed: ${stackOf(error)}\n`),
      })
      try {
        writeOut(io, `DriverMon ${server.url}\n`)
        await show(server.url, options, interruption, io)
      } finally {
        await server.close()
      }
    } finally {
      await Promise.race([close(), interruption.second.then(abort)])
    }
    interruption.checkNoFault()
  } finally {
    interruption.end()
  }
}

/** A mistyped command arrives here as a file: say both. */
function checkIsFile(file: string): void {
  if (/^\w+$/.test(file) && !existsSync(file)) {
    throw new CommandError(`there is no command and no file "${file}" (see drivermon --help)`, 2)
  }
}

function loadAssets(io: Io): ReturnType<typeof assetsOfFolder> {
  const folder = join(io.home, 'app')
  if (!existsSync(join(folder, 'index.html'))) {
    throw new CommandError(`the window's files are missing (${folder}). Build them: npm run build`)
  }
  return assetsOfFolder(folder)
}

interface Opened {
  subject: Subject
  close(): Promise<void>
  /** Closes without waiting for anything. */
  abort(): void
}

function openLive(options: Options, io: Io): Opened {
  const kind = sourceKind(options, io)
  const session = openSession(kind, options, 0, io)
  printProblems(session, io)
  const names = options.driver ?? (kind === 'sim' ? SIM_DRIVERS : [])
  try {
    addDrivers(session, names, options, io)
    if (names.length > 0) session.start()
  } catch (error) {
    session.abort()
    throw error
  }
  return { subject: session, close: () => session.close(), abort: () => session.abort() }
}

async function openFiles(
  files: string[],
  options: Options,
  interruption: Interruption,
  io: Io,
): Promise<Opened> {
  const opening = openFileSubject(files, {
    budgetBytes: options.memory,
    native: io.nativeCode(),
    onProgress: () => interruption.count === 0,
  })
  // A disk that does not answer is not waited for.
  const subject = await Promise.race([opening, interruption.first.then(() => null)])
  if (subject === null || interruption.count > 0) {
    interruption.checkNoFault()
    throw new CommandError('ended before the file was read', 130)
  }
  printProblems(subject, io)
  return { subject, close: async () => {}, abort: () => {} }
}

/** Also when no page is there to show it, as when the last one was closed. */
function printProblems(subject: Subject, io: Io): void {
  subject.subscribe({ state: () => {}, problem: (message) => tell(io, message) })
}

/** Resolves when the user wants to end: by closing the window, or with Ctrl-C. */
async function show(url: string, options: Options, interruption: Interruption, io: Io): Promise<void> {
  const shell = options.open ? findShell(io, options.shell) : null
  if (shell !== null) {
    const window = openWindow(shell, url, io.home)
    const failure = await Promise.race([window.closed, interruption.first.then(() => null)])
    window.close()
    if (failure === null) return
    tell(io, `${failure}; the browser is opened instead`)
  }
  if (options.open) io.openBrowser(url)
  await interruption.first
}
