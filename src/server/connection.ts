// connection.ts: one open window of the UI: a view of the capture, kept up to date over a WebSocket.
//
// The rhythm is ours, not the capture's: twenty times a second, and only what changed; what comes after a rest is shown
// at once, so that a lone request need not wait for the next beat. A page that does not keep up (more than
// MAX_BUFFERED_BYTES under way) is simply skipped: the next frame tells it everything the missed ones would.

import type { RawData, WebSocket } from 'ws'
import type { Capture } from '../model/capture.ts'
import { FilterError } from '../model/filter/error.ts'
import type { View } from '../model/view.ts'
import type { DriverId } from '../protocol/ids.ts'
import {
  type ClientMessage,
  ROW_BYTES,
  type ServerMessage,
  type Sort,
  type Tick,
  type ViewRequest,
  WINDOW_HEADER_BYTES,
  WIRE_VERSION,
  WindowFlags,
} from '../protocol/wire.ts'
import type { Subject } from '../session/subject.ts'
import { BadMessage, parseClientMessage } from './client-message.ts'

const WINDOW_INTERVAL_MS = 50
const TICK_EVERY = 2
/** Rows of which none stays are unreadable however soon they come: they come this often. */
const REPLACED_INTERVAL_MS = 250
/** How long a view may keep the thread from taking in records. */
const TURN_MS = 2
/** How long the rows before stay while a new filter, or order, has not got to what is asked for. */
const HOLD_MS = 300
const HOLD_SORTED_MS = 2000
const MAX_BUFFERED_BYTES = 1 << 20
/** Names of files that a page keeps: those of a busy file system never end. */
const MOST_DETAILS = 20_000
/** Of the WebSocket protocol. */
const INTERNAL_ERROR = 1011
const WINDOW_FLAGS = 24
const ROW_PROCESS = 64
const ROW_DETAIL = 68

/** `report` gets what a connection broke of: that is our fault, and the page's loss alone. */
export function serveConnection(
  socket: WebSocket,
  subject: Subject,
  version: string,
  report: (error: unknown) => void,
): void {
  new Connection(socket, subject, version, report)
}

class Connection {
  #socket: WebSocket
  #subject: Subject
  #version: string
  #report: (error: unknown) => void
  #greeted = false
  #capture: Capture
  /** What is shown, and what was asked for since but takes a moment. */
  #view: View
  #next: View | null = null
  #nextSince = 0
  /** Whether the view has caught up with the capture once. */
  #settled = false
  #asked: ViewRequest = { filter: '', sort: null, first: 0, count: 0, follow: false, anchor: null }
  /** Where the anchor stood when it was last seen. */
  #anchorIndex = 0
  #viewStamp = 0
  #viewDirty = true
  #advancing = false
  #sentWindow: Uint8Array = new Uint8Array(WINDOW_HEADER_BYTES)
  #sentAtMs = 0
  #sentTick = ''
  #sentDrivers = new Set<DriverId>()
  #sentProcesses = new Set<number>()
  #sentDetails = new Set<number>()
  #driversAsked = false
  #beats = 0
  /** The last beat had nothing to do. */
  #atRest = false
  #timer: NodeJS.Timeout
  #unsubscribe: () => void

  constructor(socket: WebSocket, subject: Subject, version: string, report: (error: unknown) => void) {
    this.#report = report
    this.#socket = socket
    this.#subject = subject
    this.#version = version
    this.#capture = subject.capture
    this.#view = this.#capture.view('', null)
    const beat = this.#guarded(() => this.#beat())
    this.#timer = setInterval(beat, WINDOW_INTERVAL_MS)
    this.#unsubscribe = subject.subscribe({
      state: this.#guarded(() => this.#sendState()),
      problem: (message) => this.#send({ type: 'notice', message }),
      grown: () => this.#wake(),
    })
    socket.on('message', (data, isBinary) => this.#receive(data, isBinary))
    socket.on('error', () => socket.terminate())
    socket.on('close', () => this.#leave())
  }

  #leave(): void {
    clearInterval(this.#timer)
    this.#unsubscribe()
    this.#view.close()
    this.#next?.close()
  }

  /** For what the clock and the capture call: where it throws, this connection ends, and nothing else. */
  #guarded(action: () => void): () => void {
    return () => {
      try {
        action()
      } catch (error) {
        this.#leave()
        this.#report(error)
        this.#send({ type: 'notice', message: `This view has failed: ${messageOf(error)}` })
        this.#socket.close(INTERNAL_ERROR)
      }
    }
  }

  #receive(data: RawData, isBinary: boolean): void {
    void this.#attempt(() => {
      if (isBinary) throw new BadMessage('A message was not text.')
      return this.#handle(parseClientMessage(data.toString()))
    })
  }

  /** Nothing that a message can cause goes further than an `error` to the one who sent it. */
  async #attempt(action: () => void | Promise<void>): Promise<void> {
    try {
      await action()
    } catch (error) {
      this.#send({ type: 'error', message: messageOf(error) })
    }
  }

  #handle(message: ClientMessage): void | Promise<void> {
    if (message.type === 'hello') return this.#greet(message.wire)
    if (!this.#greeted) throw new BadMessage('The first message must be hello.')
    switch (message.type) {
      case 'listDrivers':
        this.#driversAsked = true
        return this.#sendDriverList()
      case 'addDriver':
        return this.#subject.addDriver(message.name, message.force)
      case 'removeDriver':
        return this.#subject.removeDriver(message.name)
      case 'start':
        return this.#subject.start()
      case 'stop':
        return this.#subject.stop()
      case 'clear':
        return this.#subject.clear()
      case 'configure':
        return this.#subject.configure(message.settings)
      case 'inFlight':
        return this.#send({ type: 'inFlight', list: this.#subject.inFlight() })
      case 'record':
        return this.#subject.record(message.path, message.rotation)
      case 'stopRecord':
        return this.#subject.stopRecord()
      case 'setBudget':
        return this.#subject.setBudget(message.bytes)
      case 'view':
        return this.#look(message)
      case 'detail':
        return this.#send({
          type: 'detail',
          stamp: message.stamp,
          detail: this.#subject.capture.detail(message.row),
        })
    }
  }

  #greet(wire: number): void {
    this.#send({ type: 'hello', wire: WIRE_VERSION, version: this.#version })
    if (wire !== WIRE_VERSION) {
      throw new BadMessage(
        `This page speaks version ${wire}, the core version ${WIRE_VERSION}: reload the page.`,
      )
    }
    this.#greeted = true
    this.#sendState()
    this.#sendTick()
  }

  #look(request: ViewRequest): void {
    this.#viewStamp++
    this.#viewDirty = true
    this.#anchorIndex = request.anchor?.index ?? 0
    this.#asked = { ...request, filter: this.#queryOrEarlier(request.filter, request.sort) }
    this.#advance()
    // At once if there is an answer, unless another was just given: a page that scrolls asks as fast as it is answered.
    const isDue = performance.now() >= this.#sentAtMs + WINDOW_INTERVAL_MS
    if (isDue && !this.#next && this.#view.complete && this.#keepsUp) this.#sendWindow()
  }

  /** Where the filter cannot be understood the earlier one stays in force, in the new order. Returns which one is. */
  #queryOrEarlier(filter: string, sort: Sort | null): string {
    try {
      this.#query(filter, sort)
      return filter
    } catch (error) {
      if (!(error instanceof FilterError)) throw error
      const { message, start, end } = error
      this.#send({ type: 'filterError', filter, message, start, end })
      const earlier = (this.#next ?? this.#view).filter
      this.#query(earlier, sort)
      return earlier
    }
  }

  /** Whatever was asked for before and has not come is given up. */
  #query(filter: string, sort: Sort | null): void {
    const isOf = (view: View) => view.filter === filter && JSON.stringify(view.sort) === JSON.stringify(sort)
    if (isOf(this.#next ?? this.#view)) return
    const next = isOf(this.#view) ? null : this.#capture.view(filter, sort)
    this.#next?.close()
    this.#next = next
    this.#nextSince = performance.now()
    this.#settled = false
  }

  /**
   * Lets the view catch up, a few milliseconds per turn of the event loop: without a pause at first, then for a quarter
   * of the time at most, however much changes.
   */
  #advance(): void {
    if (this.#advancing || this.#socket.readyState !== this.#socket.OPEN) return
    const view = this.#next ?? this.#view
    const end = performance.now() + TURN_MS
    const changed = view.advance(() => performance.now() < end)
    if (this.#next && this.#isReady(this.#next)) {
      this.#view.close()
      this.#view = this.#next
      this.#next = null
    }
    if (changed && view === this.#view) this.#viewDirty = true
    if (view.complete) {
      this.#settled = true
      return
    }
    this.#advancing = true
    const again = this.#guarded(() => {
      this.#advancing = false
      this.#advance()
    })
    if (this.#settled) setTimeout(again, 3 * TURN_MS)
    else setImmediate(again)
  }

  /** Whether to show a new view in place of the one before. Half an order would jump about. */
  #isReady(view: View): boolean {
    if (view.complete) return true
    const { sort, anchor, follow, first, count } = this.#asked
    const waited = performance.now() - this.#nextSince
    if (sort) return waited > HOLD_SORTED_MS
    return waited > HOLD_MS || (!anchor && !follow && view.shown >= first + count)
  }

  get #keepsUp(): boolean {
    return this.#socket.bufferedAmount <= MAX_BUFFERED_BYTES
  }

  #beat(): void {
    if (!this.#greeted || !this.#keepsUp) return
    this.#atRest = this.#view.complete && !this.#viewDirty && this.#capture === this.#subject.capture
    this.#show()
    if (this.#beats++ % TICK_EVERY === 0) this.#sendTick()
  }

  /** Not from within the batch that wakes us: what is taken in must not wait for what is shown. */
  #wake(): void {
    if (!this.#atRest) return
    this.#atRest = false
    const show = this.#guarded(() => {
      if (this.#keepsUp) this.#show()
    })
    setImmediate(show)
  }

  #show(): void {
    this.#followCapture()
    this.#advance()
    if (this.#viewDirty) this.#sendWindow()
  }

  /** A start has begun another capture: the same view of that one, and its names anew. */
  #followCapture(): void {
    if (this.#capture === this.#subject.capture) return
    this.#capture = this.#subject.capture
    this.#view.close()
    this.#next?.close()
    this.#view = this.#capture.view(this.#asked.filter, this.#asked.sort)
    this.#next = null
    this.#settled = false
    this.#viewDirty = true
    this.#sentDrivers.clear()
    this.#sentProcesses.clear()
    this.#sentDetails.clear()
  }

  #sendWindow(): void {
    if (this.#asked.count === 0) return
    this.#viewDirty = false
    const { count, follow } = this.#asked
    const { first, anchored } = this.#anchoredFirst()
    const flags =
      (this.#next === null && this.#view.complete ? WindowFlags.Complete : 0) |
      (anchored ? WindowFlags.Anchored : 0) |
      (this.#next ? WindowFlags.Earlier : 0)
    const frame = this.#view.writeWindow(follow ? Math.max(0, this.#view.shown - count) : first, count)
    const words = new Uint32Array(frame.buffer, frame.byteOffset, WINDOW_HEADER_BYTES / 4)
    words[4] = this.#viewStamp
    words[5] = this.#anchorIndex
    words[6] = flags
    if (Buffer.compare(frame, this.#sentWindow) === 0) return
    const nowMs = performance.now()
    const isAnswer = this.#viewStamp !== stampOf(this.#sentWindow)
    if (!isAnswer && nowMs < this.#sentAtMs + REPLACED_INTERVAL_MS && isReplaced(this.#sentWindow, frame)) {
      this.#viewDirty = true
      return
    }
    const sameRows = !isAnswer && Buffer.compare(rowsOf(frame), rowsOf(this.#sentWindow)) === 0
    this.#sendNames(frame)
    this.#socket.send(sameRows ? headerAlone(frame) : frame)
    this.#sentWindow = frame
    this.#sentAtMs = nowMs
  }

  /** The window goes where its anchor goes. */
  #anchoredFirst(): { first: number; anchored: boolean } {
    const { first, anchor } = this.#asked
    if (!anchor) return { first, anchored: false }
    const place = this.#view.placeOf(anchor.row)
    this.#anchorIndex = place.index ?? Math.min(this.#anchorIndex, this.#view.shown)
    return { first: Math.max(0, first + this.#anchorIndex - anchor.index), anchored: place.isIn }
  }

  /** The strings that this window needs and that have not been sent yet. */
  #sendNames(frame: Uint8Array): void {
    const { drivers, processNames, details } = this.#capture
    const newDrivers = [...drivers].filter(([id]) => !this.#sentDrivers.has(id))
    const newProcesses = new Set<number>()
    const shownDetails = new Set<number>()
    const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength)
    for (let at = WINDOW_HEADER_BYTES; at < frame.byteLength; at += ROW_BYTES) {
      const process = view.getUint32(at + ROW_PROCESS, true)
      const detail = view.getUint32(at + ROW_DETAIL, true)
      if (!this.#sentProcesses.has(process)) newProcesses.add(process)
      if (detail !== 0) shownDetails.add(detail)
    }
    const forgetDetails = this.#sentDetails.size + shownDetails.size > MOST_DETAILS
    if (forgetDetails) this.#sentDetails.clear()
    const newDetails = [...shownDetails].filter((detail) => !this.#sentDetails.has(detail))
    if (newDrivers.length + newProcesses.size + newDetails.length === 0) return
    for (const [id] of newDrivers) this.#sentDrivers.add(id)
    for (const process of newProcesses) this.#sentProcesses.add(process)
    for (const detail of newDetails) this.#sentDetails.add(detail)
    this.#send({
      type: 'names',
      names: {
        drivers: newDrivers,
        processes: [...newProcesses].map((index) => [index, processNames[index]]),
        details: newDetails.map((index) => [index, details.get(index) ?? '']),
        forgetDetails,
      },
    })
  }

  #sendTick(): void {
    const tick: Tick = {
      ...this.#subject.gauges(),
      rows: this.#capture.rowCount,
      evictedRows: this.#capture.evictedRows,
      shown: this.#view.shown,
      unpaired: this.#capture.unpaired,
      inFlight: this.#capture.inFlight,
      storeBytes: this.#capture.storeBytes,
      budgetBytes: this.#capture.budgetBytes,
    }
    const text = JSON.stringify({ type: 'tick', tick } satisfies ServerMessage)
    if (text === this.#sentTick) return
    this.#sentTick = text
    this.#socket.send(text)
  }

  #sendState(): void {
    if (!this.#greeted) return
    this.#send({ type: 'state', state: this.#subject.state() })
    if (this.#driversAsked) void this.#attempt(() => this.#sendDriverList())
  }

  #sendDriverList(): void {
    this.#send({ type: 'drivers', drivers: this.#subject.drivers() })
  }

  #send(message: ServerMessage): void {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.send(JSON.stringify(message))
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function stampOf(frame: Uint8Array): number {
  return new DataView(frame.buffer, frame.byteOffset).getUint32(16, true)
}

function rowsOf(frame: Uint8Array): Uint8Array {
  return frame.subarray(WINDOW_HEADER_BYTES)
}

/** Whether no row of one window is in a later one of the same view, as far as the first and the last can tell. */
function isReplaced(before: Uint8Array, after: Uint8Array): boolean {
  const ids = (frame: Uint8Array) => {
    const rows = new DataView(frame.buffer, frame.byteOffset + WINDOW_HEADER_BYTES)
    const last = frame.byteLength - WINDOW_HEADER_BYTES - ROW_BYTES
    return last < 0 ? null : { first: rows.getFloat64(0, true), last: rows.getFloat64(last, true) }
  }
  const old = ids(before)
  const fresh = ids(after)
  return old !== null && fresh !== null && fresh.first > old.last
}

function headerAlone(frame: Uint8Array): Uint8Array {
  const header = frame.slice(0, WINDOW_HEADER_BYTES)
  header[WINDOW_FLAGS] |= WindowFlags.SameRows
  return header
}
