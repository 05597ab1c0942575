// core-client.ts: the page's side of the wire protocol: state, names, ticks and windows in, views and commands out.
//
// It runs in the worker, so that JSON, charts and windows never cost the page a frame.

import type { RowId } from '../../src/protocol/ids.ts'
import {
  type Payload,
  type RowDetail,
  type ServerMessage,
  type Tick,
  WIRE_VERSION,
} from '../../src/protocol/wire.ts'
import { windowStamp } from '../rows/row-window.ts'
import { Connection } from './connection.ts'
import type { Command, Detail, Frame, PayloadBytes, View, WorkerApi } from './frames.ts'
import { Metrics } from './metrics.ts'

type Emit = (frame: Frame, transfer?: ArrayBuffer[]) => void

export class CoreClient implements Omit<WorkerApi, 'connect'> {
  private readonly connection: Connection
  private metrics: Metrics | null = null
  private ticksPerSecond = 0
  private running = false
  private view: View | null = null
  /** What the core was asked for last, and whether it has yet to answer. */
  private sent: View | null = null
  private waiting = false
  /** `view` messages sent on this connection, as the core counts them. */
  private viewStamp = 0
  private detailStamp = 0
  private detailRow = 0 as RowId

  constructor(
    url: string,
    private readonly emit: Emit,
  ) {
    this.emit({ type: 'connection', state: { kind: 'connecting' } })
    this.connection = new Connection(url, {
      opened: () => this.connection.send({ type: 'hello', wire: WIRE_VERSION }),
      closed: (attempts) => this.emit({ type: 'connection', state: { kind: 'lost', attempts } }),
      message: (message) => this.take(message),
      window: (frame) => this.takeWindow(frame),
    })
  }

  reconnect(): void {
    this.connection.retryNow()
  }

  close(): void {
    this.connection.close()
  }

  command(command: Command): void {
    this.connection.send(command)
  }

  /**
   * Asks for another window as soon as the last one is here: however fast a person scrolls, the core is asked no faster
   * than it answers. Another filter or order does not wait.
   */
  look(view: View): void {
    this.view = view
    if (!this.waiting || this.sent?.query !== view.query) this.sendView()
  }

  detail(row: RowId): void {
    this.detailRow = row
    this.connection.send({ type: 'detail', row, stamp: ++this.detailStamp })
  }

  private sendView(): void {
    if (!this.view || !this.connection.isOpen) return
    this.sent = this.view
    this.waiting = true
    this.viewStamp++
    const { query: _, ...request } = this.view
    this.connection.send({ type: 'view', ...request })
  }

  private take(message: ServerMessage): void {
    switch (message.type) {
      case 'hello':
        this.greet(message.wire, message.version)
        return
      case 'state':
        this.ticksPerSecond = message.state.ticksPerSecond
        // A new capture counts anew, and what comes next is the first that it has counted.
        if (message.state.running && !this.running) this.metrics = null
        this.running = message.state.running
        this.emit(message)
        return
      case 'tick':
        this.takeTick(message.tick)
        return
      case 'detail': {
        if (message.stamp !== this.detailStamp) return
        const detail = message.detail && decodeDetail(message.detail)
        const transfer = detail ? [detail.input.bytes.buffer, detail.output.bytes.buffer] : []
        this.emit({ type: 'detail', row: this.detailRow, detail }, transfer as ArrayBuffer[])
        return
      }
      case 'drivers':
      case 'names':
      case 'inFlight':
      case 'filterError':
      case 'error':
      case 'notice':
        this.emit(message)
        return
    }
  }

  private greet(wire: number, version: string): void {
    if (wire !== WIRE_VERSION) {
      this.connection.close()
      this.emit({ type: 'connection', state: { kind: 'mismatch', coreVersion: version } })
      return
    }
    this.metrics = null
    this.viewStamp = 0
    this.emit({ type: 'connection', state: { kind: 'open', coreVersion: version } })
    // It may be another core, with other rows: none of them is an anchor.
    if (this.view) this.view = { ...this.view, anchor: null }
    this.sendView()
  }

  private takeTick(tick: Tick): void {
    const { functions, latency, ...status } = tick
    this.emit({ type: 'status', status })
    if (this.ticksPerSecond === 0) return
    this.metrics ??= new Metrics(this.ticksPerSecond)
    this.metrics.take(tick)
    const picture = this.metrics.picture()
    if (picture) {
      const transfer = [picture.heat.buffer, ...picture.series.map((series) => series.rates.buffer)]
      this.emit(picture, transfer as ArrayBuffer[])
    }
  }

  private takeWindow(buffer: ArrayBuffer): void {
    // What was sent before the core heard the newest question is nothing to show any more.
    if (this.sent === null || windowStamp(buffer) !== this.viewStamp) return
    this.waiting = false
    this.emit({ type: 'rows', buffer, view: this.sent }, [buffer])
    if (this.view !== this.sent) this.sendView()
  }
}

function decodeDetail(detail: RowDetail): Detail {
  return { ...detail, input: decodePayload(detail.input), output: decodePayload(detail.output) }
}

function decodePayload({ base64, ...rest }: Payload): PayloadBytes {
  const binary = atob(base64)
  const bytes = new Uint8Array(binary.length)
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i)
  return { bytes, ...rest }
}
