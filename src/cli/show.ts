// show.ts: `drivermon show`: the requests of a capture file, one line each.

import { type Command, Option } from 'commander'
import Papa from 'papaparse'
import type { Capture, Request } from '../model/capture.ts'
import { FilterError } from '../model/filter/error.ts'
import { loadCaptureFile } from '../session/capture-file.ts'
import { CommandError, type Io, writeOut } from './io.ts'
import { memoryOption, wholeNumber } from './options.ts'
import { type Column, formatLine } from './table.ts'

type Format = 'table' | 'csv' | 'jsonl'

interface Options {
  filter: string
  limit?: number
  format: Format
  memory: number
}

export function addShowCommand(program: Command, io: Io): void {
  program
    .command('show')
    .description('Print the requests of a capture file')
    .argument('<file>', 'a capture file')
    .option('--filter <expression>', 'only those that it lets through, as in the window', '')
    .addOption(
      new Option('--limit <n>', 'stop after so many').argParser(wholeNumber(1, Number.MAX_SAFE_INTEGER)),
    )
    .addOption(
      new Option('--format <format>', 'how to print them')
        .choices(['table', 'csv', 'jsonl'])
        .default('table'),
    )
    .addOption(memoryOption(1024))
    .action((file: string, options: Options) => show(file, options, io))
}

/** The table's columns and their widths, which are fixed: lines are printed as they come. */
const TABLE: (Column & { field: string; width: number })[] = [
  { field: 'time', title: 'TIME', align: 'left', width: 16 },
  { field: 'driver', title: 'DRIVER', align: 'left', width: 20 },
  { field: 'process', title: 'PROCESS', align: 'left', width: 16 },
  { field: 'pid', title: 'PID', align: 'right', width: 6 },
  { field: 'tid', title: 'TID', align: 'right', width: 6 },
  { field: 'function', title: 'FUNCTION', align: 'left', width: 22 },
  { field: 'ioctl', title: 'IOCTL', align: 'left', width: 24 },
  { field: 'status', title: 'STATUS', align: 'left', width: 20 },
  { field: 'latency', title: 'DURATION', align: 'right', width: 9 },
  { field: 'inputLength', title: 'IN', align: 'right', width: 7 },
  { field: 'outputLength', title: 'OUT', align: 'right', width: 7 },
]

async function show(file: string, options: Options, io: Io): Promise<void> {
  const { capture, warnings } = await loadCaptureFile(file, { budgetBytes: options.memory * 2 ** 20 })
  for (const warning of warnings) io.err.write(`drivermon: ${warning}\n`)
  if (capture.firstRow > 0) {
    io.err.write(
      `drivermon: the first ${capture.firstRow} requests did not fit into ${options.memory} MB and are not shown (--memory)\n`,
    )
  }
  const print = printerOf(options.format)
  let printed = 0
  writeOut(io, print.head)
  for (const request of requestsOf(capture, options.filter)) {
    if (printed++ === options.limit) break
    writeOut(io, print.row(request))
  }
}

function* requestsOf(capture: Capture, filter: string): Iterable<Request> {
  try {
    yield* capture.requests(filter)
  } catch (error) {
    if (!(error instanceof FilterError)) throw error
    const at =
      error.end > error.start + 1 ? `columns ${error.start + 1}–${error.end}` : `column ${error.start + 1}`
    throw new CommandError(`--filter, ${at}: ${error.message}`, 2)
  }
}

interface Printer {
  head: string
  row(request: Request): string
}

function printerOf(format: Format): Printer {
  const fields = TABLE.map((column) => column.field)
  switch (format) {
    case 'table': {
      const widths = TABLE.map((column) => column.width)
      const line = (cells: string[]) => `${formatLine(TABLE, widths, cells)}\n`
      return {
        head: line(TABLE.map((column) => column.title)),
        row: (request) => line(fields.map((field) => request.text(field))),
      }
    }
    case 'csv': {
      const line = (cells: string[]) =>
        `${Papa.unparse([cells], { newline: '\r\n', escapeFormulae: true })}\r\n`
      return {
        head: line(fields),
        row: (request) => line(fields.map((field) => request.text(field))),
      }
    }
    case 'jsonl':
      return {
        head: '',
        row: (request) => `${JSON.stringify(jsonOf(request, fields))}\n`,
      }
  }
}

function jsonOf(request: Request, fields: string[]): Record<string, unknown> {
  return Object.fromEntries(
    fields.map((field) => {
      const value = request.value(field)
      return [field, typeof value === 'bigint' ? value.toString() : value]
    }),
  )
}
