// run.mjs: `npm run bench` and `npm run soak`: builds what they need, then runs it.
//
//   node test/bench/run.mjs bench [--quick] [--only NAME]... [--rows N] [--minutes N] [--json FILE]
//   node test/bench/run.mjs soak [--minutes N] [--rate N]
//
// Natively everything is compiled as the product is, in a folder of its own; the TypeScript is bundled, as it is there.

import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { rolldown } from 'rolldown'

const root = resolve(import.meta.dirname, '../..')
const folder = join(root, 'build-bench')
const cmakeJs = createRequire(import.meta.url).resolve('cmake-js/bin/cmake-js')

/** Ends the run when the command fails; what a build prints is shown only then. */
function build(/** @type {string} */ program, /** @type {string[]} */ args) {
  const { status, error, stdout, stderr } = spawnSync(program, args, {
    cwd: root,
    encoding: 'utf8',
  })
  if (status === 0) return
  process.stderr.write(`${error?.message ?? ''}${stdout}${stderr}\n${program} failed (see above)\n`)
  process.exit(1)
}

async function bundle(/** @type {string} */ name) {
  const bundled = await rolldown({
    input: join(import.meta.dirname, `${name}.ts`),
    platform: 'node',
    external: ['@duckdb/node-api', 'playwright-core', 'bufferutil', 'utf-8-validate'],
  })
  await bundled.write({
    file: join(folder, `${name}.mjs`),
    format: 'esm',
    codeSplitting: false,
  })
}

/** The window's bench runs the product; it gets one of its own, so that nobody's dist/ changes under it. */
function buildProduct() {
  const product = join(folder, 'product')
  build(process.execPath, [
    join(root, 'node_modules/rolldown/bin/cli.mjs'),
    ...['-c', 'src/rolldown.config.mjs', '--file', join(product, 'drivermon.cjs'), '--logLevel', 'warn'],
  ])
  build(process.execPath, [
    join(root, 'node_modules/vite/bin/vite.js'),
    ...['build', 'app', '--outDir', join(product, 'app'), '--emptyOutDir', '--logLevel', 'warn'],
  ])
}

const [command, ...args] = process.argv.slice(2)
if (command !== 'bench' && command !== 'soak') {
  process.stderr.write('usage: run.mjs bench|soak [options]\n')
  process.exit(2)
}
process.stderr.write('Building (the first time takes a minute)\n')
build(process.execPath, [
  ...[cmakeJs, 'build', '--out', folder, '--config', 'RelWithDebInfo', '--parallel', '2'],
  '--CDDRIVERMON_BENCH=ON',
])
await bundle(command)
if (command === 'bench') buildProduct()
const options = ['--max-old-space-size=12288', '--expose-gc', join(folder, `${command}.mjs`), ...args]
const { status, signal } = spawnSync(process.execPath, options, {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, DRIVERMON_ADDON: join(folder, 'drivermon.node') },
})
if (signal) process.stderr.write(`${command} was ended by ${signal}\n`)
process.exitCode = status ?? 1
