// run.mjs: `npm run mutate [RULE…]`: breaks each rule of the driver once, and shows which test turns red.
//
// A test that stays green whatever the driver does holds nothing up. Each rule of rules.mjs is broken in a copy of the
// tree (never in the tree itself), the native tests are built anew, and the test named for the rule must fail: by a
// check, by the simulated kernel's verifier, by AddressSanitizer, or by not coming to an end.
//
//   npm run mutate              all rules; fails when one of them can be broken unseen
//   npm run mutate -- pending   only rules whose text contains this

import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { rules } from './rules.mjs'

/** @typedef {import('./rules.mjs').Rule} Rule */

const root = resolve(import.meta.dirname, '../..')
const copy = join(root, 'build-mutation/tree')
const build = join(root, 'build-mutation/native')
const tests = join(build, 'test/native/drivermon_native_tests')
// Everything the native tests are built from.
const parts = ['CMakeLists.txt', 'driver', 'addon', 'test/native', 'test/wine']
// A mutant that hangs is as dead as one that crashes; the slowest test ends far below this.
const timeoutMs = 120_000

/** Only files that differ are written, so that a second run builds little. */
function bringUpToDate() {
  const files = parts.flatMap((part) =>
    part.includes('.')
      ? [part]
      : readdirSync(join(root, part), { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1)),
  )
  for (const file of files) {
    const to = join(copy, file)
    if (existsSync(to) && readFileSync(to).equals(readFileSync(join(root, file)))) continue
    mkdirSync(dirname(to), { recursive: true })
    copyFileSync(join(root, file), to)
  }
}

function cmake(/** @type {string[]} */ ...args) {
  const { status, stdout, stderr, error } = spawnSync('cmake', args, { encoding: 'utf8' })
  if (error) throw error
  return { ok: status === 0, output: stdout + stderr }
}

const compile = () => cmake('--build', build, '--target', 'drivermon_native_tests', '--parallel', '2')

/** doctest takes patterns, separated by commas. */
const patternOf = (/** @type {string} */ name) => name.replaceAll(/[,"*\\[\]]/g, '?')

/** How the test ended: null when it passed. */
function failureOf(/** @type {string} */ test) {
  const { status, signal, stdout, stderr } = spawnSync(tests, [`--test-case=${patternOf(test)}`], {
    encoding: 'utf8',
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
    maxBuffer: 1 << 28,
    env: { ...process.env, ASAN_OPTIONS: 'detect_leaks=1:abort_on_error=0' },
  })
  if (status === 0) return null
  const said = `${stdout}\n${stderr}`
  const asan = said.match(/ERROR: (\w+Sanitizer: [\w-]+)/)?.[1]
  const violation = said.match(/^.*[Vv]iolation.*$/m)?.[0]
  const check = said.match(/ERROR: (.+)/)?.[1]
  return (
    asan ??
    violation ??
    check ??
    (signal === 'SIGKILL' ? 'does not end' : `ends with ${signal ?? status}`)
  )
    .trim()
    .slice(0, 100)
}

/** What keeps the rule from being broken: text that is not there, or not once. */
function misfitsOf(/** @type {string} */ source, /** @type {Rule} */ { rule, file, edits }) {
  return edits.flatMap(([search]) => {
    const times = source.split(search).length - 1
    return times === 1 ? [] : [`${file}: found ${times} times, for the rule "${rule}":\n${search}\n`]
  })
}

/** @returns {{ red: boolean, how: string }} */
function tryRule(/** @type {Rule} */ rule) {
  const file = join(copy, rule.file)
  const source = readFileSync(file, 'utf8')
  writeFileSync(
    file,
    rule.edits.reduce((text, [search, replacement]) => text.replace(search, () => replacement), source),
  )
  try {
    const built = compile()
    if (!built.ok) return { red: false, how: `does not compile:\n${built.output}` }
    const failure = failureOf(rule.test)
    return failure === null ? { red: false, how: 'SURVIVES' } : { red: true, how: failure }
  } finally {
    writeFileSync(file, source)
  }
}

bringUpToDate()
const asked = process.argv.slice(2)
const chosen = rules.filter(({ rule }) => asked.length === 0 || asked.some((text) => rule.includes(text)))
// A table that no longer fits the source is told before anything is built.
const misfits = chosen.flatMap((rule) => misfitsOf(readFileSync(join(copy, rule.file), 'utf8'), rule))
if (misfits.length > 0) {
  process.stderr.write(misfits.join('\n'))
  process.exit(1)
}

const configured = cmake(
  ...['-S', copy, '-B', build, '--log-level=WARNING', '-DDRIVERMON_TESTS=ON', '-DDRIVERMON_SANITIZE=address'],
  ...['-DCMAKE_BUILD_TYPE=Debug', '-DCMAKE_CXX_FLAGS_DEBUG=-O1'],
)
const built = configured.ok ? compile() : configured
if (!built.ok) {
  process.stderr.write(built.output)
  process.exit(1)
}
const known = spawnSync(tests, ['--list-test-cases', '--no-colors'], { encoding: 'utf8' }).stdout.split('\n')
for (const test of new Set(chosen.map((rule) => rule.test))) {
  if (!known.includes(test)) throw new Error(`There is no test case "${test}"`)
  const failure = failureOf(test)
  if (failure !== null) throw new Error(`"${test}" is red with no rule broken: ${failure}`)
}

let survivors = 0
for (const rule of chosen) {
  const { red, how } = tryRule(rule)
  survivors += red ? 0 : 1
  process.stdout.write(`${red ? 'red ' : 'GREEN'} ${rule.rule}\n     ${rule.test}: ${how}\n`)
}
process.stdout.write(`${chosen.length} rules broken, ${chosen.length - survivors} seen by a test\n`)
process.exitCode = survivors === 0 ? 0 : 1
