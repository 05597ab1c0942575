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
    // The parts of the first load come side by side, not one after another. No browser we run in needs the polyfill.
    modulePreload: { polyfill: false },
    // The policy forbids some inlined assets.
    assetsInlineLimit: 0,
  },
})
