// rules.test.ts: what is said of tests elsewhere holds: the mutation run's table fits the sources, and every test that
// it, or the list of the predecessor's faults, names is there.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { rules } from '../mutation/rules.mjs'

const root = resolve(import.meta.dirname, '../..')
const native = join(root, 'test/native')

/** The names of a native file's test cases; a name may be written as several literals. */
function casesIn(source: string): string[] {
  return [...source.matchAll(/TEST_CASE(?:_TEMPLATE)?\(\s*((?:"(?:[^"\\]|\\.)*"\s*)+)/g)].map(
    ([, literals]) =>
      [...literals.matchAll(/"((?:[^"\\]|\\.)*)"/g)]
        .map(([, text]) => text.replaceAll(/\\(.)/g, '$1'))
        .join(''),
  )
}

const cases = new Map(
  readdirSync(native)
    .filter((name) => name.endsWith('_test.cpp'))
    .map((name) => [name, casesIn(readFileSync(join(native, name), 'utf8'))] as const),
)

describe('the table of the mutation run', () => {
  it('breaks what is there: each text occurs once in its file', () => {
    const misfits = rules.flatMap(({ rule, file: usual, edits }) =>
      edits.flatMap(([search, , file = usual]) => {
        const times = readFileSync(join(root, file), 'utf8').split(search).length - 1
        return times === 1 ? [] : [`${rule}: ${times} times in ${file}: ${search}`]
      }),
    )
    expect(rules.length).toBeGreaterThan(100)
    expect(misfits).toEqual([])
  })

  it('names tests that there are', () => {
    const known = new Set([...cases.values()].flat())
    expect(known.size).toBeGreaterThan(100)
    expect(rules.filter(({ test }) => !known.has(test)).map(({ test }) => test)).toEqual([])
  })
})

interface Citation {
  file: string
  /** null: the whole file. */
  name: string | null
}

/** The last column of the rows: `a_test.cpp`: "a name", "the beginning of one…"; `test/b.test.ts`: "a name". */
function citations(table: string): Citation[] {
  const column = table
    .split('\n')
    .filter((line) => /^\| (?!The predecessor|-)/.test(line))
    .map((line) => line.split(' | ').at(-1) ?? '')
  return column.flatMap((text) =>
    [...text.matchAll(/`([\w./-]+\.(?:cpp|ts))`([^`]*)/g)].flatMap(([, file, rest]): Citation[] => {
      const names = [...rest.matchAll(/"([^"]+)"/g)].map(([, name]) => ({ file, name }))
      return names.length > 0 ? names : [{ file, name: null }]
    }),
  )
}

describe("the list of the predecessor's faults", () => {
  const cited = citations(readFileSync(join(root, 'driver/PREDECESSOR.md'), 'utf8'))

  it('cites tests that there are', () => {
    const missing = cited.filter(({ file, name }) => {
      const path = file.endsWith('.cpp') ? join(native, file) : join(root, file)
      if (!existsSync(path)) return true
      if (name === null) return false
      const known =
        cases.get(file) ?? [...readFileSync(path, 'utf8').matchAll(/it\('([^']+)'/g)].map(([, each]) => each)
      const wanted = name.replace(/…$/, '')
      return !known.some((each) => (name.endsWith('…') ? each.startsWith(wanted) : each === wanted))
    })
    expect(cited.length).toBeGreaterThan(25)
    expect(missing).toEqual([])
  })
})
