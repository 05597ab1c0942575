// record.ts: `drivermon record`: captures into a file until told to stop, and says what it got.

import { type Command, Option } from 'commander'
import { formatBytes, formatCount, formatRate } from '../formats/values.ts'
import { arePredicatesDefault } from '../protocol/capture-settings.ts'
import { LossReason } from '../protocol/layout.ts'
import { type Losses, lostRecords } from '../protocol/records.ts'
import type { Rotation } from '../protocol/wire.ts'
import type { RecordCounts } from '../session/recorder.ts'
import { RecordingError } from '../session/recording-files.ts'
import type { Session } from '../session/session.ts'
import { type Account, accountOf } from './account.ts'
import { addDrivers } from './hooking.ts'
import { Interruption } from './interruption.ts'
import { CommandError, type Io, type SourceKind, tell } from './io.ts'
import { addLiveOptions, type LiveOptions, openSession } from './live-options.ts'
import { describeLosses } from './losses.ts'
import { driverOption, memoryOption, seconds, sourceKind, wholeNumber } from './options.ts'
import { addRotationOptions, type RotationOptions, rotationFrom } from './rotation-options.ts'

/** Rows only pair starts with ends here; they need not stay. */
const BUDGET_BYTES = 64 << 20
const WATCH_INTERVAL_MS = 50
const PROGRESS_INTERVAL_MS = 250

interface Options extends LiveOptions, RotationOptions {
  driver: string[]
  out: string
  duration?: number
  count?: number
  force?: boolean
  json?: boolean
  progress?: boolean
}

export interface Summary {
  /**
   * Requests whose start was recorded; a fast-I/O call that fell through and its IRP are one. On the sim, `requests`,
   * dropped starts, `filtered` and `sampledOut` add up to `issued`.
   */
  requests: number
  rows: number
  dropped: { starts: Record<string, number>; ends: Record<string, number>; others: number }
  /** Ends without a start and starts without an end. */
  unpaired: number
  seconds: number
  /** Written, and the files of them that are there: with --keep, the newest ones. */
  bytes: number
  files: string[]
  /** Records: those that a failing disk has kept out of the files (`discarded`) are among `requests` and `rows`. */
  records: RecordCounts
  /** With capture options: requests that they kept out, and of those that passed, what sampling kept out. */
  filtered?: number
  sampledOut?: number
  /** Sim: requests that the simulated callers issued to the drivers watched. */
  issued?: number
}

export function addRecordCommand(program: Command, io: Io): void {
  const command = program
    .command('record')
    .description('Capture the requests of drivers into pcapng files; Ctrl-C ends it')
    .addOption(driverOption().makeOptionMandatory())
    .requiredOption(
      '--out <file>',
      'the capture file; with rotation, its name is completed by number and time',
    )
    .addOption(new Option('--duration <seconds>', 'stop after so long').argParser(seconds))
    .addOption(
      new Option('--count <n>', 'stop after so many requests').argParser(
        wholeNumber(1, Number.MAX_SAFE_INTEGER),
      ),
    )
  addRotationOptions(command)
    .option('--force', 'overwrite a file that exists')
    .option('--json', 'print the summary as one JSON object')
    .option('--progress', 'show progress on stderr even if it is no terminal')
  addLiveOptions(command, memoryOption(BUDGET_BYTES)).action((options: Options) => record(options, io))
}

async function record(options: Options, io: Io): Promise<void> {
  const kind = sourceKind(options, io)
  const rotation = rotationFrom(options)
  const session = openSession(kind, options, options.count ?? 0, io)
  const interruption = new Interruption(io)
  const progress = new Progress(session, io, options.progress === true)
  let problems = 0
  session.subscribe({
    state: () => {},
    problem: (message) => {
      problems++
      progress.end()
      tell(io, message)
    },
  })
  try {
    addDrivers(session, options.driver, options, io)
    await Promise.race([openFile(session, rotation, options), interruption.first])
    if (interruption.count > 0) throw new CommandError('ended before the file could be opened', 130)
    const began = performance.now()
    await start(session)
    await reached(session, kind, options, interruption, progress)
    const elapsed = (performance.now() - began) / 1000
    await Promise.race([session.stop(), interruption.second])
    progress.end()
    if (interruption.count > 1) {
      session.abort()
      throw new CommandError('aborted: the end of the capture is missing in the file', 130)
    }
    const account = accountOf(session)
    const summary = summaryOf(session, account, kind, elapsed)
    // Also where nobody reads it any more, the status tells what became of the recording.
    io.out.write(options.json ? `${JSON.stringify(summary)}\n` : describeSummary(summary, account.losses))
    interruption.checkNoFault()
    if (problems > 0) throw new CommandError('the capture has ended with the problems above')
  } finally {
    progress.end()
    interruption.end()
    if (interruption.count < 2) await session.close()
  }
}

async function openFile(session: Session, rotation: Rotation | null, options: Options): Promise<void> {
  try {
    await session.recordTo(options.out, rotation, options.force === true)
  } catch (error) {
    if (!(error instanceof RecordingError) || !error.exists) throw error
    throw new CommandError(`${error.message} (--force overwrites it)`)
  }
}

/** A capture that cannot start leaves no file behind. */
async function start(session: Session): Promise<void> {
  try {
    session.start()
  } catch (error) {
    await session.discardRecord()
    throw error
  }
}

/** Resolves when the capture should end: by time, by number, by the user, or because it has ended by itself. */
function reached(
  session: Session,
  kind: SourceKind,
  options: Options,
  interruption: Interruption,
  progress: Progress,
): Promise<void> {
  return new Promise((resolve) => {
    const began = performance.now()
    const timer = setInterval(look, WATCH_INTERVAL_MS)
    void interruption.first.then(end)
    function end(): void {
      clearInterval(timer)
      resolve()
    }
    function look(): void {
      progress.show()
      if (over(session, kind, options, (performance.now() - began) / 1000)) end()
    }
  })
}

function over(session: Session, kind: SourceKind, options: Options, elapsed: number): boolean {
  const { running, recording } = session.state()
  if (!running || recording === '') return true
  if (options.duration !== undefined && elapsed >= options.duration) return true
  if (options.count === undefined) return false
  // On the sim the callers themselves stop after so many: exactly those are awaited.
  return kind === 'sim' ? !session.trafficRunning() : accountOf(session).requests >= options.count
}

function summaryOf(session: Session, account: Account, kind: SourceKind, elapsed: number): Summary {
  const { capture } = session
  const watched = session.state().drivers.map(({ name }) => name.toLowerCase())
  const summary: Summary = {
    requests: account.requests,
    rows: capture.endRow,
    dropped: droppedOf(account.losses),
    unpaired: capture.unpaired,
    seconds: Math.round(elapsed * 1000) / 1000,
    bytes: session.recordedBytes,
    files: session.recordedFiles,
    records: session.recordCounts,
  }
  const chosen = !arePredicatesDefault(session.state().settings.predicates)
  if (chosen || account.filtered + account.sampledOut > 0) {
    summary.filtered = account.filtered
    summary.sampledOut = account.sampledOut
  }
  if (kind === 'sim') {
    summary.issued = Object.entries(session.issued())
      .filter(([name]) => watched.includes(name.toLowerCase()))
      .reduce((sum, [, count]) => sum + count, 0)
  }
  return summary
}

function droppedOf(losses: Losses): Summary['dropped'] {
  const byReason = (counts: number[]) =>
    Object.fromEntries(
      Object.entries(LossReason).map(([name, reason]) => [
        name[0].toLowerCase() + name.slice(1),
        counts[reason],
      ]),
    )
  return { starts: byReason(losses.starts), ends: byReason(losses.ends), others: losses.others }
}

function describeSummary(summary: Summary, losses: Losses): string {
  const lines = [
    `${formatCount(summary.requests)} requests in ${summary.seconds.toFixed(1)} s, ${formatBytes(summary.bytes)} in ${describeFiles(summary.files)}`,
    `${describeLosses(losses)}; ${formatCount(summary.unpaired)} unpaired`,
  ]
  const { offered, written, discarded } = summary.records
  if (discarded > 0) {
    lines.push(
      `${formatCount(discarded)} of ${formatCount(offered)} records could not be written; ${formatCount(written)} can be read`,
    )
  }
  if (summary.filtered !== undefined && summary.sampledOut !== undefined) {
    lines.push(
      `${formatCount(summary.filtered)} kept out by capture options, ${formatCount(summary.sampledOut)} by sampling`,
    )
  }
  if (summary.issued !== undefined)
    lines.push(`${formatCount(summary.issued)} issued by the simulated callers`)
  return `${lines.join('\n')}\n`
}

function describeFiles(files: readonly string[]): string {
  if (files.length <= 1) return files.join()
  return `${formatCount(files.length)} files, ${files[0]} to ${files.at(-1)}`
}

/** One line on stderr that keeps changing; on no terminal, one line a second. */
class Progress {
  #session: Session
  #io: Io
  #active: boolean
  #shownAt = performance.now()
  #shownRequests = 0
  #open = false

  constructor(session: Session, io: Io, always: boolean) {
    this.#session = session
    this.#io = io
    this.#active = always || io.err.isTTY
  }

  show(): void {
    const now = performance.now()
    const interval = this.#io.err.isTTY ? PROGRESS_INTERVAL_MS : 1000
    if (!this.#active || now - this.#shownAt < interval) return
    const { requests, losses } = accountOf(this.#session)
    const rate = ((requests - this.#shownRequests) * 1000) / (now - this.#shownAt)
    this.#shownAt = now
    this.#shownRequests = requests
    const dropped = lostRecords(losses)
    const text = `${formatRate(rate)}  ${formatCount(requests)} requests  ${formatCount(dropped)} dropped  ${formatBytes(this.#session.recordedBytes)}`
    this.#open = this.#io.err.isTTY
    this.#io.err.write(this.#open ? `\r${text}\x1b[K` : `${text}\n`)
  }

  end(): void {
    if (this.#open) this.#io.err.write('\r\x1b[K')
    this.#open = false
  }
}
