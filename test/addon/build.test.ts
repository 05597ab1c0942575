// build.test.ts: what `npm start` does about the native addon on Windows, where it cannot be built.

import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'

const ON_WINDOWS = `data:text/javascript,Object.defineProperty(process, 'platform', { value: 'win32' })`

/** As a clone. */
let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'drivermon-'))
  mkdirSync(join(root, 'addon'))
  copyFileSync(join(import.meta.dirname, '../../addon/build.mjs'), join(root, 'addon/build.mjs'))
})
afterEach(() => rmSync(root, { recursive: true }))

function build(...args: string[]): { status: number | null; stderr: string } {
  const script = join(root, 'addon/build.mjs')
  const { status, stderr } = spawnSync(process.execPath, ['--import', ON_WINDOWS, script, ...args], {
    encoding: 'utf8',
  })
  return { status, stderr }
}

test('the one that was brought from Linux is taken', () => {
  mkdirSync(join(root, 'build-win'))
  writeFileSync(join(root, 'build-win/drivermon.node'), '')
  expect(build()).toEqual({ status: 0, stderr: '' })
})

test.each([[[]], [['--windows']]])('where none was brought it says what to bring (%j)', (args) => {
  const { status, stderr } = build(...args)
  expect(status).toBe(1)
  expect(stderr).toMatch(/^The native addon .* on Linux: npm run build:windows.*build-win.*build-sys.*\n$/)
})
