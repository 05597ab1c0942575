// recorder.ts: writes capture files while the capture runs.
//
// The writer lays out blocks in buffers of a pool, which go to the disk as they are and come back: from a slot to the
// system a record is copied once. Memory is bounded: above a mark `append` says that no more should come until
// `onDrained`, and then the slots stay full and the driver counts what it drops: the only place where anything may be
// lost. A disk that fails ends the recording, not the session: what had been written whole remains and can be read, and
// what is not in a file is counted. So does a disk that does nothing at all, but only once somebody waits for the end.
//
// What is taken in goes to the system at once, so an end of this process costs what waits in the queue, at most. A crash
// of the machine costs what the system had not put on the disk; a file that is complete is put there before it is closed.

import type { FileHandle } from 'node:fs/promises'
import type { CaptureInfo } from '../formats/capture-info.ts'
import type { WritePackets } from '../formats/packets.ts'
import { Block } from '../formats/pcapng-blocks.ts'
import { type BlockSink, type FileLimit, NO_LIMIT, PcapngWriter } from '../formats/pcapng-writer.ts'
import { formatCount } from '../formats/values.ts'
import { forEachRecord } from '../protocol/records.ts'
import type { Rotation } from '../protocol/wire.ts'
import { closeFile, RecordingError, type RecordingFiles, writeFailure } from './recording-files.ts'

const BUFFER_BYTES = 1 << 20
/** So much may wait for the disk: a quarter of a second at a million records a second, as long as a disk may pause. */
const HIGH_WATER_BYTES = 64 << 20
/** Of one write: the disk is idle between two, for as long as JavaScript's thread is busy. */
const WRITE_BUFFERS = 16
/** Room for more once a write is done: a longer pause than need be would cost what the driver's rings can bridge. */
const LOW_WATER_BYTES = HIGH_WATER_BYTES - WRITE_BUFFERS * BUFFER_BYTES
/** Empty buffers that are kept. */
const POOLED_BUFFERS = 32
/** How long somebody who wants to end a recording waits for a disk that does nothing at all. */
const PATIENCE_MS = 20_000
/**
 * As many times as long while a file is closed: all that the system has kept back of it goes to the disk then, and there
 * is no answer before the last of it. It may keep back 12 GB where there is much memory; a slow disk takes 20 MB a second.
 */
const CLOSING_PATIENCES = 30
/** The longest that anything of a recording's clean end waits. */
export const CLOSING_PATIENCE_MS = CLOSING_PATIENCES * PATIENCE_MS
/** How often it is looked whether the file is still there. */
const CHECK_INTERVAL_MS = 1000

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

/** A buffer to be written, and how many of the records that were offered lie in it. */
interface Filled {
  blocks: Blocks
  records: number
}

/** What became of the records that were offered; the rest of them waits for the disk. */
export interface RecordCounts {
  offered: number
  /** In the files, or in those that were deleted since because only so many are kept. */
  written: number
  /** Lost by an error, which has ended the recording: what waited then, and what was offered since. */
  discarded: number
}

/** Opens the first file; `native` does what writePackets does. Throws RecordingError. */
export async function openRecorder(
  files: RecordingFiles,
  info: CaptureInfo,
  native: WritePackets | undefined,
  events: RecorderEvents,
): Promise<Recorder> {
  const { path, file } = await files.next()
  return new Recorder(files, path, file, info, native, events)
}

export class Recorder {
  #files: RecordingFiles
  #path: string
  #file: FileHandle
  #writer: PcapngWriter
  #limit: FileLimit
  #events: RecorderEvents
  #patienceMs: number
  /** Number of the file that records are laid out for. */
  #series: number
  /** Buffers to be written: to the open file, and to each that follows it. */
  #queue: Filled[][] = [[]]
  #queuedBytes = 0
  #pool: Blocks[] = []
  /** Records in buffers that the writer has filled. */
  #laidOut = 0
  // What is on the disk: in the open file, and in all.
  #fileBytes = 0
  #fileRecords = 0
  #writtenBytes = 0
  #writtenRecords = 0
  /** Records offered after the failure. */
  #late = 0
  #full = false
  #failed: RecordingError | null = null
  #writing = false
  /** Resolves when nothing is being written. */
  #written: Promise<void> = Promise.resolve()
  /** Resolves when the file before is closed, which takes the disk a moment or, if it is slow, minutes. */
  #closed: Promise<void> = Promise.resolve()
  #closing = false
  #finished: Promise<void> | null = null
  /** What the disk has done so far, in answers; looked at by the timer. */
  #answers = 0
  #timer: NodeJS.Timeout | undefined
  #givenUp: Promise<void>
  #giveUp!: () => void
  #checkAtMs = 0

  constructor(
    files: RecordingFiles,
    path: string,
    file: FileHandle,
    info: CaptureInfo,
    native: WritePackets | undefined,
    events: RecorderEvents,
    patienceMs = PATIENCE_MS,
  ) {
    const { rotation } = files
    this.#files = files
    this.#path = path
    this.#file = file
    this.#limit = rotation ? limitOf(rotation, info) : NO_LIMIT
    this.#events = events
    this.#patienceMs = patienceMs
    this.#givenUp = new Promise((resolve) => {
      this.#giveUp = resolve
    })
    const sink: BlockSink = {
      buffer: (bytes) => this.#pooled(bytes),
      full: (blocks) => {
        const records = this.#writer.records - this.#laidOut
        this.#laidOut += records
        this.#queue[this.#queue.length - 1].push({ blocks, records })
        this.#queuedBytes += blocks.byteLength
      },
    }
    this.#writer = new PcapngWriter(info, sink, native)
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

  get counts(): RecordCounts {
    const offered = this.#writer.records + this.#late
    const written = this.#writtenRecords
    return { offered, written, discarded: this.#failed ? offered - written : 0 }
  }

  /** Takes in records; false = enough for now, wait for `onDrained`. After a failure it only counts them. */
  append(batch: Uint8Array): boolean {
    if (this.#failed) {
      forEachRecord(batch, () => this.#late++)
      return true
    }
    if (this.#finished) return true
    let at = this.#writer.write(batch, 0, this.#limit)
    while (at < batch.byteLength) {
      this.#nextFile()
      at = this.#writer.write(batch, at, this.#limit)
    }
    this.#write()
    this.#full ||= this.#queuedBytes > HIGH_WATER_BYTES
    return !this.#full
  }

  /** From here on other requests are recorded; see PcapngWriter. */
  recordedOnly(words: string): void {
    if (this.#failed || this.#finished) return
    this.#writer.recordedOnly(words)
    this.#write()
  }

  /** Somebody waits: from now on a disk that does not answer for some time ends the recording by an error. */
  hurry(): void {
    let seen = this.#answers
    let silences = 0
    this.#timer ??= setInterval(() => {
      const isSilent = seen === this.#answers && (this.#writing || this.#finished !== null)
      seen = this.#answers
      silences = isSilent ? silences + 1 : 0
      if (silences < (this.#closing ? CLOSING_PATIENCES : 1)) return
      const seconds = Math.round((silences * this.#patienceMs) / 1000)
      this.#fail(new RecordingError(`the disk has not answered for ${seconds} s`, null))
      this.#giveUp()
    }, this.#patienceMs)
  }

  /** Writes what is left and closes the file. Never throws: a failure has been told to `onError`. */
  finish(): Promise<void> {
    this.#finished ??= this.#finish()
    return this.#finished
  }

  /** Closes the file and removes it: nothing was recorded. */
  async discard(): Promise<void> {
    await this.finish()
    await this.#files.deleteNewest()
  }

  async #finish(): Promise<void> {
    if (!this.#failed) {
      this.#writer.end()
      this.#write()
    }
    this.hurry()
    await Promise.race([this.#close(), this.#givenUp])
    clearInterval(this.#timer)
    this.#pool = []
  }

  async #close(): Promise<void> {
    await this.#written
    try {
      if (!this.#failed) await this.#checkIsThere()
    } catch (error) {
      this.#fail(error)
    }
    await this.#closed
    await this.#closeFile(this.#file, this.#path)
  }

  async #closeFile(file: FileHandle, path: string): Promise<void> {
    this.#closing = true
    try {
      await closeFile(file)
      this.#answers++
    } catch (error) {
      this.#fail(error, path)
    } finally {
      this.#closing = false
    }
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
      while (!this.#failed) {
        if (this.#queue[0].length > 0) {
          await this.#writeBuffers(this.#queue[0].splice(0, WRITE_BUFFERS))
          if (performance.now() >= this.#checkAtMs) await this.#checkIsThere()
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

  async #writeBuffers(filled: Filled[]): Promise<void> {
    const buffers = filled.map(({ blocks }) => blocks)
    let done = 0
    for (let rest = buffers; rest.length > 0; rest = after(buffers, done)) {
      let bytes: number
      try {
        bytes = (await this.#file.writev(rest)).bytesWritten
      } catch (error) {
        if (!this.#failed) await this.#cut(filled, done)
        throw error
      }
      if (this.#failed) return // Too late: it was given up meanwhile.
      done += bytes
      this.#fileBytes += bytes
      this.#writtenBytes += bytes
      this.#answers++
    }
    for (const { blocks, records } of filled) {
      this.#fileRecords += records
      this.#writtenRecords += records
      this.#queuedBytes -= blocks.byteLength
      const isPoolable = blocks.buffer.byteLength === BUFFER_BYTES && this.#pool.length < POOLED_BUFFERS
      if (isPoolable) this.#pool.push(new Uint8Array(blocks.buffer))
    }
    if (this.#full && this.#queuedBytes <= LOW_WATER_BYTES) {
      this.#full = false
      this.#events.onDrained()
    }
  }

  /** A write has failed after so many bytes of these buffers: the file shall end with the last whole block of them. */
  async #cut(filled: readonly Filled[], done: number): Promise<void> {
    let left = done
    for (const { blocks, records } of filled) {
      const { bytes, packets } = wholeBlocks(blocks, left)
      // A file of a series begins with records that were offered before; they are counted there.
      const repeated = wholeBlocks(blocks, blocks.byteLength).packets - records
      this.#writtenRecords += Math.max(0, packets - repeated)
      if (left < blocks.byteLength) {
        this.#fileBytes -= left - bytes
        this.#writtenBytes -= left - bytes
        break
      }
      left -= blocks.byteLength
    }
    await this.#file.truncate(this.#fileBytes).catch(() => {})
    // One of a series that has got nothing at all would only be in the way of reading the others.
    if (this.#fileBytes === 0 && this.#files.paths.length > 1) await this.#files.deleteNewest()
  }

  async #checkIsThere(): Promise<void> {
    this.#checkAtMs = performance.now() + CHECK_INTERVAL_MS
    try {
      await this.#files.checkNewest(this.#file)
    } catch (error) {
      this.#writtenRecords -= this.#fileRecords
      this.#writtenBytes -= this.#fileBytes
      throw error
    }
  }

  async #openNext(): Promise<void> {
    await this.#checkIsThere()
    // While the next one is written; but no more than one waits for its disk.
    await this.#closed
    if (this.#failed) return
    this.#closed = this.#closeFile(this.#file, this.#path)
    try {
      const { path, file } = await this.#files.next()
      this.#path = path
      this.#file = file
    } catch (error) {
      throw new RecordingError(`the next file cannot be begun: ${(error as Error).message}`, error)
    }
    this.#answers++
    this.#fileBytes = 0
    this.#fileRecords = 0
    this.#events.onNextFile()
    for (const problem of await this.#files.deleteOldest()) this.#events.onWarning(problem)
  }

  #fail(error: unknown, path = this.#path): void {
    if (this.#failed) return
    const reason = error instanceof RecordingError ? error.message : writeFailure(error)
    const [offered, written] = [this.#writer.records, this.#writtenRecords].map(formatCount)
    this.#failed = new RecordingError(
      `${path}: recording stopped: ${reason}. Of ${offered} records so far ${written} can be read`,
      error,
    )
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

/** The blocks that lie whole within the first so many bytes, and how many of them are packets. */
function wholeBlocks(blocks: Blocks, end: number): { bytes: number; packets: number } {
  const view = new DataView(blocks.buffer, blocks.byteOffset, blocks.byteLength)
  let bytes = 0
  let packets = 0
  while (bytes < Math.min(end, blocks.byteLength)) {
    const next = bytes + view.getUint32(bytes + 4, true)
    if (next > end) break
    if (view.getUint32(bytes, true) === Block.EnhancedPacket) packets++
    bytes = next
  }
  return { bytes, packets }
}
