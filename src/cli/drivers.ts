// drivers.ts: `drivermon drivers`: what can be hooked.

import type { Command } from 'commander'
import { hookableDrivers } from '../session/driver-name.ts'
import { type Io, writeOut } from './io.ts'
import { type SourceOptions, sourceKind, sourceOption } from './options.ts'
import { formatTable } from './table.ts'

interface Options extends SourceOptions {
  json?: boolean
}

export function addDriversCommand(program: Command, io: Io): void {
  program
    .command('drivers')
    .description('List the drivers that can be hooked')
    .addOption(sourceOption())
    .option('--json', 'as a JSON array of {name, displayName}')
    .action((options: Options) => listDrivers(options, io))
}

function listDrivers(options: Options, io: Io): void {
  const source = io.openSource(sourceKind(options, io))
  try {
    const drivers = hookableDrivers(source)
    if (options.json) {
      writeOut(io, `${JSON.stringify(drivers)}\n`)
      return
    }
    const columns = [
      { title: 'DRIVER', align: 'left' },
      { title: 'NAME', align: 'left' },
    ] as const
    writeOut(
      io,
      formatTable(
        columns,
        drivers.map(({ name, displayName }) => [name, displayName]),
      ),
    )
  } finally {
    source.close()
  }
}
