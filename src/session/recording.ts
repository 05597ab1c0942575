// recording.ts: a session's recording, of which there is one at a time: begun, fed and ended beside the capture, whose
// own life does not depend on it; and, when it has ended, what became of it.

import type { CaptureInfo } from '../formats/capture-info.ts'
import type { WritePackets } from '../formats/packets.ts'
import { openRecorder, type RecordCounts, type Recorder } from './recorder.ts'
import type { RecordingFiles } from './recording-files.ts'
import { SessionError } from './session-error.ts'

export interface RecordingEvents {
  /** `path`, `files` or `failure` answer differently now. */
  changed(): void
  problem(message: string): void
  /** After `append` said false: room again. */
  room(): void
}

const NONE: RecordCounts = { offered: 0, written: 0, discarded: 0 }

export class Recording {
  #native: WritePackets | undefined
  #events: RecordingEvents
  /** Of the last recording; it is fed for as long as the capture that it failed in. */
  #recorder: Recorder | null = null
  #isFed = false
  /** Whether its file is open for more. */
  #isOn = false
  #isOpening = false
  #isAbandoned = false
  /** Which requests are recorded, in words; its file may not have been told yet while it is being opened. */
  #recordedOnly = ''
  #ended: Promise<void> = Promise.resolve()
  #failure = ''

  /** `native` does what writePackets does. */
  constructor(native: WritePackets | undefined, events: RecordingEvents) {
    this.#native = native
    this.#events = events
  }

  /** Of the file being written, or ''. */
  get path(): string {
    return this.#isOn ? (this.#recorder?.path ?? '') : ''
  }

  /** Why the last one has ended by itself, or ''. */
  get failure(): string {
    return this.#failure
  }

  /** Of the last recording: bytes written, the files of it that are there, and what became of the records. */
  get bytes(): number {
    return this.#recorder?.writtenBytes ?? 0
  }

  get files(): string[] {
    return this.#recorder?.files ?? []
  }

  get counts(): RecordCounts {
    return this.#recorder?.counts ?? NONE
  }

  /** Throws RecordingError where the file cannot be made, and SessionError where it is not the time for it. */
  async begin(files: RecordingFiles, info: CaptureInfo): Promise<void> {
    if (this.#isOn) throw new SessionError(`A recording is running already, to ${this.path}.`)
    if (this.#isOpening) throw new SessionError('A recording is being begun already.')
    this.#isOpening = true
    this.#isAbandoned = false
    this.#recordedOnly = info.recordedOnly
    try {
      await this.#ended
      const recorder = await openRecorder(files, info, this.#native, {
        onDrained: () => this.#events.room(),
        onNextFile: () => this.#events.changed(),
        onWarning: (message) => this.#events.problem(message),
        onError: (error) => this.#fail(error),
      })
      if (this.#isAbandoned) {
        await recorder.discard()
        throw new SessionError('The capture has ended meanwhile; try again.')
      }
      this.#recorder = recorder
      this.#isOn = true
      this.#isFed = true
      this.#failure = ''
      if (this.#recordedOnly !== info.recordedOnly) recorder.recordedOnly(this.#recordedOnly)
    } finally {
      this.#isOpening = false
    }
    this.#events.changed()
  }

  /** False = enough for now, wait for `room`. */
  append(batch: Uint8Array): boolean {
    return !this.#isFed || this.#recorder === null || this.#recorder.append(batch)
  }

  recordedOnly(words: string): void {
    this.#recordedOnly = words
    if (this.#isOn) this.#recorder?.recordedOnly(words)
  }

  /** The end is waited for; a disk that does not answer, only as long as the recorder's patience lasts. */
  hurry(): void {
    this.#isAbandoned = true
    if (this.#isOn) this.#recorder?.hurry()
  }

  /** Resolves when the file is closed, for everyone who asks. */
  end(): Promise<void> {
    this.#isFed = false
    this.#isAbandoned = true
    this.#close((recorder) => recorder.finish())
    return this.#ended
  }

  /** As `end`, for one that has got nothing: nothing of it stays. */
  discard(): Promise<void> {
    this.#isFed = false
    this.#isAbandoned = true
    this.#close((recorder) => recorder.discard())
    return this.#ended
  }

  /** A failed one is fed further: it counts what it lacks. */
  #fail(error: Error): void {
    this.#failure = error.message
    this.#events.problem(error.message)
    this.#close((recorder) => recorder.finish())
  }

  #close(how: (recorder: Recorder) => Promise<void>): void {
    if (!this.#isOn || this.#recorder === null) return
    this.#isOn = false
    this.#ended = how(this.#recorder).then(() => this.#events.changed())
    this.#events.room()
    this.#events.changed()
  }
}
