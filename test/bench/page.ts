// page.ts: a window of the UI, as the server sees it: it asks, and counts what comes.

import { WebSocket } from 'ws'
import {
  type ClientMessage,
  type ServerMessage,
  type ViewRequest,
  WINDOW_MAGIC,
  WIRE_VERSION,
} from '../../src/protocol/wire.ts'
import { type AppServer, SOCKET_PATH, startAppServer } from '../../src/server/server.ts'
import type { Subject } from '../../src/session/subject.ts'

/** The server that a page visits, once. */
export class Site {
  readonly #server: AppServer
  readonly #cookie: string

  private constructor(server: AppServer, cookie: string) {
    this.#server = server
    this.#cookie = cookie
  }

  static async of(subject: Subject): Promise<Site> {
    const server = await startAppServer({ subject, assets: new Map(), version: 'bench', port: 0 })
    const visit = await fetch(server.url, { redirect: 'manual' })
    return new Site(server, (visit.headers.get('set-cookie') ?? '').split(';')[0])
  }

  async open(): Promise<Page> {
    const page = new Page(new URL(this.#server.url).origin, this.#cookie)
    await page.open()
    return page
  }

  close(): Promise<void> {
    return this.#server.close()
  }
}

export class Page {
  frames = 0
  errors: string[] = []
  /** Called for each message but windows. */
  onMessage: (message: ServerMessage) => void = () => {}
  readonly #socket: WebSocket
  readonly #opened: Promise<void>

  constructor(origin: string, cookie: string) {
    this.#socket = new WebSocket(origin.replace('http', 'ws') + SOCKET_PATH, { headers: { cookie, origin } })
    this.#opened = new Promise((resolve, reject) => this.#socket.once('open', resolve).once('error', reject))
    this.#socket.on('message', (data: Buffer, isBinary) => this.#take(data, isBinary))
  }

  async open(): Promise<void> {
    await this.#opened
    this.send({ type: 'hello', wire: WIRE_VERSION })
  }

  send(message: ClientMessage): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message))
  }

  look(request: Partial<ViewRequest>): void {
    const everything = { filter: '', sort: null, first: 0, count: 60, follow: false, anchor: null }
    this.send({ type: 'view', ...everything, ...request })
  }

  stopReading(): void {
    this.#socket.pause()
  }
  readOn(): void {
    this.#socket.resume()
  }
  vanish(): void {
    this.#socket.terminate()
  }

  #take(data: Buffer, isBinary: boolean): void {
    if (isBinary) {
      if (data.readUInt32LE(0) !== WINDOW_MAGIC) this.errors.push('a frame is no window')
      this.frames++
      return
    }
    const message = JSON.parse(data.toString()) as ServerMessage
    if (message.type === 'error' || message.type === 'filterError') this.errors.push(message.message)
    this.onMessage(message)
  }
}
