// src/protocol/layout.ts is what the compiler says now.

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'

test('layout.ts is current', () => {
  const build = join(import.meta.dirname, '../../addon/build.mjs')
  const { status, stderr } = spawnSync(process.execPath, [build, '--layout', '--check'], { encoding: 'utf8' })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
})
