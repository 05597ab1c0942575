// capture-file.ts: reads capture files into a capture, piece by piece.
//
// Each file is complete in itself, so damage costs what lies behind it in its own file; that is told, and the next one is
// read. Only where nothing at all can be read is the reading refused.

import { createReadStream } from 'node:fs'
import type { CaptureInfo } from '../formats/capture-info.ts'
import { addRecordedOnly, encodeInfo, joinRecordedOnly } from '../formats/pcapng-blocks.ts'
import { ForeignFileError, PcapngError, PcapngReader } from '../formats/pcapng-reader.ts'
import { Capture } from '../model/capture.ts'
import type { NativeStore } from '../model/native-store.ts'
import { RecordError } from '../protocol/records.ts'

/** A file that cannot be read, with its path and the reason in one line. */
export class CaptureFileError extends Error {
  override readonly name = 'CaptureFileError'
}

export interface ReadCapture {
  /** Of the first file; but `recordedOnly` is what was recorded from the first to the last, step by step. */
  info: CaptureInfo
  /** What should be known about the files beside their content: damage, a torn tail, a gap. */
  warnings: string[]
}

export interface LoadOptions {
  budgetBytes: number
  native?: NativeStore | undefined
  /** Called after each piece, with the capture as it is by then; false = that is enough of the file. */
  onProgress?: (capture: Capture) => boolean
}

export function loadCaptureFile(
  path: string,
  options: LoadOptions,
): Promise<ReadCapture & { capture: Capture }> {
  return loadCaptureFiles([path], options)
}

/**
 * Reads whole files as one capture: those of a recording that was spread over several, in their order. Rows beyond
 * the budget leave, oldest first, as in a live capture.
 */
export async function loadCaptureFiles(
  paths: readonly string[],
  options: LoadOptions,
): Promise<ReadCapture & { capture: Capture }> {
  const loading = new Loading(options)
  for (const path of paths) {
    try {
      if (!(await loading.read(path))) break
    } catch (error) {
      throw readable(path, error)
    }
  }
  return loading.finish()
}

class Loading {
  #options: LoadOptions
  #capture: Capture | null = null
  /** Of the first file; and of the one that was read last. */
  #info: CaptureInfo | null = null
  #last: { path: string; info: CaptureInfo } | null = null
  /** As PcapngReader has it, of all files. */
  #recordedOnly: string[] = []
  #warnings: string[] = []
  /** Of the first file of which nothing could be read. */
  #refusal: CaptureFileError | null = null

  constructor(options: LoadOptions) {
    this.#options = options
  }

  /** Reads what is whole of a file. Returns whether more is wanted. */
  async read(path: string): Promise<boolean> {
    const reader = new PcapngReader()
    let capture: Capture | null = null
    let more = true
    try {
      for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
        const records = reader.push(chunk as Uint8Array)
        if (reader.info) capture ??= this.#begin(path, reader.info)
        if (!capture || records.byteLength === 0) continue
        capture.ingest(records)
        more = this.#options.onProgress?.(capture) !== false
        if (!more) break
      }
      const tornBytes = more ? reader.end().tornBytes : 0
      if (tornBytes > 0) {
        this.#warnings.push(`${path}: the last block is cut off (${tornBytes} bytes); the rest was read`)
      }
    } catch (error) {
      if (!isDamage(error)) throw error
      const message = messageOf(path, error)
      if (error instanceof ForeignFileError) throw new CaptureFileError(message, { cause: error })
      if (!capture) {
        this.#refusal ??= new CaptureFileError(message, { cause: error })
        this.#warnings.push(`${message}; nothing of it was read`)
        return more
      }
      // What was read stays; behind the damage nothing is to be trusted.
      this.#warnings.push(`${message}; what comes before it was read, and nothing after it in this file`)
    }
    for (const words of reader.recordedOnly) addRecordedOnly(this.#recordedOnly, words)
    return more
  }

  finish(): ReadCapture & { capture: Capture } {
    if (!this.#capture || !this.#info) {
      throw this.#refusal ?? new CaptureFileError('there is no capture file to read')
    }
    this.#capture.finish()
    const info = { ...this.#info, recordedOnly: joinRecordedOnly(this.#recordedOnly) }
    return { info, capture: this.#capture, warnings: this.#warnings }
  }

  #begin(path: string, info: CaptureInfo): Capture {
    const before = this.#last
    this.#last = { path, info }
    if (before && encodeInfo(before.info) !== encodeInfo(info)) {
      throw new CaptureFileError(`${path}: is of another recording than ${before.path}: open it alone`)
    }
    if (before && info.series <= before.info.series) {
      throw new CaptureFileError(`${path}: comes before ${before.path}: name the files in their order`)
    }
    if (before && info.series > before.info.series + 1) {
      this.#warnings.push(
        `${path}: it does not follow ${before.path}: what was recorded between them is missing`,
      )
    }
    this.#info ??= info
    this.#capture ??= captureOf(info, this.#options)
    return this.#capture
  }
}

function captureOf(info: CaptureInfo, { budgetBytes, native }: LoadOptions): Capture {
  const { ticksPerSecond, anchorTicks, anchorUtcMs } = info
  return new Capture({ budgetBytes, ticksPerSecond, anchorTicks, anchorUtcMs, native })
}

type Damage = PcapngError | RecordError

function isDamage(error: unknown): error is Damage {
  return error instanceof PcapngError || error instanceof RecordError
}

function messageOf(path: string, error: Damage): string {
  return `${path}: ${error instanceof RecordError ? 'a packet is damaged: ' : ''}${error.message}`
}

function readable(path: string, error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException
  if (code === undefined || (error as NodeJS.ErrnoException).syscall === undefined) return error
  return new CaptureFileError(`${path}: ${READ_ERRORS[code] ?? `cannot be read (${code})`}`, { cause: error })
}

const READ_ERRORS: Record<string, string> = {
  ENOENT: 'there is no such file',
  EISDIR: 'is a folder: name the files in it',
  EACCES: 'no right to read it',
  EPERM: 'no right to read it',
}
