// capture-file.ts: reads a capture file into batches of records, piece by piece.

import { createReadStream } from 'node:fs'
import type { CaptureInfo } from '../formats/capture-info.ts'
import { PcapngError, PcapngReader } from '../formats/pcapng-reader.ts'
import { Capture } from '../model/capture.ts'
import { RecordError } from '../protocol/records.ts'

/** A file that cannot be read, with its path and the reason in one line. */
export class CaptureFileError extends Error {
  override readonly name = 'CaptureFileError'
}

export interface ReadCapture {
  info: CaptureInfo
  /** What should be known about the file beside its content: a torn tail. */
  warnings: string[]
}

export interface LoadOptions {
  budgetBytes: number
  /** Called after each piece, with the capture as it is by then; false = that is enough of the file. */
  onProgress?: (capture: Capture) => boolean
}

/** Reads a whole file. Rows beyond the budget leave, oldest first, as in a live capture. */
export async function loadCaptureFile(
  path: string,
  options: LoadOptions,
): Promise<ReadCapture & { capture: Capture }> {
  const reader = new PcapngReader()
  let capture: Capture | null = null
  let enough = false
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
      const records = reader.push(chunk as Uint8Array)
      if (reader.info) capture ??= captureOf(reader.info, options.budgetBytes)
      if (!capture || records.byteLength === 0) continue
      capture.ingest(records)
      if (options.onProgress?.(capture) === false) {
        enough = true
        break
      }
    }
    const tornBytes = enough ? 0 : reader.end().tornBytes
    if (!reader.info) throw new PcapngError('there is no capture in it', 0)
    capture ??= captureOf(reader.info, options.budgetBytes)
    capture.finish()
    const warnings =
      tornBytes > 0 ? [`${path}: the last block is cut off (${tornBytes} bytes); the rest was read`] : []
    return { info: reader.info, capture, warnings }
  } catch (error) {
    throw readable(path, error)
  }
}

function captureOf(info: CaptureInfo, budgetBytes: number): Capture {
  const { ticksPerSecond, anchorTicks, anchorUtcMs } = info
  return new Capture({ budgetBytes, ticksPerSecond, anchorTicks, anchorUtcMs })
}

function readable(path: string, error: unknown): unknown {
  if (error instanceof PcapngError) return new CaptureFileError(`${path}: ${error.message}`, { cause: error })
  if (error instanceof RecordError) {
    return new CaptureFileError(`${path}: a packet is damaged: ${error.message}`, { cause: error })
  }
  const { code } = error as NodeJS.ErrnoException
  if (code === undefined || (error as NodeJS.ErrnoException).syscall === undefined) return error
  return new CaptureFileError(`${path}: ${READ_ERRORS[code] ?? `cannot be read (${code})`}`, { cause: error })
}

const READ_ERRORS: Record<string, string> = {
  ENOENT: 'there is no such file',
  EISDIR: 'is a folder',
  EACCES: 'no right to read it',
  EPERM: 'no right to read it',
}
