// quotas.ts: how much memory and disk may be used, as people write it: `2GB` for rows, a new file at `256MB` or `1h`.

import {
  MIN_BUDGET_BYTES,
  MIN_FILES_KEPT,
  MIN_ROTATION_BYTES,
  MIN_ROTATION_MS,
  type Rotation,
} from '../protocol/wire.ts'
import { parseDuration } from './predicates.ts'
import { TextError } from './text-error.ts'
import { formatBytes, formatDuration, parseSize } from './values.ts'

/** Bytes. */
export function parseQuota(text: string, least: number, most = Number.MAX_SAFE_INTEGER): number {
  const bytes = parseSize(text)
  if (bytes === undefined)
    throw new TextError(`"${text}" is no size; one is written with its unit, such as 64MB`)
  if (bytes < least)
    throw new TextError(`"${text}" is too little; it should be ${formatBytes(least)} at least`)
  if (bytes > most) throw new TextError(`"${text}" is too much; it can be ${formatBytes(most)} at most`)
  return bytes
}

export function parseBudget(text: string): number {
  return parseQuota(text, MIN_BUDGET_BYTES)
}

export function parseRotationSize(text: string): number {
  return parseQuota(text, MIN_ROTATION_BYTES)
}

/** Milliseconds. */
export function parseRotationTime(text: string): number {
  const ms = parseDuration(text) / 1e6
  if (ms >= MIN_ROTATION_MS) return ms
  throw new TextError(
    `"${text}" is too short for a file; it should be ${formatDuration(MIN_ROTATION_MS * 1e6)} at least`,
  )
}

export function parseFilesKept(text: string): number {
  const files = Number(text)
  if (/^\d{1,6}$/.test(text.trim()) && files >= MIN_FILES_KEPT) return files
  throw new TextError(`"${text}" is no number of files to keep; it should be ${MIN_FILES_KEPT} at least`)
}

/** null where a recording stays in one file. Keeping some makes sense only where there are several. */
export function rotationOf(rotation: Rotation): Rotation | null {
  if (rotation.sizeBytes > 0 || rotation.timeMs > 0) return rotation
  if (rotation.keep === 0) return null
  throw new TextError('to keep some files only, say when a new one begins: at a size, after a time, or both')
}
