// run.ts: one run of the program: from its arguments to its exit status.
//
// Whatever goes wrong ends as one line, `drivermon: …`, and status 1, or 2 when it was asked wrongly. A stack is shown
// only with DRIVERMON_DEBUG=1.

import { Command, CommanderError } from 'commander'
import { addAppCommand } from './app.ts'
import { addDriversCommand } from './drivers.ts'
import { CommandError, type Io, OutputClosed, tell } from './io.ts'
import { addRecordCommand } from './record.ts'
import { addShowCommand } from './show.ts'
import { addStatsCommand } from './stats.ts'

const USAGE_EXIT = 2

export async function run(args: readonly string[], io: Io): Promise<number> {
  const program = buildProgram(io)
  try {
    await program.parseAsync(args, { from: 'user' })
    return 0
  } catch (error) {
    if (error instanceof OutputClosed) return 0
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE_EXIT
    const message = error instanceof Error ? error.message : String(error)
    tell(io, oneLine(message))
    if (io.env.DRIVERMON_DEBUG && error instanceof Error) io.err.write(`${error.stack}\n`)
    return error instanceof CommandError ? error.exitCode : 1
  }
}

function buildProgram(io: Io): Command {
  const program = new Command('drivermon')
    .description('Shows what a Windows kernel driver is asked to do: every IRP and fast-I/O call.')
    .version(io.version)
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void io.out.write(text),
      writeErr: (text) => void io.err.write(text),
      outputError: (text) => tell(io, oneLine(text.replace(/^error: /, ''))),
    })
  addAppCommand(program, io)
  addDriversCommand(program, io)
  addRecordCommand(program, io)
  addShowCommand(program, io)
  addStatsCommand(program, io)
  // Commands inherit these from the program only if they are made before; ours are made by their own files.
  for (const command of program.commands) command.copyInheritedSettings(program)
  return program
}

function oneLine(text: string): string {
  return text.trim().replace(/\s*\n\s*/g, ' ')
}
