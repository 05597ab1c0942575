// run.mjs: `npm run mutate [RULE…]`: breaks each rule of the driver once, and shows which test turns red.
//
// A test that stays green whatever the driver does holds nothing up. Each rule of rules.mjs is broken in a copy of the
// tree (never in the tree itself), the native tests are built anew, and the test named for the rule must fail: by a
// check, by the simulated kernel's verifier, by AddressSanitizer, or by not coming to an end.
//
//   npm run mutate                       all rules; fails when one of them can be broken unseen
//   npm run mutate -- pending            only rules whose text contains this
//   npm run mutate -- --table FILE       leaves the table as Markdown: the rule, its test, and what the test said
//   npm run mutate -- --jobs 1           one copy at a time; else two, where there are two processors

import { spawn } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { rules } from './rules.mjs'

/** @typedef {import('./rules.mjs').Rule} Rule */
/** @typedef {{ red: boolean, how: string }} Verdict */

const root = resolve(import.meta.dirname, '../..')
// Everything the native tests are built from.
const parts = ['CMakeLists.txt', 'driver', 'addon', 'test/native', 'test/wine']

const { values, positionals: asked } = parseArgs({
  allowPositionals: true,
  options: { table: { type: 'string' }, jobs: { type: 'string' } },
})
const jobs = Number(values.jobs ?? Math.min(2, availableParallelism()))
if (!Number.isInteger(jobs) || jobs < 1) {
  process.stderr.write(`--jobs ${values.jobs}: a whole number of copies is needed\n`)
  process.exit(2)
}

/**
 * Output is kept, whatever its size; a program that takes too long is killed.
 * @returns {Promise<{ status: number | null, signal: string | null, said: string }>}
 */
function run(/** @type {string} */ program, /** @type {string[]} */ args, timeoutMs = 0) {
  return new Promise((done, failed) => {
    const child = spawn(program, args, {
      env: { ...process.env, ASAN_OPTIONS: 'detect_leaks=1:abort_on_error=0' },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(timeoutMs > 0 ? { timeout: timeoutMs, killSignal: 'SIGKILL' } : {}),
    })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        said += text
      })
    }
    child.on('error', failed)
    child.on('close', (status, signal) => done({ status, signal, said }))
  })
}

/** A rule's edits, file by file. */
function editsOf(/** @type {Rule} */ rule) {
  /** @type {Map<string, [search: string, replacement: string][]>} */
  const files = new Map()
  for (const [search, replacement, file = rule.file] of rule.edits) {
    files.set(file, [...(files.get(file) ?? []), [search, replacement]])
  }
  return files
}

/** What keeps the rule from being broken: text that is not there, or not once. */
function misfitsOf(/** @type {Rule} */ rule) {
  return [...editsOf(rule)].flatMap(([file, edits]) => {
    const source = readFileSync(join(root, file), 'utf8')
    return edits.flatMap(([search]) => {
      const times = source.split(search).length - 1
      return times === 1 ? [] : [`${file}: found ${times} times, for the rule "${rule.rule}":\n${search}\n`]
    })
  })
}

/** doctest takes patterns, separated by commas. */
const patternOf = (/** @type {string} */ name) => name.replaceAll(/[,"*\\[\]]/g, '?')

/** In its own words, the first that fits: AddressSanitizer's, the verifier's, doctest's. */
function reasonIn(/** @type {string} */ said) {
  const asan = said.match(/ERROR: (\w+Sanitizer: [\w-]+)/)?.[1]
  const verifier = said.match(/^\*\*\* simulated kernel: (.+)$/m)?.[1]
  const check = said.match(/ERROR: (.+)/)?.[1]
  return asan ?? (verifier === undefined ? check : `verifier: ${verifier}`)
}

/** How long a test takes with no rule broken. */
const tookMs = /** @type {Map<string, number>} */ (new Map())

/** One copy of the tree, its build, and what is done with it. */
class Copy {
  constructor(/** @type {number} */ number) {
    this.tree = join(root, `build-mutation/${number}/tree`)
    this.build = join(root, `build-mutation/${number}/native`)
    this.tests = join(this.build, 'test/native/drivermon_native_tests')
  }

  /** Only files that differ are written, so that a second run builds little. */
  bringUpToDate() {
    const files = parts.flatMap((part) =>
      part.includes('.')
        ? [part]
        : readdirSync(join(root, part), { recursive: true, withFileTypes: true })
            .filter((entry) => entry.isFile())
            .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1)),
    )
    for (const file of files) {
      const to = join(this.tree, file)
      if (existsSync(to) && readFileSync(to).equals(readFileSync(join(root, file)))) continue
      mkdirSync(dirname(to), { recursive: true })
      copyFileSync(join(root, file), to)
    }
  }

  async configure() {
    const { status, said } = await run('cmake', [
      ...['-S', this.tree, '-B', this.build, '--log-level=WARNING'],
      ...['-DDRIVERMON_TESTS=ON', '-DDRIVERMON_SANITIZE=address'],
      ...['-DCMAKE_BUILD_TYPE=Debug', '-DCMAKE_CXX_FLAGS_DEBUG=-O0'],
    ])
    return status === 0 ? null : said
  }

  async compile(parallel = 1) {
    const args = ['--build', this.build, '--target', 'drivermon_native_tests', '--parallel', String(parallel)]
    const { status, said } = await run('cmake', args)
    return status === 0 ? null : said
  }

  async names() {
    return (await run(this.tests, ['--list-test-cases', '--no-colors'])).said.split('\n')
  }

  /** How the test ended: null when it passed. A mutant that hangs is as dead as one that crashes. */
  async failureOf(/** @type {string} */ test) {
    const timeoutMs = 60_000 + 20 * (tookMs.get(test) ?? 60_000)
    const { status, signal, said } = await run(this.tests, [`--test-case=${patternOf(test)}`], timeoutMs)
    if (status === 0) return null
    const ending = signal === 'SIGKILL' ? 'does not end' : `ends with ${signal ?? status}`
    // Addresses differ from run to run.
    return (reasonIn(said) ?? ending)
      .replaceAll(/0x[0-9a-f]{6,}/g, '…')
      .trim()
      .slice(0, 100)
  }

  /** @returns {Promise<Verdict>} */
  async tryRule(/** @type {Rule} */ rule) {
    const sources = [...editsOf(rule)].map(([file, edits]) => {
      const path = join(this.tree, file)
      return { path, edits, source: readFileSync(path, 'utf8') }
    })
    for (const { path, edits, source } of sources) {
      writeFileSync(
        path,
        edits.reduce((text, [search, replacement]) => text.replace(search, () => replacement), source),
      )
    }
    try {
      const errors = await this.compile()
      if (errors !== null) return { red: false, how: `does not compile:\n${errors}` }
      const failure = await this.failureOf(rule.test)
      return failure === null ? { red: false, how: 'SURVIVES' } : { red: true, how: failure }
    } finally {
      for (const { path, source } of sources) writeFileSync(path, source)
    }
  }
}

const chosen = rules.filter(({ rule }) => asked.length === 0 || asked.some((text) => rule.includes(text)))
// A table that no longer fits the source is told before anything is built.
const misfits = chosen.flatMap(misfitsOf)
if (misfits.length > 0) {
  process.stderr.write(misfits.join('\n'))
  process.exit(1)
}

const copies = Array.from({ length: Math.min(jobs, chosen.length) }, (_, i) => new Copy(i + 1))
for (const copy of copies) {
  copy.bringUpToDate()
  const errors = (await copy.configure()) ?? (await copy.compile(jobs))
  if (errors !== null) {
    process.stderr.write(errors)
    process.exit(1)
  }
}
const known = (await copies[0]?.names()) ?? []
for (const { test } of chosen) if (!known.includes(test)) throw new Error(`There is no test case "${test}"`)

// With no rule broken each test must be green: else it would be red for nothing.
for (const test of new Set(chosen.map((rule) => rule.test))) {
  const begin = Date.now()
  const failure = await copies[0]?.failureOf(test)
  if (failure) throw new Error(`"${test}" is red with no rule broken: ${failure}`)
  tookMs.set(test, Date.now() - begin)
}

/** @type {Map<Rule, Verdict>} */
const verdicts = new Map()
// Rules of one file stay together: what is compiled for one is what was restored after the one before.
const waiting = chosen.toSorted((a, b) => a.file.localeCompare(b.file))
await Promise.all(
  copies.map(async (copy, i) => {
    // From both ends, so that the copies work on different files.
    const next = () => (i % 2 === 0 ? waiting.shift() : waiting.pop())
    for (let rule = next(); rule !== undefined; rule = next()) {
      const verdict = await copy.tryRule(rule)
      verdicts.set(rule, verdict)
      process.stdout.write(
        `${verdict.red ? 'red  ' : 'GREEN'} ${rule.rule}\n      ${rule.test}: ${verdict.how}\n`,
      )
    }
  }),
)

const red = [...verdicts.values()].filter((verdict) => verdict.red).length
if (values.table !== undefined) {
  const cell = (/** @type {string} */ text) => text.replaceAll('|', '\\|').replaceAll(/\s+/g, ' ')
  const rows = chosen.map((rule) => {
    const verdict = verdicts.get(rule)
    return `| ${cell(rule.rule)} | ${cell(rule.test)} | ${verdict?.red ? cell(verdict.how) : '**not seen**'} |`
  })
  writeFileSync(
    values.table,
    ['| rule | test that turns red | how |', '|---|---|---|', ...rows, ''].join('\n'),
  )
}
process.stdout.write(`${chosen.length} rules broken, ${red} seen by a test\n`)
process.exitCode = red === chosen.length ? 0 : 1
