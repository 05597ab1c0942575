// vitest.config.ts: three kinds of tests. `unit` needs nothing but Node; `journeys` runs the built product, some of it
// in Chromium; `wine` runs the Windows build under Wine. test/run.mjs says which can run here.

import { resolve } from 'node:path'
import { defineConfig } from 'vitest/config'

/** A journey starts real programs; its steps have time limits of their own, far below this. */
const journey = { testTimeout: 120_000, hookTimeout: 600_000, fileParallelism: false }

export default defineConfig({
  root: resolve(import.meta.dirname, '..'),
  test: {
    projects: [
      {
        oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
        test: {
          name: 'unit',
          include: ['test/**/*.test.{ts,tsx}'],
          exclude: ['test/journeys/**', 'test/wine/**'],
          // Far above what any needs: a loaded machine is no failure.
          testTimeout: 60_000,
        },
      },
      { test: { name: 'journeys', include: ['test/journeys/**/*.test.ts'], ...journey } },
      { test: { name: 'wine', include: ['test/wine/**/*.test.ts'], ...journey } },
    ],
  },
})
