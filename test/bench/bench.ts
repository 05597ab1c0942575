// bench.ts: `npm run bench`: runs each bench in a process of its own, so that none inherits another's heap or compiled
// code, prints every figure beside its yardsticks as it comes, and all of them in one table at the end.

import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { isMainThread } from 'node:worker_threads'
import { benchDisk } from './disk.ts'
import type { Figure } from './figure.ts'
import { benchHandover } from './handover.ts'
import { benchHook } from './hook.ts'
import { benchIngest } from './ingest.ts'
import { servePlainObjects } from './plain-objects.ts'
import { benchProducer } from './producer.ts'
import { benchQuery } from './query.ts'
import { benchQuiet } from './quiet.ts'
import { benchRecording } from './recording.ts'
import { printFigures, printTable } from './table.ts'
import { benchUi } from './ui.ts'
import { benchUiMemory } from './ui-memory.ts'
import { benchWholePath } from './whole-path.ts'

interface Options {
  quick: boolean
  /** Of the query bench. */
  rows?: number
  /** Of ui-memory. */
  minutes?: number
}

const BENCHES: Record<string, (options: Options) => Promise<Figure[]> | Figure[]> = {
  producer: ({ quick }) => benchProducer(quick),
  hook: ({ quick }) => benchHook(quick),
  handover: ({ quick }) => benchHandover(quick),
  ingest: ({ quick }) => benchIngest(quick),
  'whole-path': ({ quick }) => benchWholePath(quick),
  quiet: ({ quick }) => benchQuiet(quick),
  query: ({ quick, rows }) => benchQuery(quick, rows),
  disk: ({ quick }) => benchDisk(quick),
  recording: ({ quick }) => benchRecording(quick),
  ui: ({ quick }) => benchUi(quick),
  'ui-memory': ({ quick, minutes }) => benchUiMemory(quick, minutes),
}

/** What a run of everything leaves out for the time that it takes, or does more shortly. */
const LONGER = `Not in this run:
  --only query --rows 50000000      the queries over 50 million rows instead of 10
  --only ui-memory --minutes 10     what the page holds over ten minutes instead of two
  npm run soak                      ten minutes of load, and the sums
`

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true },
    json: { type: 'string' },
    rows: { type: 'string' },
    minutes: { type: 'string' },
    /** Runs one bench here and writes its figures to standard output: what the processes of their own are told. */
    child: { type: 'string' },
  },
})
const options: Options = {
  quick: values.quick,
  ...(values.rows === undefined ? {} : { rows: Number(values.rows) }),
  ...(values.minutes === undefined ? {} : { minutes: Number(values.minutes) }),
}

if (!isMainThread) {
  servePlainObjects()
} else if (values.child !== undefined) {
  process.stdout.write(JSON.stringify(await BENCHES[values.child](options)))
} else {
  runAll(values.only ?? Object.keys(BENCHES))
  if (values.only === undefined) process.stdout.write(`\n${LONGER}`)
}

function runAll(names: readonly string[]): void {
  const unknown = names.find((name) => !(name in BENCHES))
  if (unknown !== undefined) {
    process.stderr.write(`There is no bench ${unknown}; there are ${Object.keys(BENCHES).join(', ')}\n`)
    process.exitCode = 2
    return
  }
  process.stdout.write(`${cpus().length} x ${cpus()[0].model.trim()}, Node ${process.version}\n`)
  const results: Record<string, Figure[]> = {}
  for (const name of names) {
    const args = [
      ...process.execArgv,
      process.argv[1],
      '--child',
      name,
      ...(values.quick ? ['--quick'] : []),
      ...(values.rows === undefined ? [] : ['--rows', values.rows]),
      ...(values.minutes === undefined ? [] : ['--minutes', values.minutes]),
    ]
    const { status, signal, stdout } = spawnSync(process.execPath, args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    if (status !== 0) {
      process.stdout.write(`\n${name}: failed${signal ? `, ended by ${signal}` : ''}\n`)
      process.exitCode = 1
      continue
    }
    results[name] = JSON.parse(stdout) as Figure[]
    process.stdout.write(`\n${name}\n${printFigures(results[name])}`)
  }
  process.stdout.write(`\n${printTable(Object.values(results).flat())}`)
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`)
}
