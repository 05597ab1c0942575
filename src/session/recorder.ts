// recorder.ts: writes capture files while the capture runs.
//
// The writer lays out blocks in buffers of a pool, which go to the disk as they are and come back: from a slot to the
// system a record is copied once. Memory is bounded: above a mark `append` says that no more should come until
// `onDrained`, and then the slots stay full and the driver counts what it drops: the only place where anything may be
// lost. A disk that fails ends the recording, not the session; what had been written whole remains and can be read.

import type { FileHandle } from 'node:fs/promises'
import type { CaptureInfo } from '../formats/capture-info.ts'
import { type FileLimit, NO_LIMIT, PcapngWriter } from '../formats/pcapng-writer.ts'
import type { Rotation } from '../protocol/wire.ts'
import { RecordingError, type RecordingFiles, writeFailure } from './recording-files.ts'

const BUFFER_BYTES = 1 << 20
const HIGH_WATER_BYTES = 16 << 20
const LOW_WATER_BYTES = 4 << 20
/** Of one write: large enough to be cheap, and small enough that buffers come back while others are filled. */
const WRITE_BUFFERS = 4

export interface RecorderEvents {
  /** After `append` said false: room again. */
  onDrained(): void
  /** The recording goes on in another file. */
  onNextFile(): void
  /** Something that the user should know, though the recording goes on. */
  onWarning(message: string): void
  /** The recording has ended by an error; `append` does nothing from now on. */
  onError(error: Error): void
}

type Blocks = Uint8Array<ArrayBuffer>

/** Opens the first file. Throws RecordingError. */
export async function openRecorder(
  files: RecordingFiles,
  info: CaptureInfo,
  events: RecorderEvents,
): Promise<Recorder> {
  const { path, file } = await files.next()
  return new Recorder(files, path, file, info, events)
}

export class Recorder {
  #files: RecordingFiles
  #path: string
  #file: FileHandle
  #writer: PcapngWriter
  #limit: FileLimit
  #events: RecorderEvents
  /** Number of the file that records are laid out for. */
  #series: number
  /** Buffers to be written: to the open file, and to each that follows it. */
  #queue: Blocks[][] = [[]]
  #queuedBytes = 0
  #pool: Blocks[] = []
  #fileBytes = 0
  #writtenBytes = 0
  #full = false
  #closing = false
  #failed: Error | null = null
  #writing = false
  /** Resolves when nothing is being written. */
  #written: Promise<void> = Promise.resolve()

  constructor(
    files: RecordingFiles,
    path: string,
    file: FileHandle,
    info: CaptureInfo,
    events: RecorderEvents,
  ) {
    const { rotation } = files
    this.#files = files
    this.#path = path
    this.#file = file
    this.#limit = rotation ? limitOf(rotation, info) : NO_LIMIT
    this.#events = events
    this.#writer = new PcapngWriter(info, {
      buffer: (bytes) => this.#pooled(bytes),
      full: (blocks) => {
        this.#queue[this.#queue.length - 1].push(blocks)
        this.#queuedBytes += blocks.byteLength
      },
    })
    this.#series = rotation ? 1 : 0
    this.#writer.begin(this.#series)
    this.#write()
  }

  /** Of the file that is being written. */
  get path(): string {
    return this.#path
  }

  /** Paths of the files that are there. */
  get files(): string[] {
    return this.#files.paths
  }

  /** Bytes that are on the disk, over all files. */
  get writtenBytes(): number {
    return this.#writtenBytes
  }

  /** Takes in records; false = enough for now, wait for `onDrained`. */
  append(batch: Uint8Array): boolean {
    if (this.#failed || this.#closing) return true
    let at = this.#writer.write(batch, 0, this.#limit)
    while (at < batch.byteLength) {
      this.#nextFile()
      at = this.#writer.write(batch, at, this.#limit)
    }
    this.#write()
    this.#full = this.#queuedBytes > HIGH_WATER_BYTES
    return !this.#full
  }

  /** From here on other requests are recorded; see PcapngWriter. */
  recordedOnly(words: string): void {
    if (this.#failed || this.#closing) return
    this.#writer.recordedOnly(words)
    this.#write()
  }

  /** Writes what is left and closes the file. Never throws: a failure has been told to `onError`. */
  async finish(): Promise<void> {
    if (this.#closing) return
    this.#closing = true
    if (!this.#failed) {
      this.#writer.end()
      this.#write()
    }
    await this.#written
    await this.#file.close().catch((error) => this.#fail(error))
  }

  /** Closes the file and removes it: nothing was recorded. */
  async discard(): Promise<void> {
    await this.finish()
    await this.#files.deleteNewest()
  }

  /** Ends the file that records are laid out for, and begins the next; the disk follows later. */
  #nextFile(): void {
    this.#writer.end()
    this.#writer.flush()
    this.#queue.push([])
    this.#writer.begin(++this.#series)
  }

  #pooled(bytes: number): Blocks {
    if (bytes > BUFFER_BYTES) return new Uint8Array(bytes)
    return this.#pool.pop() ?? new Uint8Array(BUFFER_BYTES)
  }

  #write(): void {
    if (this.#writing) return
    this.#writing = true
    this.#written = this.#writeAll()
  }

  async #writeAll(): Promise<void> {
    try {
      for (;;) {
        if (this.#queue[0].length > 0) {
          await this.#writeBuffers(this.#queue[0].splice(0, WRITE_BUFFERS))
        } else if (this.#queue.length > 1) {
          await this.#openNext()
          this.#queue.shift()
        } else if (!this.#writer.flush()) return
      }
    } catch (error) {
      this.#fail(error)
    } finally {
      this.#writing = false
    }
  }

  async #writeBuffers(buffers: Blocks[]): Promise<void> {
    for (let rest = buffers; rest.length > 0; ) {
      let written: number
      try {
        written = (await this.#file.writev(rest)).bytesWritten
      } catch (error) {
        // Half a block may have got through; without it the file ends cleanly.
        const torn = tornBytes(buffers, rest)
        this.#fileBytes -= torn
        this.#writtenBytes -= torn
        await this.#file.truncate(this.#fileBytes).catch(() => {})
        // One of a series that has got nothing at all would only be in the way of reading the others.
        if (this.#fileBytes === 0 && this.#files.paths.length > 1) await this.#files.deleteNewest()
        throw error
      }
      this.#fileBytes += written
      this.#writtenBytes += written
      rest = after(rest, written)
    }
    for (const { buffer, byteLength } of buffers) {
      this.#queuedBytes -= byteLength
      if (buffer.byteLength === BUFFER_BYTES) this.#pool.push(new Uint8Array(buffer))
    }
    if (this.#full && this.#queuedBytes <= LOW_WATER_BYTES) {
      this.#full = false
      this.#events.onDrained()
    }
  }

  async #openNext(): Promise<void> {
    await this.#file.close()
    const { path, file } = await this.#files.next()
    this.#path = path
    this.#file = file
    this.#fileBytes = 0
    this.#events.onNextFile()
    for (const problem of await this.#files.deleteOldest()) this.#events.onWarning(problem)
  }

  #fail(error: unknown): void {
    if (this.#failed) return
    this.#failed =
      error instanceof RecordingError
        ? new RecordingError(`recording stopped: the next file cannot be begun: ${error.message}`, error)
        : new RecordingError(`${this.#path}: recording stopped: ${writeFailure(error)}`, error)
    this.#queue = [[]]
    this.#queuedBytes = 0
    this.#pool = []
    const wasFull = this.#full
    this.#full = false
    this.#events.onError(this.#failed)
    if (wasFull) this.#events.onDrained()
  }
}

function limitOf({ sizeBytes, timeMs }: Rotation, info: CaptureInfo): FileLimit {
  return {
    bytes: sizeBytes || Number.POSITIVE_INFINITY,
    ticks: timeMs ? (timeMs / 1000) * info.ticksPerSecond : Number.POSITIVE_INFINITY,
  }
}

/** What is left of buffers of which so many bytes are done. */
function after(buffers: readonly Blocks[], bytes: number): Blocks[] {
  let left = bytes
  for (const [i, buffer] of buffers.entries()) {
    if (left < buffer.byteLength) return [buffer.subarray(left), ...buffers.slice(i + 1)]
    left -= buffer.byteLength
  }
  return []
}

/** Bytes of a block that was written in part only, where of `buffers` all but `rest` are in the file. */
function tornBytes(buffers: readonly Blocks[], rest: readonly Blocks[]): number {
  const torn = buffers[buffers.length - rest.length]
  const end = rest[0].byteOffset - torn.byteOffset
  const view = new DataView(torn.buffer, torn.byteOffset, torn.byteLength)
  let at = 0
  for (let next = 0; next <= end && next < torn.byteLength; next += view.getUint32(next + 4, true)) at = next
  return end - at
}
