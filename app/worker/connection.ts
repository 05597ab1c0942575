// connection.ts: the one WebSocket to the core, kept open: when it closes, it is opened again, soon at first.

import type { ClientMessage, ServerMessage } from '../../src/protocol/wire.ts'

const FIRST_WAIT_MS = 250
const LONGEST_WAIT_MS = 4000

export interface ConnectionEvents {
  opened(): void
  closed(attempts: number): void
  message(message: ServerMessage): void
  window(frame: ArrayBuffer): void
}

export class Connection {
  private socket: WebSocket | null = null
  private attempts = 0
  private timer: ReturnType<typeof setTimeout> | undefined

  constructor(
    private readonly url: string,
    private readonly events: ConnectionEvents,
  ) {
    this.open()
  }

  get isOpen(): boolean {
    return this.socket?.readyState === WebSocket.OPEN
  }

  send(message: ClientMessage): void {
    if (this.isOpen) this.socket!.send(JSON.stringify(message))
  }

  retryNow(): void {
    if (this.timer === undefined) return
    clearTimeout(this.timer)
    this.open()
  }

  /** Closes for good. */
  close(): void {
    clearTimeout(this.timer)
    const socket = this.socket
    this.socket = null
    socket?.close()
  }

  private open(): void {
    this.timer = undefined
    const socket = new WebSocket(this.url)
    socket.binaryType = 'arraybuffer'
    this.socket = socket
    socket.onopen = () => {
      this.attempts = 0
      this.events.opened()
    }
    socket.onmessage = (event: MessageEvent<string | ArrayBuffer>) => {
      if (typeof event.data === 'string') this.events.message(JSON.parse(event.data) as ServerMessage)
      else this.events.window(event.data)
    }
    // A refused connection and a lost one both end here; `error` says nothing more.
    socket.onclose = () => {
      if (this.socket !== socket) return
      this.attempts++
      this.events.closed(this.attempts)
      const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (this.attempts - 1))
      this.timer = setTimeout(() => this.open(), wait)
    }
  }
}
