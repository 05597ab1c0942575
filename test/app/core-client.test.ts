// core-client.test.ts: the page's side of the protocol against a made-up core, over a real WebSocket.

import { afterEach, expect, test, vi } from 'vitest'
import { WebSocket } from 'ws'
import { RowWindow } from '../../app/rows/row-window.ts'
import { CoreClient } from '../../app/worker/core-client.ts'
import type { Frame, View } from '../../app/worker/frames.ts'
import type { DriverId, FunctionIndex, RowId, Ticks } from '../../src/protocol/ids.ts'
import { LATENCY_BUCKETS } from '../../src/protocol/layout.ts'
import { type FakeCore, startFakeCore } from './fake-core.ts'

const open: { close(): void | Promise<void> }[] = []
afterEach(async () => {
  vi.unstubAllGlobals()
  for (const each of open.splice(0)) await each.close()
})

async function connect(options: Parameters<typeof startFakeCore>[0] = {}) {
  vi.stubGlobal('WebSocket', WebSocket)
  const core: FakeCore = await startFakeCore({ rows: 1000, ...options })
  const frames: Frame[] = []
  const client = new CoreClient(core.socketUrl, (frame) => frames.push(frame))
  open.push(client, core)
  const seen = <Type extends Frame['type']>(type: Type) =>
    frames.filter((frame): frame is Extract<Frame, { type: Type }> => frame.type === type)
  await vi.waitFor(() => expect(seen('state')).not.toHaveLength(0))
  return { core, client, frames, seen }
}

function view(changes: Partial<View> = {}): View {
  return { filter: '', sort: null, first: 0, count: 20, follow: false, anchor: null, query: 1, ...changes }
}

function lastWindow(rows: { buffer: ArrayBuffer }[]): RowWindow {
  return RowWindow.decode(rows.at(-1)!.buffer)
}

test('greets, then asks for what the page looked at before there was a connection', async () => {
  vi.stubGlobal('WebSocket', WebSocket)
  const core = await startFakeCore({ rows: 1000 })
  const frames: Frame[] = []
  const client = new CoreClient(core.socketUrl, (frame) => frames.push(frame))
  open.push(client, core)
  client.look(view({ first: 500 }))
  await vi.waitFor(() => expect(frames.some((frame) => frame.type === 'rows')).toBe(true))
  expect(core.asked.map((message) => message.type)).toEqual(['hello', 'view'])
})

test('asks no faster than it is answered, and for what is wanted by then', async () => {
  const { core, client, seen } = await connect()
  for (let first = 0; first <= 500; first += 100) client.look(view({ first }))
  await vi.waitFor(() => expect(lastWindow(seen('rows')).first).toBe(500))
  const asked = core.asked.flatMap((message) => (message.type === 'view' ? [message.first] : []))
  expect(asked).toEqual([0, 500])
})

test('another filter does not wait for an answer, and what was asked before it is not shown', async () => {
  const { core, client, seen } = await connect()
  client.look(view({ first: 100 }))
  client.look(view({ query: 2, filter: 'errors' }))
  await vi.waitFor(() => expect(seen('rows')).not.toHaveLength(0))
  expect(core.asked.filter(({ type }) => type === 'view')).toHaveLength(2)
  expect(seen('rows').map((frame) => frame.view.query)).toEqual([2])
  expect(lastWindow(seen('rows')).rowId(1)).toBe(10)
})

test('a detail comes with its bytes, and only the one asked for last', async () => {
  const { client, seen } = await connect()
  client.detail(1 as RowId)
  client.detail(2 as RowId)
  await vi.waitFor(() => expect(seen('detail')).not.toHaveLength(0))
  expect(seen('detail').map((frame) => frame.row)).toEqual([2])
  const { bytes, total } = seen('detail')[0]!.detail!.input
  expect(total).toBe(24)
  expect(new TextDecoder().decode(bytes)).toBe('GET /index.html?row=2 HT')
  client.detail(5000 as RowId)
  await vi.waitFor(() => expect(seen('detail').at(-1)).toMatchObject({ row: 5000, detail: null }))
})

test('tells where a filter cannot be understood', async () => {
  const { client, seen } = await connect()
  client.look(view({ filter: 'nonsense' }))
  await vi.waitFor(() => expect(seen('filterError')).toHaveLength(1))
  expect(seen('filterError')[0]).toMatchObject({ filter: 'nonsense', start: 0, end: 5 })
})

test('rates come from the ticks', async () => {
  const { core, seen } = await connect({ rate: 3000 })
  for (let i = 0; i < 40; i++) core.advance(0.1)
  await vi.waitFor(() => expect(seen('charts').at(-1)?.rate ?? 0).toBeGreaterThan(1000))
  expect(seen('status').at(-1)!.status).not.toHaveProperty('latency')
})

test('a new capture is charted from its own first reading on', async () => {
  const { core, seen } = await connect({ running: false })
  await vi.waitFor(() => expect(seen('status')).not.toHaveLength(0))
  const { state } = seen('state').at(-1)!
  const { status } = seen('status').at(-1)!
  const sayTick = (seconds: number, requests: number) => {
    const latency = [requests, ...new Array<number>(LATENCY_BUCKETS - 1).fill(0)]
    const counts = [1 as DriverId, 14 as FunctionIndex, requests, 0, 0, 0, 0] as const
    core.say({
      type: 'tick',
      tick: { ...status, at: (seconds * state.ticksPerSecond) as Ticks, functions: [[...counts]], latency },
    })
  }
  core.say({ type: 'state', state: { ...state, running: true } })
  sayTick(1, 0)
  sayTick(2, 20)
  core.say({ type: 'state', state: { ...state, running: false } })
  core.say({ type: 'state', state: { ...state, running: true } })
  // Half a minute later, and already higher than what was counted before.
  sayTick(32, 500)
  sayTick(33, 501)
  await vi.waitFor(() => expect(seen('status').at(-1)!.status.at).toBe(33 * state.ticksPerSecond))
  const drawn = seen('charts')
    .at(-1)!
    .series.map(({ rates }) => rates.reduce((sum, rate) => sum + rate, 0))
  expect(drawn.map((sum) => sum * seen('charts').at(-1)!.secondsPerBin)).toEqual([1])
})

test('comes back by itself after the connection was lost, with the same view', async () => {
  const { core, client, seen } = await connect()
  client.look(view({ first: 100, anchor: { row: 110 as RowId, index: 110 } }))
  await vi.waitFor(() => expect(seen('rows')).not.toHaveLength(0))
  core.disconnect()
  await vi.waitFor(() => expect(seen('connection').at(-1)!.state.kind).toBe('lost'))
  const before = seen('rows').length
  client.reconnect()
  await vi.waitFor(() => expect(seen('rows').length).toBeGreaterThan(before))
  expect(core.asked.at(-1)).toMatchObject({ type: 'view', first: 100, anchor: null })
  expect(seen('connection').at(-1)!.state.kind).toBe('open')
})
