// drivers.ts: `drivermon drivers`: what can be hooked.

import type { Command } from 'commander'
import { Session } from '../session/session.ts'
import { type Io, writeOut } from './io.ts'
import { type SourceOptions, sourceKind, sourceOption } from './options.ts'
import { type Column, formatTable } from './table.ts'

const COLUMNS: Column[] = [
  { title: 'DRIVER', align: 'left' },
  { title: 'NAME', align: 'left' },
]

interface Options extends SourceOptions {
  json?: boolean
}

export function addDriversCommand(program: Command, io: Io): void {
  program
    .command('drivers')
    .description('List the drivers that can be hooked')
    .addOption(sourceOption())
    .option('--json', 'as a JSON array of {name, displayName, warning}')
    .action((options: Options) => listDrivers(options, io))
}

async function listDrivers(options: Options, io: Io): Promise<void> {
  const kind = sourceKind(options, io)
  const session = new Session(io.openSource(kind), {
    version: io.version,
    native: undefined, // Nothing is captured.
    traffic: null,
  })
  try {
    const drivers = session
      .drivers()
      .map(({ name, displayName, warning }) => ({ name, displayName, warning }))
    if (options.json) {
      writeOut(io, `${JSON.stringify(drivers)}\n`)
      return
    }
    const warned = drivers.some(({ warning }) => warning !== '')
    writeOut(
      io,
      formatTable(
        warned ? [...COLUMNS, { title: 'WARNING', align: 'left' }] : COLUMNS,
        drivers.map(({ name, displayName, warning }) => [name, displayName, ...(warned ? [warning] : [])]),
      ),
    )
  } finally {
    await session.close()
  }
}
