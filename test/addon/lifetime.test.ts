// The environment owns the native thread: a worker that is terminated, a process that exits, a source that nobody
// closes. A mistake here crashes the process, so each case has a process of its own.

import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ABI_VERSION, ControlCode, LAYOUT_HASH } from '../../src/protocol/layout.ts'

const DRIVERMON_LIFETIME = JSON.stringify({
  addon: process.env.DRIVERMON_ADDON ?? join(import.meta.dirname, '../../build/drivermon.node'),
  abiVersion: ABI_VERSION,
  layoutHash: LAYOUT_HASH,
  codes: ControlCode,
})

function run(scenario: string): Promise<{ status: number | null; signal: string | null; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(
      process.execPath,
      ['--expose-gc', join(import.meta.dirname, 'lifetime.mjs'), scenario],
      {
        env: { ...process.env, DRIVERMON_LIFETIME },
      },
    )
    let output = ''
    child.stdout.on('data', (text) => (output += text))
    child.stderr.on('data', (text) => (output += text))
    child.once('close', (status, signal) => resolve({ status, signal, output }))
  })
}

test.each([
  ['exit', 'process.exit in the middle of pumping'],
  ['uncaught', 'an error that nobody catches, in the middle of pumping'],
  ['forgotten', 'the program ends, and nobody has closed the source'],
  ['garbage', 'a source that nobody holds is closed by the garbage collector'],
  ['worker', 'a worker pumps, and closes'],
  ['terminate', 'a worker is terminated in the middle of pumping; then the machine is free again'],
  ['worker-exit', 'a worker calls process.exit in the middle of pumping; then the machine is free again'],
  ['main-exit', 'the process exits while a worker pumps'],
])('%s: %s', async (scenario) => {
  const { status, signal, output } = await run(scenario)
  expect({ status, signal, output }).toEqual({
    status: scenario === 'uncaught' ? 7 : 0,
    signal: null,
    output: `${scenario} done\n`,
  })
})
