// Who may import whom: the house's one-way streets, over TypeScript imports and C++ includes.
//
// Each area lists the areas it may reach. What is not listed is forbidden, and a source file that belongs to no area
// is an error: a new folder has to say where it stands.

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { expect, test } from 'vitest'

interface Area {
  /** A folder, or a single file; the longest that fits wins. */
  path: string
  /** Areas it may import besides itself. A trailing `?types` allows `import type` only. */
  may: readonly string[]
  /** Packages and Node modules it may import; `*` = any. */
  packages: readonly string[]
}

const AREAS: readonly Area[] = [
  // The driver: the ABI at the bottom, capture on it, and two kernels to put it into.
  { path: 'driver/protocol', may: [], packages: [] },
  { path: 'driver/core', may: ['driver/protocol'], packages: ['*'] },
  { path: 'driver/sys', may: ['driver/core', 'driver/protocol'], packages: ['*'] },
  { path: 'driver/targets', may: ['driver/protocol', 'driver/sim', 'driver/core'], packages: ['*'] },
  { path: 'driver/sim', may: ['driver/core', 'driver/protocol', 'driver/targets'], packages: ['*'] },
  { path: 'addon', may: ['driver/protocol', 'driver/sim'], packages: ['*'] },

  // Pure TypeScript: runs in Node and in the browser's worker alike.
  { path: 'src/protocol', may: [], packages: [] },
  { path: 'src/formats', may: ['src/protocol'], packages: [] },
  { path: 'src/model', may: ['src/protocol', 'src/formats'], packages: [] },

  // The core in Node. Only main.ts knows the addon's code; the others know its types.
  {
    path: 'src/session',
    may: ['src/protocol', 'src/formats', 'src/model', 'addon/binding.ts?types'],
    packages: ['node'],
  },
  {
    path: 'src/server',
    may: ['src/protocol', 'src/formats', 'src/model', 'src/session', 'addon/binding.ts?types'],
    packages: ['node', 'ws'],
  },
  {
    path: 'src/cli',
    may: ['src/protocol', 'src/formats', 'src/model', 'src/session', 'src/server', 'addon/binding.ts?types'],
    packages: ['node', 'commander', 'papaparse', 'string-width'],
  },
  {
    path: 'src/cli/main.ts',
    may: [
      'src/cli',
      'src/protocol',
      'src/formats',
      'src/model',
      'src/session',
      'src/server',
      'addon/load.ts',
      'package.json',
      'addon/binding.ts?types',
    ],
    packages: ['node', 'commander'],
  },
  { path: 'src/rolldown.config.mjs', may: [], packages: ['*'] },
  { path: 'src/dev.mjs', may: [], packages: ['node'] },

  // The window. Its worker may run pure code; everything else in it sees the worker's types only, but for the link
  // that starts it.
  {
    path: 'app',
    may: ['app/state/link.ts', 'app/worker?types', 'src/protocol', 'src/formats', 'src/model'],
    packages: ['preact', '@preact/signals', 'uplot', 'comlink'],
  },
  { path: 'app/main.tsx', may: ['app', 'app/state/link.ts', 'app/views'], packages: ['preact'] },
  {
    path: 'app/state/link.ts',
    may: ['app', 'app/worker', 'src/protocol', 'src/formats', 'src/model'],
    packages: ['@preact/signals', 'comlink'],
  },
  { path: 'app/worker', may: ['app', 'src/protocol', 'src/formats', 'src/model'], packages: ['comlink'] },
  {
    path: 'app/views',
    may: ['app', 'app/state/link.ts', 'app/worker?types', 'src/protocol', 'src/formats', 'src/model'],
    packages: ['preact', '@preact/signals', 'uplot'],
  },
  { path: 'app/vite.config.ts', may: [], packages: ['*'] },
  { path: 'package.json', may: [], packages: [] },

  { path: 'addon/binding.ts', may: [], packages: [] },
  { path: 'addon/load.ts', may: ['addon/binding.ts'], packages: ['node'] },
]

/** Single files that may reach further, and why. */
const EXCEPTIONS: Readonly<Record<string, string>> = {
  // The kernel's declarations: of the WDK or mingw in a .sys, of the simulator everywhere else.
  'driver/core/nt.h': 'driver/sim/nt.h',
}

const ROOT = join(import.meta.dirname, '../..')
const TYPESCRIPT = /\.(ts|tsx|mts|mjs)$/
const CPP = /\.(c|cpp|h|hpp)$/

function sources(): string[] {
  const listed = execFileSync(
    'git',
    ['ls-files', '--cached', '--others', '--exclude-standard', 'addon', 'app', 'driver', 'src'],
    {
      cwd: ROOT,
      encoding: 'utf8',
    },
  )
  return listed
    .split('\n')
    .filter(
      (file) =>
        (TYPESCRIPT.test(file) || CPP.test(file)) && !file.endsWith('.d.ts') && existsSync(join(ROOT, file)),
    )
}

function areaOf(file: string): Area | undefined {
  return AREAS.filter((area) => file === area.path || file.startsWith(`${area.path}/`)).sort(
    (a, b) => b.path.length - a.path.length,
  )[0]
}

interface Import {
  from: string
  target: string
  typesOnly: boolean
}

/** Imports, re-exports and dynamic imports; a module loaded with `new URL(…)`, as workers are, too. */
function importsOf(text: string): { target: string; typesOnly: boolean }[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
  const found: { target: string; typesOnly: boolean }[] = []
  for (const match of code.matchAll(/^\s*import\s+['"]([^'"]+)['"]/gm)) {
    found.push({ target: match[1], typesOnly: false })
  }
  // Between the word and `from` there are names, braces, commas and stars, and nothing else.
  for (const match of code.matchAll(/^\s*(?:import|export)\s+([\w\s{},*$]+?)\s+from\s+['"]([^'"]+)['"]/gm)) {
    const names = /^\{([^}]*)\}$/.exec(match[1])?.[1].split(',') ?? []
    const listed = names.map((name) => name.trim()).filter((name) => name !== '')
    const allTypes = listed.length > 0 && listed.every((name) => name.startsWith('type '))
    found.push({ target: match[2], typesOnly: /^type\s/.test(match[1]) || allTypes })
  }
  for (const match of code.matchAll(/(typeof\s+)?import\(\s*['"]([^'"]+)['"]/g)) {
    found.push({ target: match[2], typesOnly: match[1] !== undefined })
  }
  for (const match of code.matchAll(/new URL\(\s*['"](\.[^'"]+)['"]/g)) {
    found.push({ target: match[1], typesOnly: false })
  }
  return found
}

function includesOf(text: string): string[] {
  return [...text.matchAll(/^\s*#\s*include\s+"([^"]+)"/gm)].map((match) => match[1])
}

/** Include folders, as CMake gives them: beside the file, and each part's own. */
const INCLUDE_ROOTS = [
  'driver/protocol',
  'driver/core',
  'driver/sim',
  'driver/targets',
  'driver/sys',
  'driver',
  'addon',
  '.',
]

function resolveInclude(from: string, target: string): string | undefined {
  return [dirname(from), ...INCLUDE_ROOTS]
    .map((root) => normalize(join(root, target)))
    .find((path) => existsSync(join(ROOT, path)))
}

function complaint(file: string, area: Area, { target, typesOnly }: Omit<Import, 'from'>): string | null {
  if (!target.startsWith('.')) {
    const name = target.startsWith('node:')
      ? 'node'
      : target
          .split('/')
          .slice(0, target.startsWith('@') ? 2 : 1)
          .join('/')
    if (area.packages.includes('*') || area.packages.includes(name) || target.startsWith('data:')) return null
    return typesOnly ? null : `${file}: package ${target}`
  }
  const path = normalize(join(dirname(file), target.replace(/\?.*$/, '')))
  const reached = areaOf(path)
  if (path.endsWith('.css') || reached === area) return null
  if (!reached) return `${file}: ${path} belongs to no area`
  if (area.may.includes(reached.path) || (typesOnly && area.may.includes(`${reached.path}?types`)))
    return null
  return `${file}: ${path} (area ${reached.path})`
}

test('every source file belongs to an area', () => {
  expect(sources().filter((file) => !areaOf(file))).toEqual([])
})

test('imports follow the arrows', () => {
  const complaints: string[] = []
  let seen = 0
  for (const file of sources().filter((name) => TYPESCRIPT.test(name))) {
    const area = areaOf(file)
    if (!area || file === 'addon/build.mjs') continue
    for (const each of importsOf(readFileSync(join(ROOT, file), 'utf8'))) {
      seen++
      const found = complaint(file, area, each)
      if (found) complaints.push(found)
    }
  }
  expect(complaints).toEqual([])
  expect(seen).toBeGreaterThan(50)
})

test.each<[string, string, boolean, boolean]>([
  ['src/model/view.ts', '../session/session.ts', false, false],
  ['src/model/view.ts', 'node:fs', false, false],
  ['src/formats/hex.ts', '../model/view.ts', false, false],
  ['src/session/session.ts', '../../addon/load.ts', false, false],
  ['src/session/session.ts', '../../addon/binding.ts', true, true],
  ['src/session/session.ts', '../../addon/binding.ts', false, false],
  ['src/cli/main.ts', '../../addon/load.ts', false, true],
  ['src/cli/show.ts', '../../addon/load.ts', false, false],
  ['app/views/App.tsx', '../worker/worker.ts', false, false],
  ['app/views/App.tsx', '../../src/session/session.ts', false, false],
])('the rules bite: %s may import %s (types only: %s): %s', (file, target, typesOnly, allowed) => {
  expect(complaint(file, areaOf(file)!, { target, typesOnly }) === null).toBe(allowed)
})

test('includes follow the arrows', () => {
  const complaints: string[] = []
  let seen = 0
  for (const file of sources().filter((name) => CPP.test(name))) {
    const area = areaOf(file)
    if (!area) continue
    for (const target of includesOf(readFileSync(join(ROOT, file), 'utf8'))) {
      const path = resolveInclude(file, target)
      if (!path) continue
      seen++
      const reached = areaOf(path)
      if (reached && reached !== area && !area.may.includes(reached.path) && EXCEPTIONS[file] !== path) {
        complaints.push(`${file}: ${path} (area ${reached.path})`)
      }
    }
  }
  expect(complaints).toEqual([])
  expect(seen).toBeGreaterThan(10)
})

test('pure code names nothing of Node or of the browser’s page', () => {
  const forbidden =
    /\b(?:Buffer|process\.|require\(|setTimeout|setInterval|window\.|document\.|performance\.|Date\.now|Math\.random)/
  const found = sources()
    .filter((file) => /^src\/(protocol|model|formats)\//.test(file))
    .filter((file) =>
      forbidden.test(readFileSync(join(ROOT, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')),
    )
  expect(found).toEqual([])
})

test('the reader of imports reads what people write', () => {
  const text = `
    import './side.ts'
    import a from './a.ts'
    import type { B } from './b.ts'
    import { type C, type D } from './c.ts'
    import { type E, f } from './e.ts'
    export * from './g.ts'
    export type { H } from './h.ts'
    const i = await import('./i.ts')
    new Worker(new URL('./worker.ts', import.meta.url))
    export function from(a: string) { return a + 'no import' }
    // import j from './j.ts'
    import {
      k,
    } from '../k.ts'
  `
  expect(importsOf(text)).toEqual([
    { target: './side.ts', typesOnly: false },
    { target: './a.ts', typesOnly: false },
    { target: './b.ts', typesOnly: true },
    { target: './c.ts', typesOnly: true },
    { target: './e.ts', typesOnly: false },
    { target: './g.ts', typesOnly: false },
    { target: './h.ts', typesOnly: true },
    { target: '../k.ts', typesOnly: false },
    { target: './i.ts', typesOnly: false },
    { target: './worker.ts', typesOnly: false },
  ])
})
