// shell.ts: puts the UI in front of the user: a Neutralino window if there is a binary for it, else the browser.
//
// The core starts the shell and not the other way round: the end of either is then seen as the end of a process.

import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Io } from './io.ts'

/** The window's program: named, or found beside the executable or in `bin/`; else null. */
export function findShell(
  io: Pick<Io, 'env' | 'home' | 'platform'>,
  named: string | undefined,
): string | null {
  const explicit = named ?? io.env.DRIVERMON_SHELL
  if (explicit) return explicit
  const name =
    io.platform === 'win32'
      ? 'neutralino-win_x64.exe'
      : `neutralino-${io.platform === 'darwin' ? 'mac' : 'linux'}_${process.arch === 'arm64' ? 'arm64' : 'x64'}`
  const folders = [io.home, join(io.home, 'bin'), join(io.home, '..', 'bin')]
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null
}

export interface Window {
  /** Resolves when the user has closed it; with a reason when it could not be opened. */
  readonly closed: Promise<string | null>
  close(): void
}

export function openWindow(shell: string, url: string, home: string): Window {
  const child = spawn(
    shell,
    [
      `--path=${configFolder(home)}`,
      `--url=${url}`,
      '--mode=window',
      '--enable-server=false',
      '--enable-native-api=false',
      '--window-exit-process-on-close=true',
      '--window-title=DriverMon',
    ],
    { stdio: 'ignore' },
  )
  // On Windows the system ends it with us, however we end (libuv's job object); elsewhere this covers every end that
  // can be seen coming.
  const kill = () => child.kill()
  process.once('exit', kill)
  return {
    closed: new Promise((resolve) => {
      child.once('error', (error) => resolve(`${shell} could not be started: ${error.message}`))
      child.once('exit', (status) =>
        resolve(status === 0 || status === null ? null : `${shell} ended with status ${status}`),
      )
    }).then((reason) => {
      process.off('exit', kill)
      return reason as string | null
    }),
    close: kill,
  }
}

/** Neutralino wants its configuration: beside the executable when installed, in app/ when run from the sources. */
function configFolder(home: string): string {
  const source = join(home, '..', 'app')
  return existsSync(join(source, 'neutralino.config.json')) ? source : home
}

/** Opens the default browser, or does nothing. */
export function openBrowser(url: string, platform: NodeJS.Platform): void {
  const [command, ...args] = BROWSER[platform] ?? ['xdg-open']
  const child = spawn(command, [...args, url], { stdio: 'ignore', detached: true })
  child.on('error', () => {})
  child.unref()
}

const BROWSER: Partial<Record<NodeJS.Platform, string[]>> = {
  win32: ['rundll32.exe', 'url.dll,FileProtocolHandler'],
  darwin: ['open'],
}
