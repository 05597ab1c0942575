// recording-files.ts: the files of a recording on the disk: opened in turn, and the oldest deleted where only so many
// are to be kept.
//
// Only what this recording has made itself is ever deleted: a file of that name that somebody has put there meanwhile
// is another file, and stays.

import { type FileHandle, open, stat, unlink } from 'node:fs/promises'
import { format, parse } from 'node:path'
import type { Rotation } from '../protocol/wire.ts'

/** A file that cannot be recorded to, with its path and the reason in one line. */
export class RecordingError extends Error {
  override readonly name = 'RecordingError'

  constructor(
    message: string,
    cause: unknown,
    /** Whether the reason is a file that is there already. */
    readonly exists = false,
  ) {
    super(message, { cause })
  }
}

interface OwnFile {
  path: string
  /** Which file it is, whatever it is called. */
  device: bigint
  inode: bigint
  /** Whether its deletion has failed, and was told. */
  stuck: boolean
}

export class RecordingFiles {
  /** null = all goes into one file. */
  readonly rotation: Rotation | null
  #path: string
  #overwrite: boolean
  #now: () => Date
  #number = 0
  #own: OwnFile[] = []

  constructor(path: string, rotation: Rotation | null, overwrite: boolean, now = () => new Date()) {
    this.#path = path
    this.rotation = rotation
    this.#overwrite = overwrite
    this.#now = now
  }

  /** Paths of those that are still there. */
  get paths(): string[] {
    return this.#own.map(({ path }) => path)
  }

  /** Opens the next file. Throws RecordingError. */
  async next(): Promise<{ path: string; file: FileHandle }> {
    const number = this.#number + 1
    const path = this.rotation ? numberedPath(this.#path, number, this.#now()) : this.#path
    let file: FileHandle
    try {
      file = await open(path, this.#overwrite ? 'w' : 'wx')
    } catch (error) {
      // For a folder the system says only that the name is taken.
      const code = (await isFolder(path)) ? 'EISDIR' : errorCode(error)
      const reason = OPEN_ERRORS[code] ?? `cannot be written (${code})`
      throw new RecordingError(`${path}: ${reason}`, error, code === 'EEXIST')
    }
    const { dev: device, ino: inode } = await file.stat({ bigint: true })
    this.#own.push({ path, device, inode, stuck: false })
    this.#number = number
    return { path, file }
  }

  /** Deletes the one that was opened last: there is nothing in it. */
  async deleteNewest(): Promise<void> {
    const newest = this.#own.pop()
    if (newest) await deleteOwn(newest)
  }

  /**
   * Throws RecordingError if the file that was opened last has been deleted: what is written to it goes with it. One
   * that was moved is still a file.
   */
  async checkNewest(file: FileHandle): Promise<void> {
    const newest = this.#own.at(-1)
    if (!newest || (await file.stat()).nlink > 0) return
    // Not every file system counts links.
    const found = await stat(newest.path, { bigint: true }).catch(() => null)
    if (found?.dev === newest.device && found.ino === newest.inode) return
    this.#own.pop()
    throw new RecordingError('somebody has deleted the file', null)
  }

  /** Deletes the oldest beyond those to be kept; returns what to tell of those that cannot be. Told once each. */
  async deleteOldest(): Promise<string[]> {
    const keep = this.rotation?.keep ?? 0
    if (keep === 0) return []
    const problems: string[] = []
    for (const old of this.#own.slice(0, Math.max(0, this.#own.length - keep))) {
      const problem = await deleteOwn(old)
      if (problem === null) this.#own.splice(this.#own.indexOf(old), 1)
      else if (!old.stuck) problems.push(problem)
      old.stuck = problem !== null
    }
    return problems
  }
}

/** Closes a file that is complete: from then on not even a crash of the machine can take it. */
export async function closeFile(file: FileHandle): Promise<void> {
  try {
    if ((await file.stat()).isFile()) await file.datasync()
  } finally {
    await file.close()
  }
}

/**
 * `afd.pcapng` → `afd_00000002_20261122T213000Z.pcapng`, which sorts by name as by time: eight digits last for three
 * years of a file a second.
 */
function numberedPath(path: string, number: number, now: Date): string {
  const { dir, root, name, ext } = parse(path)
  const time = now.toISOString().replace(/[-:]|\.\d+/g, '')
  return format({ dir, root, name: `${name}_${String(number).padStart(8, '0')}_${time}`, ext })
}

/** null when it is gone, or was no ordinary file; else what the user should know. */
async function deleteOwn({ path, device, inode }: OwnFile): Promise<string | null> {
  try {
    const found = await stat(path, { bigint: true })
    if (found.isFile() && found.dev === device && found.ino === inode) await unlink(path)
    return null
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return null
    const reason = DELETE_ERRORS[code] ?? code
    return `${path}: this oldest file of the recording cannot be deleted: ${reason}; it is tried again at each next file`
  }
}

function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (status) => status.isDirectory(),
    () => false,
  )
}

/** What went wrong, and what to do, as a person would say it, where a write failed. */
export function writeFailure(error: unknown): string {
  const code = errorCode(error)
  return WRITE_ERRORS[code] ?? `it cannot be written to (${code})`
}

function errorCode(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  return code ?? message
}

const FULL = 'the disk is full: make room, or choose another one'
const NO_RIGHT = 'no right to write there: choose another folder'
const READ_ONLY = 'the disk is read-only: choose another folder'
const NO_FOLDER = 'its folder does not exist: create it first'
const BROKEN = 'the disk reports an error: it may be failing; choose another one'
const GONE = 'the disk is gone: connect it again, or choose another one'

const OPEN_ERRORS: Record<string, string> = {
  EEXIST: 'exists already and is not overwritten',
  ENOENT: NO_FOLDER,
  ENOTDIR: NO_FOLDER,
  EISDIR: 'is a folder: name a file in it',
  EACCES: NO_RIGHT,
  EPERM: NO_RIGHT,
  EROFS: READ_ONLY,
  ENOSPC: FULL,
  EDQUOT: 'your share of the disk is used up: make room, or choose another one',
  EIO: BROKEN,
  ENXIO: GONE,
  ENODEV: GONE,
  EBUSY: 'another program has it open: close that one, or choose another name',
  EMFILE: 'too many files are open: close some programs',
  ENFILE: 'too many files are open: close some programs',
  ENAMETOOLONG: 'the name is too long',
}

const KEEP_NEWEST = 'to keep the newest only, rotate'

const WRITE_ERRORS: Record<string, string> = {
  ENOSPC: `${FULL} (${KEEP_NEWEST})`,
  EDQUOT: `your share of the disk is used up: make room, or choose another one (${KEEP_NEWEST})`,
  EFBIG: 'the file may not become larger: rotate, to go on in another one',
  EIO: BROKEN,
  EACCES: NO_RIGHT,
  EPERM: NO_RIGHT,
  EROFS: READ_ONLY,
  ENXIO: GONE,
  ENODEV: GONE,
  ESTALE: GONE,
  ENOTCONN: GONE,
  ETIMEDOUT: GONE,
  EPIPE: 'nobody reads it any more',
}

const DELETE_ERRORS: Record<string, string> = {
  EACCES: 'no right to',
  EPERM: 'no right to',
  EROFS: 'the disk is read-only',
  EBUSY: 'another program has it open',
}
