// show.ts: `drivermon show`: the requests of a capture file, one line each.

import { type Command, Option } from 'commander'
import Papa from 'papaparse'
import { formatTime } from '../formats/values.ts'
import { Capture } from '../model/capture.ts'
import { type Field, fields } from '../model/fields.ts'
import { FilterError } from '../model/filter/error.ts'
import type { Request } from '../model/request.ts'
import type { Ticks } from '../protocol/ids.ts'
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
const TABLE: (Column & { width: number; text: (request: Request) => string })[] = [
  { title: 'ROW', align: 'right', width: 7, text: (request) => String(request.row) },
  { title: 'TIME (UTC)', align: 'left', width: 16, text: timeOfDay },
  textColumn('DRIVER', 'driver', 22),
  textColumn('PROCESS', 'process', 16),
  { ...textColumn('PID', 'pid', 6), align: 'right' },
  { ...textColumn('TID', 'tid', 6), align: 'right' },
  textColumn('FUNCTION', 'function', 22),
  textColumn('IOCTL', 'ioctl', 28),
  textColumn('STATUS', 'status', 20),
  { ...textColumn('DURATION', 'latency', 9), align: 'right' },
  { ...textColumn('IN', 'input_length', 7), align: 'right' },
  { ...textColumn('OUT', 'output_length', 7), align: 'right' },
  { ...textColumn('INFO', 'information', 7), align: 'right' },
  textColumn('FILE', 'detail', 0),
]

function textColumn(title: string, field: string, width: number): (typeof TABLE)[number] {
  return { title, align: 'left', width, text: (request) => request.text(field) }
}

function timeOfDay(request: Request): string {
  return formatTime(Number(request.value('time')), request.capture.options)
}

async function show(file: string, options: Options, io: Io): Promise<void> {
  checkFilter(options.filter)
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
  for (const request of capture.requests(options.filter)) {
    if (printed++ === options.limit) break
    writeOut(io, print.row(request))
  }
}

/** Before a big file is read for nothing. */
function checkFilter(filter: string): void {
  try {
    new Capture({ budgetBytes: 0, ticksPerSecond: 1, anchorTicks: 0 as Ticks, anchorUtcMs: 0 }).view(
      filter,
      null,
    )
  } catch (error) {
    if (!(error instanceof FilterError)) throw error
    const { start, end, message } = error
    const at = end > start + 1 ? `columns ${start + 1}–${end}` : `column ${start + 1}`
    throw new CommandError(`--filter, ${at}: ${message}`, 2)
  }
}

interface Printer {
  head: string
  row(request: Request): string
}

function printerOf(format: Format): Printer {
  switch (format) {
    case 'table': {
      const widths = TABLE.map((column) => column.width)
      const line = (cells: string[]) => `${formatLine(TABLE, widths, cells)}\n`
      return {
        head: line(TABLE.map((column) => column.title)),
        row: (request) => line(TABLE.map((column) => column.text(request))),
      }
    }
    case 'csv': {
      // `escapeFormulae`: a file name that begins with = must stay a text in a spreadsheet.
      const line = (cells: unknown[]) => `${Papa.unparse([cells], { escapeFormulae: true })}\r\n`
      return {
        head: line(fields.map(exportName)),
        row: (request) => line(fields.map((field) => request.cell(field))),
      }
    }
    case 'jsonl':
      return {
        head: '',
        row: (request) =>
          `${JSON.stringify(Object.fromEntries(fields.map((field) => [exportName(field), request.cell(field)])))}\n`,
      }
  }
}

/** A name without a unit would leave the reader guessing. */
function exportName(field: Field): string {
  return field.type === 'duration' ? `${field.name}_ns` : field.name
}
