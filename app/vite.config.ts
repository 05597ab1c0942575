// vite.config.ts: builds the UI into dist/app, which the core serves from memory.

import { defineConfig } from 'vite'

export default defineConfig({
  root: import.meta.dirname,
  base: './',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  worker: { format: 'es' },
  build: {
    outDir: '../dist/app',
    emptyOutDir: true,
    target: 'es2022',
    // One page, loaded from this machine: preloading hints and inlined assets gain nothing, and the policy forbids some.
    modulePreload: false,
    assetsInlineLimit: 0,
  },
})
