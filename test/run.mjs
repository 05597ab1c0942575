// run.mjs: `npm test`: everything that holds this house up, in the order in which it fails fastest.
//
//   npm test                    all parts
//   npm test -- unit wine       only these
//
// A part whose tools are not here is left out, and said so at the end; where CI is set, that is a failure.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { missingPackages as missingForWine } from './wine/wine.mjs'

const root = resolve(import.meta.dirname, '..')
const nothingMissing = () => /** @type {string[]} */ ([])

const has = (/** @type {string} */ program) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0
const missingPrograms = (/** @type {Record<string, string>} */ packages) =>
  Object.entries(packages)
    .filter(([program]) => !has(program))
    .map(([, name]) => name)

const missingForNative = () => [
  ...missingPrograms({ cmake: 'cmake', 'c++': 'g++', make: 'make' }),
  ...(existsSync('/usr/include/doctest/doctest.h') ? [] : ['doctest-dev']),
]
const configureNative = [
  ...['cmake', '-S', '.', '-B', 'build-tests', '--log-level=WARNING'],
  ...['-DDRIVERMON_TESTS=ON', '-DDRIVERMON_SANITIZE=address,undefined'],
  // Not run there: they shall go on compiling.
  '-DDRIVERMON_BENCH=ON',
]

// Races show to ThreadSanitizer only, which AddressSanitizer does not stand beside.
const configureForThreads = [
  ...['cmake', '-S', '.', '-B', 'build-tsan', '--log-level=WARNING'],
  ...['-DDRIVERMON_TESTS=ON', '-DDRIVERMON_SANITIZE=thread'],
]
const fuzzerRuntime = '/usr/lib/llvm-14/lib/clang/14.0.6/lib/linux/libclang_rt.fuzzer-x86_64.a'

/** A part says which Debian packages it lacks, and how it runs: by commands, or as a project of vitest. */
const parts = {
  check: { missing: nothingMissing, commands: [['npm', 'run', '--silent', 'check']] },
  native: {
    missing: missingForNative,
    commands: [
      configureNative,
      ['cmake', '--build', 'build-tests', '--parallel', '2'],
      ['ctest', '--test-dir', 'build-tests', '--output-on-failure', '--no-tests=error'],
    ],
  },
  tsan: {
    missing: missingForNative,
    commands: [
      configureForThreads,
      ['cmake', '--build', 'build-tsan', '--target', 'drivermon_native_tests', '--parallel', '2'],
      ['build-tsan/test/native/drivermon_native_tests'],
    ],
  },
  fuzz: {
    missing: () => [
      ...missingPrograms({ cmake: 'cmake', make: 'make', 'clang-14': 'clang', 'clang++-14': 'clang' }),
      ...(existsSync(fuzzerRuntime) ? [] : ['libclang-rt-14-dev']),
    ],
    commands: [['npm', 'run', '--silent', 'fuzz']],
  },
  build: { missing: nothingMissing, commands: [['npm', 'run', '--silent', 'build']] },
  unit: { missing: nothingMissing, commands: [] },
  journeys: { missing: () => missingPrograms({ chromium: 'chromium', tshark: 'tshark' }), commands: [] },
  wine: {
    missing: () => [...missingForNative(), ...missingForWine(), ...missingPrograms({ capinfos: 'tshark' })],
    // Here, where nobody counts the time; the journey finds it done.
    commands: [
      configureNative,
      ['cmake', '--build', 'build-tests', '--target', 'caller_simulated'],
      ['npm', 'run', '--silent', 'build:windows'],
    ],
  },
}
/** @typedef {keyof typeof parts} Part */

const projects = /** @type {Part[]} */ (['unit', 'journeys', 'wine'])
const nothingMayBeSkipped = Boolean(process.env.CI)

/** Ends the run when the command fails. */
function run(/** @type {string[]} */ [program, ...args]) {
  const { status, error } = spawnSync(program, args, { cwd: root, stdio: 'inherit' })
  if (error) process.stderr.write(`${program}: ${error.message}\n`)
  if (status !== 0) process.exit(status ?? 1)
}

const names = /** @type {Part[]} */ (Object.keys(parts))
const asked = process.argv.slice(2)
const unknown = asked.find((name) => !names.includes(/** @type {Part} */ (name)))
if (unknown !== undefined) {
  process.stderr.write(`There is no part ${unknown}; there are ${names.join(', ')}\n`)
  process.exit(2)
}

const wanted = (/** @type {Part} */ name) => asked.length === 0 || asked.includes(name)
// What vitest runs, runs what was built.
const chosen = names.filter((name) => wanted(name) || (name === 'build' && projects.some(wanted)))
const skipped = chosen.flatMap((name) => {
  const packages = [...new Set(parts[name].missing())]
  return packages.length > 0 ? [{ name, packages }] : []
})
const advice = skipped
  .map(({ name, packages }) => `Skipped ${name}: apt-get install ${packages.join(' ')}\n`)
  .join('')
if (advice && nothingMayBeSkipped) {
  process.stderr.write(`${advice}CI is set: nothing may be skipped.\n`)
  process.exit(1)
}

const able = chosen.filter((name) => !skipped.some((part) => part.name === name))
for (const name of able) for (const command of parts[name].commands) run(command)
const here = projects.filter((name) => able.includes(name))
if (here.length > 0) {
  const vitest = join(root, 'node_modules/vitest/vitest.mjs')
  const config = join(root, 'test/vitest.config.ts')
  run([process.execPath, vitest, 'run', '--config', config, ...here.flatMap((name) => ['--project', name])])
}
process.stdout.write(advice)
