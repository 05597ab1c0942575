// The lock file serves every platform: npm ci refuses one that leaves out another platform's optional packages (npm
// leaves them out where its registry has not got them), and none may say where packages come from.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const text = readFileSync(join(import.meta.dirname, '../../package-lock.json'), 'utf8')
const packages: Record<string, { version: string; optionalDependencies?: Record<string, string> }> =
  JSON.parse(text).packages

/** Where Node would find `name` for the package at `path`. */
function resolved(path: string, name: string): string | undefined {
  for (let at = path; ; at = at.slice(0, at.lastIndexOf('node_modules/')).replace(/\/$/, '')) {
    const candidate = `${at === '' ? '' : `${at}/`}node_modules/${name}`
    if (candidate in packages) return packages[candidate].version
    if (at === '') return undefined
  }
}

test('holds the optional packages of every platform', () => {
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.entries(optionalDependencies)
      .filter(([name, version]) => {
        const found = resolved(path, name)
        return found === undefined || (/^\d/.test(version) && found !== version)
      })
      .map(([name]) => `${path}: ${name}`),
  )
  expect(missing).toEqual([])
})

test('names no registry', () => {
  expect(text).not.toContain('"resolved"')
})
