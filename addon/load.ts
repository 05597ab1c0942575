// load.ts: finds drivermon.node and loads it.
//
// process.dlopen instead of require: it works alike from an ES module (tests), from the CommonJS bundle, and inside a
// single executable, whose `require` knows built-in modules only.

import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isSea } from 'node:sea'
import { fileURLToPath } from 'node:url'
import type { NativeBinding } from './binding.ts'

let loaded: NativeBinding | undefined

/** The native addon. Throws an Error that says what to do when it cannot be had. */
export function loadBinding(): NativeBinding {
  loaded ??= load(find())
  return loaded
}

function find(): string {
  // The executable loads only what lies beside it: it often runs elevated, and a place that others may name or write
  // would let them in.
  if (isSea())
    return existing([join(dirname(process.execPath), 'drivermon.node')], 'Unpack the whole archive.')

  const override = process.env.DRIVERMON_ADDON
  if (override) return existing([override], 'DRIVERMON_ADDON names it.')

  // This file runs from addon/ and, bundled, from dist/: the build directories are beside both.
  const root = dirname(dirname(fileURLToPath(import.meta.url)))
  // build-win is cross-built on Linux: where it is there, build/ is not for Windows.
  const folders = process.platform === 'win32' ? ['build-win', 'build'] : ['build']
  return existing(
    folders.map((folder) => join(root, folder, 'drivermon.node')),
    'Build it: npm run build:native',
  )
}

function existing(candidates: string[], advice: string): string {
  const path = candidates.find((candidate) => existsSync(candidate))
  if (path === undefined) {
    throw new Error(`The native addon is missing (${candidates.join(', ')}). ${advice}`)
  }
  return path
}

function load(path: string): NativeBinding {
  const module: { exports: unknown } = { exports: {} }
  try {
    process.dlopen(module, path)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(`The native addon ${path} cannot be loaded: ${reason}`)
  }
  return module.exports as NativeBinding
}
