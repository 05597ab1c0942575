// stats.ts: `drivermon stats`: what a capture file says per driver and function.

import type { Command } from 'commander'
import { functionName } from '../formats/irp-names.ts'
import { formatBytes, formatCount, formatDuration } from '../formats/values.ts'
import type { FunctionStatistics } from '../model/capture.ts'
import { loadCaptureFiles } from '../session/capture-file.ts'
import { filesNamed } from './file-names.ts'
import { type Io, tell, writeOut } from './io.ts'
import { describeLosses, describeRecordedOnly } from './losses.ts'
import { printable } from './printable.ts'
import { type Column, formatTable } from './table.ts'

/** Statistics cover rows that have left, so rows need little room: enough to pair starts with ends. */
const BUDGET_BYTES = 64 << 20

interface Options {
  json?: boolean
}

export function addStatsCommand(program: Command, io: Io): void {
  program
    .command('stats')
    .description('Count the requests of a capture, per driver and function')
    .argument('<files...>', 'a capture file, or those of one recording in their order')
    .option('--json', 'as a JSON object; latencies in nanoseconds')
    .action((names: string[], options: Options) => stats(filesNamed(names, io), options, io))
}

const COLUMNS: Column[] = [
  { title: 'DRIVER', align: 'left' },
  { title: 'FUNCTION', align: 'left' },
  { title: 'COUNT', align: 'right' },
  { title: 'ERRORS', align: 'right' },
  { title: 'CANCELLED', align: 'right' },
  { title: 'PENDED', align: 'right' },
  { title: 'IN FLIGHT', align: 'right' },
  { title: 'BYTES IN', align: 'right' },
  { title: 'BYTES OUT', align: 'right' },
  { title: 'P50', align: 'right' },
  { title: 'P99', align: 'right' },
  { title: 'MAX', align: 'right' },
]

async function stats(files: string[], options: Options, io: Io): Promise<void> {
  const { capture, info, warnings } = await loadCaptureFiles(files, {
    budgetBytes: BUDGET_BYTES,
    native: io.nativeCode(),
  })
  for (const warning of warnings) tell(io, warning)
  const nanoseconds = (ticks: number) => (ticks * 1e9) / info.ticksPerSecond
  const functions = capture.stats()
  if (options.json) {
    const shown = functions.map((each) => ({
      ...each,
      functionName: functionName(each.function),
      p50: jsonNumber(nanoseconds(each.p50)),
      p99: jsonNumber(nanoseconds(each.p99)),
      max: jsonNumber(nanoseconds(each.max)),
    }))
    const { losses, unpairedEnds } = capture
    const { source, recordedOnly } = info
    writeOut(io, `${JSON.stringify({ source, recordedOnly, functions: shown, losses, unpairedEnds })}\n`)
    return
  }
  const line = (each: FunctionStatistics) => [
    each.driverName,
    functionName(each.function),
    ...[each.count, each.errors, each.cancelled, each.pended, each.inFlight].map(formatCount),
    ...[each.bytesIn, each.bytesOut].map(formatBytes),
    ...[each.p50, each.p99, each.max].map((ticks) => formatDuration(nanoseconds(ticks))),
  ]
  writeOut(io, formatTable(COLUMNS, functions.map(line)))
  const unpaired = formatCount(capture.unpairedEnds)
  const why = info.series > 1 && capture.unpairedEnds > 0 ? ', some in flight when this file began' : ''
  writeOut(
    io,
    `\n${printable(info.os)}; ${describeLosses(capture.losses)}; ${unpaired} ends without a start${why}\n`,
  )
  if (info.recordedOnly !== '') writeOut(io, `${printable(describeRecordedOnly(info.recordedOnly))}\n`)
}

function jsonNumber(value: number): number | null {
  return Number.isNaN(value) ? null : value
}
