// show.ts: `drivermon show`: the requests of a capture file, one line each.

import { type Command, Option } from 'commander'
import Papa from 'papaparse'
import { formatTime } from '../formats/values.ts'
import { Capture } from '../model/capture.ts'
import { type Field, fields } from '../model/fields.ts'
import { FilterError } from '../model/filter/error.ts'
import type { Request } from '../model/request.ts'
import type { Ticks } from '../protocol/ids.ts'
import { loadCaptureFiles } from '../session/capture-file.ts'
import { filesNamed } from './file-names.ts'
import { CommandError, type Io, tell, writeOut } from './io.ts'
import { describeRecordedOnly } from './losses.ts'
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
    .description('Print the requests of a capture')
    .argument('<files...>', 'a capture file, or those of one recording in their order')
    .option('--filter <expression>', 'only those that it lets through, as in the window', '')
    .addOption(
      new Option('--limit <n>', 'stop after so many').argParser(wholeNumber(1, Number.MAX_SAFE_INTEGER)),
    )
    .addOption(
      new Option('--format <format>', 'how to print them')
        .choices(['table', 'csv', 'jsonl'])
        .default('table'),
    )
    .addOption(memoryOption(256 << 20))
    .action((names: string[], options: Options) => show(filesNamed(names, io), options, io))
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

async function show(files: string[], options: Options, io: Io): Promise<void> {
  checkFilter(options.filter)
  const budgetBytes = options.memory
  const lister = new Lister(options, io)
  const { capture, info, warnings } = await loadCaptureFiles(files, {
    budgetBytes,
    native: io.nativeCode(),
    onProgress: (capture) => capture.storeBytes < budgetBytes / 2 || lister.printOldest(capture),
  })
  lister.print(capture, capture.endRow)
  if (lister.missed > 0)
    warnings.push(`${lister.missed} requests did not fit into the memory allowed (--memory)`)
  if (info.recordedOnly !== '') warnings.push(describeRecordedOnly(info.recordedOnly))
  for (const warning of warnings) tell(io, warning)
}

/**
 * Prints rows while the file is still being read, so that a file may be larger than the memory. A row is held back as
 * long as there is room for it, since its end may come late; one that is still in flight when its time has come is
 * printed so.
 */
class Lister {
  #options: Options
  #printer: Printer
  #io: Io
  #next = 0
  #printed = 0
  #begun = false
  /** Rows that had to leave before they were printed. */
  missed = 0

  constructor(options: Options, io: Io) {
    this.#options = options
    this.#printer = printerOf(options.format)
    this.#io = io
  }

  /** Prints what may have to leave soon; returns false when no more are wanted. */
  printOldest(capture: Capture): boolean {
    const { chunks, firstRow, rowCount } = capture
    const half = Math.floor(firstRow + rowCount / 2)
    // Rows leave by the chunk. Beyond that, each pass goes through all rows at hand: many at a time make few passes.
    const oldest = chunks.length > 1 ? chunks[1].first : 0
    if (oldest <= this.#next && half - this.#next < rowCount / 4) return true
    return this.print(capture, Math.max(oldest, half))
  }

  /** Prints the rows before `end` that have not been printed; returns false when no more are wanted. */
  print(capture: Capture, end: number): boolean {
    if (!this.#begun) writeOut(this.#io, this.#printer.head)
    this.#begun = true
    this.missed += Math.max(0, capture.firstRow - this.#next)
    const limit = this.#options.limit ?? Number.POSITIVE_INFINITY
    for (const request of capture.requests(this.#options.filter)) {
      if (request.row < this.#next) continue
      if (request.row >= end || this.#printed >= limit) break
      writeOut(this.#io, this.#printer.row(request))
      this.#printed++
    }
    this.#next = end
    return this.#printed < limit
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
