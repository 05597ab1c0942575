// assets.ts: the files of the UI, in memory.
//
// They are few and small, and a name that is looked up in a map cannot climb out of a folder.

import { readdirSync, readFileSync } from 'node:fs'
import { extname, join, relative, sep } from 'node:path'

export interface Asset {
  body: Uint8Array
  type: string
}

/** By URL path, such as `/assets/index-abc.js`. `/` is `/index.html`. */
export type Assets = ReadonlyMap<string, Asset>

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.json': 'application/json',
  '.map': 'application/json',
}

export function assetsOfFolder(folder: string): Assets {
  const assets = new Map<string, Asset>()
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    assets.set(`/${relative(folder, path).split(sep).join('/')}`, {
      body: readFileSync(path),
      type: TYPES[extname(entry.name)] ?? 'application/octet-stream',
    })
  }
  const index = assets.get('/index.html')
  if (index) assets.set('/', index)
  return assets
}
