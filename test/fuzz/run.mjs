// run.mjs: `npm run fuzz -- --seconds N`: libFuzzer against what outside bytes reach natively: the driver's control
// device, on the simulated kernel, and the store's ingest.
//
// It starts from the corpus in test/fuzz and keeps what it finds in build-fuzz, which the next run on this machine starts
// from as well. What ends it ends the run: the input is left in build-fuzz, and its name is printed.
//
//   npm run fuzz                     20 seconds each
//   npm run fuzz -- --seconds 3600
//   npm run fuzz -- --only ingest    one of them
//   npm run fuzz -- --merge          puts into the corpus what reaches code that nothing there reaches

import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'

const root = resolve(import.meta.dirname, '../..')
const build = join(root, 'build-fuzz')

/** What is fuzzed, and how long an input may be. */
const FUZZERS = /** @type {const} */ ({ control: 512, ingest: 4096 })
const names = /** @type {(keyof typeof FUZZERS)[]} */ (Object.keys(FUZZERS))

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '20' },
    only: { type: 'string' },
    merge: { type: 'boolean', default: false },
  },
})
if (values.only !== undefined && !(values.only in FUZZERS)) {
  process.stderr.write(`--only ${values.only}: there are ${names.join(', ')}\n`)
  process.exit(2)
}
if (!/^[1-9]\d{0,6}$/.test(values.seconds)) {
  process.stderr.write(`--seconds ${values.seconds}: a whole number of seconds is needed\n`)
  process.exit(2)
}

/** Ends the run when the command fails. */
function run(/** @type {string} */ program, /** @type {string[]} */ ...args) {
  const { status, signal, error } = spawnSync(program, args, { cwd: build, stdio: 'inherit' })
  if (error) process.stderr.write(`${program}: ${error.message}\n`)
  if (status !== 0) {
    process.stderr.write(`${program} ended with ${signal ?? status}\n`)
    process.exit(1)
  }
}

mkdirSync(build, { recursive: true })
run(
  'cmake',
  ...['-S', root, '-B', build, '--log-level=WARNING', '-DDRIVERMON_FUZZ=ON'],
  ...['-DCMAKE_C_COMPILER=clang-14', '-DCMAKE_CXX_COMPILER=clang++-14'],
  '-DDRIVERMON_SANITIZE=address,undefined,fuzzer-no-link',
)
for (const name of names.filter((each) => values.only === undefined || values.only === each)) {
  run('cmake', '--build', build, '--target', `drivermon_${name}_fuzz`, '--parallel', '2')
  const fuzzer = join(build, `test/fuzz/drivermon_${name}_fuzz`)
  const corpus = join(root, 'test/fuzz/corpus', name)
  const found = join(build, `found-${name}`)
  mkdirSync(found, { recursive: true })
  // Edges, not how often each was taken: the corpus stays small.
  if (values.merge) run(fuzzer, '-merge=1', '-use_counters=0', corpus, found)
  else
    run(
      fuzzer,
      `-max_len=${FUZZERS[name]}`,
      '-len_control=0',
      '-timeout=30',
      '-print_final_stats=1',
      `-max_total_time=${values.seconds}`,
      found,
      corpus,
    )
}
