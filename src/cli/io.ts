// io.ts: what a command may touch of the world, so that tests can hand it another one.

import { writeSync } from 'node:fs'
import type { NativeSource } from '../../addon/binding.ts'
import type { NativeCode } from '../session/native-code.ts'
import { printable } from './printable.ts'

export type SourceKind = 'device' | 'sim'

export interface Output {
  readonly isTTY: boolean
  /** Returns false once nobody reads any more (`| head`): then stop producing. */
  write(text: string): boolean
}

export interface Io {
  out: Output
  err: Output
  env: Readonly<Record<string, string | undefined>>
  platform: NodeJS.Platform
  /** The product's version. */
  version: string
  /** Folder that the running file lies in: the UI and the shell are looked for from there. */
  home: string
  /** Calls `handler` at each SIGINT or SIGTERM, instead of ending the process, until the result is called. */
  onInterrupt(handler: () => void): () => void
  /** Calls `handler` with an error that nobody has caught, instead of ending the process, until the result is called. */
  onFault(handler: (error: unknown) => void): () => void
  openSource(kind: SourceKind): NativeSource
  /** None where the addon is missing: a capture file can be read without. */
  nativeCode(): NativeCode | undefined
  /** Whether that works is not our business: the URL has been printed. */
  openBrowser(url: string): void
}

/** Thrown when nobody reads the output any more (`| head`): ends a command in silence. */
export class OutputClosed extends Error {}

export function writeOut(io: Io, text: string): void {
  if (!io.out.write(text)) throw new OutputClosed()
}

/** One line on stderr, for people. It may hold what a file says. */
export function tell(io: Io, message: string): void {
  io.err.write(`drivermon: ${printable(message)}\n`)
}

/** A failure that the user can understand; ends a command with one line and this exit status. */
export class CommandError extends Error {
  readonly exitCode: number

  constructor(message: string, exitCode = 1) {
    super(message)
    this.exitCode = exitCode
  }
}

/** Of a fault: nobody could bring it about again just to see where it was. */
export function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

/**
 * A standard stream of this process. Terminals are written by Node, which knows their encoding; files and pipes
 * directly and synchronously: nothing is lost at exit, memory stays bounded when the reader is slow, and it works
 * where Node's own pipe writer does not (Windows Node under Wine).
 */
export function standardOutput(fd: 1 | 2, terminal: () => NodeJS.WriteStream, isTTY: boolean): Output {
  let broken = false
  return {
    isTTY,
    write(text) {
      if (broken) return false
      if (isTTY) {
        terminal().write(text)
        return true
      }
      const bytes = Buffer.from(text)
      let written = 0
      while (written < bytes.length) {
        try {
          written += writeSync(fd, bytes, written)
        } catch (error) {
          const { code } = error as NodeJS.ErrnoException
          if (code === 'EAGAIN') {
            // The pipe is full and somebody made it non-blocking: wait a moment for its reader.
            Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2)
            continue
          }
          broken = true
          if (code === 'EPIPE' || code === 'EOF' || fd === 2) return false
          throw new CommandError(`standard output cannot be written: ${code}`)
        }
      }
      return true
    },
  }
}
