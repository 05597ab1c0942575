// rolldown.config.mjs: the core as one file, dist/drivermon.cjs.
//
// CommonJS, because a single executable can run nothing else. The native addon is not bundled: addon/load.ts finds it
// beside this file at run time.
import { chmodSync } from 'node:fs'
import { defineConfig } from 'rolldown'

export default defineConfig({
  input: 'src/cli/main.ts',
  platform: 'node',
  // ws asks for these two natives if they happen to be installed; it does as well without.
  external: ['bufferutil', 'utf-8-validate'],
  output: {
    file: 'dist/drivermon.cjs',
    format: 'cjs',
    banner: '#!/usr/bin/env node',
    sourcemap: true,
    codeSplitting: false,
  },
  plugins: [
    {
      name: 'executable',
      writeBundle: (options) => chmodSync(options.file, 0o755),
    },
  ],
})
