// recorder.ts: writes a capture file while the capture runs.
//
// Memory is bounded: above a mark `append` says that no more should come until `onDrained`, and then the slots stay full
// and the driver counts what it drops: the only place where anything may be lost. A disk that fails ends the
// recording, not the session; what had been written whole remains and can be read.

import { type FileHandle, open, unlink } from 'node:fs/promises'
import type { CaptureInfo } from '../formats/capture-info.ts'
import { PcapngWriter } from '../formats/pcapng-writer.ts'

const HIGH_WATER_BYTES = 16 << 20
const LOW_WATER_BYTES = 4 << 20

export interface RecorderEvents {
  /** After `append` said false: room again. */
  onDrained(): void
  /** The recording has ended by an error; `append` does nothing from now on. */
  onError(error: Error): void
}

/** A file that cannot be recorded to, with its path and the reason in one line. */
export class RecordingError extends Error {
  override readonly name = 'RecordingError'

  /** Whether the reason is a file that is there already. */
  get exists(): boolean {
    return (this.cause as NodeJS.ErrnoException | undefined)?.code === 'EEXIST'
  }
}

export async function openRecorder(
  path: string,
  info: CaptureInfo,
  overwrite: boolean,
  events: RecorderEvents,
): Promise<Recorder> {
  let file: FileHandle
  try {
    file = await open(path, overwrite ? 'w' : 'wx')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new RecordingError(`${path}: ${OPEN_ERRORS[code ?? ''] ?? `cannot be written (${code})`}`, {
      cause: error,
    })
  }
  return new Recorder(path, file, new PcapngWriter(info), events)
}

const OPEN_ERRORS: Record<string, string> = {
  EEXIST: 'exists already and is not overwritten',
  ENOENT: 'its folder does not exist',
  ENOTDIR: 'its folder does not exist',
  EISDIR: 'is a folder',
  EACCES: 'no right to write there',
  EPERM: 'no right to write there',
  EROFS: 'the disk is read-only',
  ENOSPC: 'the disk is full',
}

export class Recorder {
  readonly path: string
  #file: FileHandle
  #writer: PcapngWriter
  #events: RecorderEvents
  #queue: Uint8Array[] = []
  #queuedBytes = 0
  #writtenBytes = 0
  #full = false
  #closing = false
  #failed: Error | null = null
  #writing: Promise<void> | null = null

  constructor(path: string, file: FileHandle, writer: PcapngWriter, events: RecorderEvents) {
    this.path = path
    this.#file = file
    this.#writer = writer
    this.#events = events
    this.#enqueue(writer.header())
  }

  /** Bytes that are in the file. */
  get writtenBytes(): number {
    return this.#writtenBytes
  }

  /** Takes in records; false = enough for now, wait for `onDrained`. */
  append(batch: Uint8Array): boolean {
    if (this.#failed || this.#closing) return true
    this.#enqueue(this.#writer.write(batch))
    this.#full = this.#queuedBytes > HIGH_WATER_BYTES
    return !this.#full
  }

  /** Writes what is left and closes the file. Never throws: a failure has been told to `onError`. */
  async finish(): Promise<void> {
    if (this.#closing) return
    this.#closing = true
    if (!this.#failed) this.#enqueue(this.#writer.statistics())
    await this.#writing
    await this.#file.close().catch((error) => this.#fail(error))
  }

  /** From here on other requests are recorded; see PcapngWriter. */
  recordedOnly(words: string): void {
    if (!this.#failed && !this.#closing) this.#enqueue(this.#writer.recordedOnly(words))
  }

  /** Closes the file and removes it: nothing was recorded. What is no ordinary file stays. */
  async discard(): Promise<void> {
    const isFile = await this.#file.stat().then(
      (status) => status.isFile(),
      () => false,
    )
    await this.finish()
    if (isFile) await unlink(this.path).catch(() => {})
  }

  #enqueue(bytes: Uint8Array): void {
    if (bytes.byteLength === 0) return
    // A copy: the writer's buffer and the slot behind it are both about to be used again.
    this.#queue.push(bytes.slice())
    this.#queuedBytes += bytes.byteLength
    this.#writing ??= this.#write()
  }

  async #write(): Promise<void> {
    try {
      while (this.#queue.length > 0) {
        const chunks = this.#queue
        this.#queue = []
        for (const chunk of chunks) {
          for (let from = 0; from < chunk.byteLength; ) {
            from += (await this.#file.write(chunk, from, chunk.byteLength - from)).bytesWritten
          }
          this.#writtenBytes += chunk.byteLength
          this.#queuedBytes -= chunk.byteLength
          if (this.#full && this.#queuedBytes <= LOW_WATER_BYTES) {
            this.#full = false
            this.#events.onDrained()
          }
        }
      }
    } catch (error) {
      this.#fail(error as NodeJS.ErrnoException)
      // Half a block may have got through; without it the file ends cleanly.
      await this.#file.truncate(this.#writtenBytes).catch(() => {})
    }
    this.#writing = null
  }

  #fail(error: NodeJS.ErrnoException): void {
    if (this.#failed) return
    const reason = error.code === 'ENOSPC' ? 'the disk is full' : (error.code ?? error.message)
    this.#failed = new RecordingError(`${this.path}: recording stopped: ${reason}`, { cause: error })
    this.#queue = []
    this.#queuedBytes = 0
    const wasFull = this.#full
    this.#full = false
    this.#events.onError(this.#failed)
    if (wasFull) this.#events.onDrained()
  }
}
