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

const BENCHES: Record<string, (quick: boolean, rows?: number) => Promise<Figure[]> | Figure[]> = {
  producer: benchProducer,
  hook: benchHook,
  handover: benchHandover,
  ingest: benchIngest,
  'whole-path': benchWholePath,
  quiet: benchQuiet,
  query: benchQuery,
  disk: benchDisk,
  recording: benchRecording,
  ui: benchUi,
  'ui-memory': benchUiMemory,
}

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true },
    json: { type: 'string' },
    /** For the query bench: another number of rows. */
    rows: { type: 'string' },
    /** Runs one bench here and writes its figures to standard output: what the processes of their own are told. */
    child: { type: 'string' },
  },
})

if (!isMainThread) {
  servePlainObjects()
} else if (options.child !== undefined) {
  const figures = await BENCHES[options.child](
    options.quick,
    options.rows === undefined ? undefined : Number(options.rows),
  )
  process.stdout.write(JSON.stringify(figures))
} else {
  // Ten minutes of looking at one page are asked for by name.
  runAll(options.only ?? Object.keys(BENCHES).filter((name) => name !== 'ui-memory'))
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
      ...(options.quick ? ['--quick'] : []),
      ...(options.rows === undefined ? [] : ['--rows', options.rows]),
    ]
    const { status, stdout } = spawnSync(process.execPath, args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    if (status !== 0) {
      process.stdout.write(`\n${name}: failed\n`)
      process.exitCode = 1
      continue
    }
    results[name] = JSON.parse(stdout) as Figure[]
    process.stdout.write(`\n${name}\n${printFigures(results[name])}`)
  }
  process.stdout.write(`\n${printTable(Object.values(results).flat())}`)
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(results, null, 2)}\n`)
}
