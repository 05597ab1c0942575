// server.test.ts: the local server over real sockets: who gets in, and what the wire protocol promises.

import { mkdtempSync, rmSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { WebSocket } from 'ws'
import { CHUNK_ROWS } from '../../src/model/chunk.ts'
import { DEFAULT_PREDICATES, DEFAULT_SETTINGS } from '../../src/protocol/capture-settings.ts'
import type { RowId } from '../../src/protocol/ids.ts'
import { RequestFlags } from '../../src/protocol/layout.ts'
import {
  type ClientMessage,
  ROW_BYTES,
  type ServerMessage,
  WINDOW_HEADER_BYTES,
  WINDOW_MAGIC,
  WIRE_VERSION,
  WindowFlags,
} from '../../src/protocol/wire.ts'
import type { Assets } from '../../src/server/assets.ts'
import { type AppServer, SOCKET_PATH, startAppServer } from '../../src/server/server.ts'
import { Session } from '../../src/session/session.ts'
import { FakeSource } from '../session/fake-source.ts'
import { concat, numbers, start, startsAt } from '../support/records.ts'

const page = { body: Buffer.from('<!doctype html>'), type: 'text/html; charset=utf-8' }
const ASSETS: Assets = new Map([
  ['/', page],
  ['/index.html', page],
  ['/assets/main.js', { body: Buffer.from('export {}'), type: 'text/javascript; charset=utf-8' }],
])

let source: FakeSource
let session: Session
let server: AppServer
let origin: string
let cookie: string
/** What connections broke of. */
let faults: unknown[]

beforeEach(async () => {
  source = new FakeSource()
  session = new Session(source, { version: 'test', native: undefined, traffic: null })
  faults = []
  const report = (fault: unknown) => faults.push(fault)
  server = await startAppServer({ subject: session, assets: ASSETS, version: 'test', port: 0, report })
  origin = new URL(server.url).origin
  const response = await fetch(server.url, { redirect: 'manual' })
  cookie = (response.headers.get('set-cookie') ?? '').split(';')[0]
})
afterEach(async () => {
  await server.close()
  await session.close()
})

/** fetch cannot set Host. */
function get(path: string, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(origin + path, { headers }, (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    request.on('error', reject).end()
  })
}

/** One page of the UI. */
class Page {
  readonly messages: ServerMessage[] = []
  readonly windows: Uint8Array[] = []
  readonly order: string[] = []
  readonly socket: WebSocket
  #arrived: (() => void)[] = []

  constructor(headers: Record<string, string> = { cookie, origin }, path = SOCKET_PATH) {
    this.socket = new WebSocket(origin.replace('http', 'ws') + path, { headers })
    this.socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) this.windows.push(data)
      else this.messages.push(JSON.parse(data.toString()) as ServerMessage)
      this.order.push(isBinary ? 'window' : (this.messages.at(-1)?.type ?? ''))
      for (const wake of this.#arrived.splice(0)) wake()
    })
  }

  static async open(): Promise<Page> {
    const page = new Page()
    await new Promise((resolve, reject) => page.socket.once('open', resolve).once('error', reject))
    page.send({ type: 'hello', wire: WIRE_VERSION })
    await page.next('state')
    return page
  }

  send(message: ClientMessage): void {
    this.socket.send(JSON.stringify(message))
  }

  /** The first message of a type, then the next, and so on: each is given out once. */
  async next<T extends ServerMessage['type']>(
    type: T,
    accept: (message: ServerMessage & { type: T }) => boolean = () => true,
  ): Promise<ServerMessage & { type: T }> {
    const matches = (message: ServerMessage) =>
      message.type === type && accept(message as ServerMessage & { type: T })
    for (;;) {
      const at = this.messages.findIndex(matches)
      if (at >= 0) return this.messages.splice(at, 1)[0] as ServerMessage & { type: T }
      await new Promise<void>((resolve) => this.#arrived.push(resolve))
    }
  }

  async window(accept: (frame: DataView) => boolean): Promise<DataView> {
    for (;;) {
      for (const bytes of this.windows.splice(0)) {
        const frame = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
        if (accept(frame)) return frame
      }
      await new Promise<void>((resolve) => this.#arrived.push(resolve))
    }
  }
}

const all = { filter: '', sort: null, first: 0, count: 50, follow: false, anchor: null } as const
const rowsIn = (frame: DataView) => frame.getUint32(4, true)
const shownIn = (frame: DataView) => frame.getUint32(12, true)
const firstIn = (frame: DataView) => frame.getUint32(8, true)
const anchorIn = (frame: DataView) => frame.getUint32(20, true)
const flagsIn = (frame: DataView) => frame.getUint32(24, true)
const rowIn = (frame: DataView, line: number) =>
  frame.getFloat64(WINDOW_HEADER_BYTES + line * ROW_BYTES, true)
const stampIn = (frame: DataView) => frame.getUint32(16, true)

describe('the local server', () => {
  it('exchanges the key of the URL for a cookie, once, and goes to the page', async () => {
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/\?key=[\w-]{43}$/)
    const again = await fetch(server.url, { redirect: 'manual' })
    expect(again.status).toBe(403)
    expect(await again.text()).toBe('Forbidden.\n')
    const page = await fetch(`${origin}/`, { headers: { cookie } })
    expect(page.status).toBe(200)
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8')
  })

  it('sends a strict policy with everything, and allows no other origin', async () => {
    for (const headers of [{ cookie }, {}] as Record<string, string>[]) {
      const response = await fetch(`${origin}/`, { headers })
      const policy = response.headers.get('content-security-policy') ?? ''
      expect(policy).toContain("default-src 'none'")
      expect(policy).toContain("script-src 'self'")
      expect(policy).not.toContain('unsafe')
      expect(response.headers.get('x-content-type-options')).toBe('nosniff')
      expect(response.headers.get('access-control-allow-origin')).toBeNull()
    }
  })

  it.each([
    ['no cookie', () => ({})],
    ['a wrong cookie', () => ({ cookie: cookie.replace(/=.*/, '=AAAA') })],
    ['a rebound host', () => ({ cookie, host: 'evil.example' })],
    ['a foreign origin', () => ({ cookie, origin: 'http://evil.example' })],
  ] as [string, () => Record<string, string>][])(
    'answers %s with 403, page and socket',
    async (_name, headers) => {
      expect(await get('/', headers())).toBe(403)
      expect(await get('/assets/main.js', headers())).toBe(403)
      const page = new Page({ origin, ...headers() })
      const error = await new Promise<Error>((resolve) => page.socket.once('error', resolve))
      expect(error.message).toContain('403')
    },
  )

  it('has no socket but one, and none without an origin', async () => {
    for (const page of [new Page({ cookie, origin }, '/other'), new Page({ cookie })]) {
      const error = await new Promise<Error>((resolve) => page.socket.once('error', resolve))
      expect(error.message).toContain('403')
    }
  })

  it('serves files by name, and nothing beside them', async () => {
    expect(await get('/assets/main.js', { cookie })).toBe(200)
    expect(await get('/../package.json', { cookie })).toBe(404)
    expect(await get('/assets/%2e%2e/%2e%2e/etc/passwd', { cookie })).toBe(404)
    expect(await get('//evil.example/', { cookie })).toBe(404)
  })

  it('says what to do about a port in use', async () => {
    const { port } = new URL(origin)
    const second = startAppServer({ subject: session, assets: ASSETS, version: 'test', port: Number(port) })
    await expect(second).rejects.toThrow(`Port ${port} is in use`)
  })
})

describe('the wire', () => {
  it('begins with hello, state and a tick', async () => {
    const page = new Page()
    await new Promise((resolve) => page.socket.once('open', resolve))
    page.send({ type: 'hello', wire: WIRE_VERSION })
    await page.next('tick')
    expect(page.order).toEqual(['hello', 'state', 'tick'])
    expect(session.state()).toMatchObject({
      source: 'device',
      sourceLabel: 'Simulated kernel',
      running: false,
    })
  })

  it('lists, hooks, starts and stops', async () => {
    const page = await Page.open()
    page.send({ type: 'listDrivers' })
    expect((await page.next('drivers')).drivers.map((driver) => driver.hooked)).toEqual([false, false, false])
    page.send({ type: 'addDriver', name: '\\Driver\\AFD', force: false })
    expect((await page.next('drivers')).drivers.find((driver) => driver.hooked)?.name).toBe('\\Driver\\AFD')
    page.send({ type: 'start' })
    await page.next('state', ({ state }) => state.running)
    page.send({ type: 'stop' })
    await page.next('state', ({ state }) => !state.running)
    page.send({ type: 'removeDriver', name: '\\Driver\\AFD' })
    await page.next('state', ({ state }) => state.drivers.length === 0)
  })

  it('sends names before the window that needs them, and each once', async () => {
    const page = await Page.open()
    session.addDriver('AFD')
    session.start()
    source.issue(20)
    page.send({ type: 'view', ...all })
    const frame = await page.window((each) => rowsIn(each) === 10)
    expect(frame.getUint32(0, true)).toBe(WINDOW_MAGIC)
    expect(frame.byteLength).toBe(WINDOW_HEADER_BYTES + 10 * ROW_BYTES)
    const { names } = await page.next('names')
    expect(names.drivers.map(([, name]) => name)).toEqual(['\\Driver\\AFD'])
    const driverId = frame.getUint32(WINDOW_HEADER_BYTES + 32, true)
    expect(names.drivers[0][0]).toBe(driverId)
    expect(page.order.indexOf('names')).toBeLessThan(page.order.lastIndexOf('window'))
  })

  it('follows the tail, and sends nothing while nothing changes', async () => {
    const page = await Page.open()
    session.addDriver('AFD')
    session.start()
    source.issue(200)
    page.send({ type: 'view', ...all, count: 10, follow: true })
    const frame = await page.window((each) => shownIn(each) === 100)
    expect(frame.getUint32(8, true)).toBe(90)
    expect(rowsIn(frame)).toBe(10)
    await session.stop()
    await page.next('tick', ({ tick }) => tick.rows === 100)
    page.send({ type: 'detail', row: 0 as never, stamp: 1 })
    await page.next('detail')
    const { length } = page.windows
    page.send({ type: 'detail', row: 0 as never, stamp: 2 })
    await page.next('detail')
    expect(page.windows).toHaveLength(length)
  })

  it('stamps windows with the view that they belong to', async () => {
    const page = await Page.open()
    session.addDriver('AFD')
    session.start()
    source.issue(100)
    page.send({ type: 'view', ...all })
    await page.window((each) => stampIn(each) === 1 && shownIn(each) === 50)
    page.send({ type: 'view', ...all, filter: 'input contains "request 1 "' })
    const frame = await page.window((each) => stampIn(each) === 2 && shownIn(each) < 50)
    expect(shownIn(frame)).toBe(1)
  })

  it('keeps an anchor where it is in the window when filter and order change', async () => {
    const page = await Page.open()
    session.addDriver('AFD')
    session.start()
    source.issue(200)
    // Row 60 is looked at in the tenth line of a window.
    const anchor = { row: 60 as RowId, index: 60 }
    const asked = { ...all, first: 50, count: 20, anchor }
    page.send({ type: 'view', ...asked })
    await page.window((each) => rowsIn(each) === 20 && anchorIn(each) === 60)
    page.send({ type: 'view', ...asked, filter: 'row >= 40' })
    const filtered = await page.window((each) => stampIn(each) === 2 && firstIn(each) === 10)
    expect(anchorIn(filtered)).toBe(20)
    expect(rowIn(filtered, 10)).toBe(60)
    expect(flagsIn(filtered)).toBe(WindowFlags.Complete | WindowFlags.Anchored)
    page.send({ type: 'view', ...asked, sort: { field: 'row', descending: true } })
    const sorted = await page.window((each) => stampIn(each) === 3 && firstIn(each) === 29)
    expect(anchorIn(sorted)).toBe(39)
    expect(rowIn(sorted, 10)).toBe(60)
    // A row that does not pass: the window is where it would stand.
    page.send({ type: 'view', ...asked, filter: 'row < 30 || row > 70' })
    const without = await page.window((each) => stampIn(each) === 4 && firstIn(each) === 20)
    expect(anchorIn(without)).toBe(30)
    expect(flagsIn(without)).toBe(WindowFlags.Complete)
  })

  it.each([
    ['in capture order', null, 10],
    ['sorted', { field: 'tid', descending: true }, 10],
  ] as const)('keeps rows in their lines while the oldest ones leave: %s', async (_name, sort, line) => {
    const { capture } = session
    const ids = numbers(0, 3 * CHUNK_ROWS)
    capture.ingest(startsAt(ids))
    const page = await Page.open()
    // All but some rows of the second chunk; tid is the row's number.
    const filter = 'tid in {0..40000, 50000..999999}'
    const view = { ...all, filter, sort, count: 20 }
    page.send({ type: 'view', ...view, anchor: null })
    const { shown, row } = await page
      .window((each) => rowsIn(each) === 20)
      .then((frame) => ({ shown: shownIn(frame), row: 2 * CHUNK_ROWS + 100 }))
    const index = sort ? ids.length - 1 - row : row - 9999
    page.send({ type: 'view', ...view, first: index - line, anchor: { row: row as RowId, index } })
    const before = await page.window((each) => anchorIn(each) === index)
    expect(rowIn(before, line)).toBe(row)

    capture.budgetBytes = 0 // all but the newest chunk leave
    const after = await page.window((each) => shownIn(each) < shown)
    expect(capture.firstRow).toBe(2 * CHUNK_ROWS)
    expect(shownIn(after)).toBe(CHUNK_ROWS)
    expect(firstIn(after) + line).toBe(anchorIn(after))
    expect(flagsIn(after)).toBe(WindowFlags.Complete | WindowFlags.Anchored | WindowFlags.SameRows)

    // The row itself leaves: the window stays inside what there is, and says that the row is gone.
    capture.ingest(startsAt(numbers(3 * CHUNK_ROWS, CHUNK_ROWS + 50)))
    const gone = await page.window((each) => (flagsIn(each) & WindowFlags.Anchored) === 0)
    expect(capture.firstRow).toBe(4 * CHUNK_ROWS)
    expect(firstIn(gone)).toBeLessThan(shownIn(gone))
  })

  it('gives a query up at once when another is asked for', async () => {
    const { capture } = session
    capture.ingest(startsAt(numbers(0, 100)))
    const page = await Page.open()
    page.send({ type: 'view', ...all })
    await page.window((each) => shownIn(each) === 100)
    // A query that would never be done.
    const endless = capture.view('tid < 50', null)
    const advance = vi.spyOn(endless, 'advance').mockReturnValue(false)
    vi.spyOn(endless, 'complete', 'get').mockReturnValue(false)
    const view = vi.spyOn(capture, 'view').mockReturnValueOnce(endless)
    page.send({ type: 'view', ...all, filter: 'tid < 50' })
    await until(() => advance.mock.calls.length > 3)
    page.send({ type: 'view', ...all, filter: 'tid < 30' })
    const frame = await page.window((each) => stampIn(each) === 3 && shownIn(each) === 30)
    expect(flagsIn(frame)).toBe(WindowFlags.Complete)
    const { length } = advance.mock.calls
    capture.ingest(startsAt(numbers(100, 100)))
    await page.next('tick', ({ tick }) => tick.rows === 200)
    expect(advance.mock.calls).toHaveLength(length)
    expect(view).toHaveBeenCalledTimes(2)
  })

  it('points at the mistake in a filter, and keeps the earlier one', async () => {
    const page = await Page.open()
    session.addDriver('AFD')
    session.start()
    source.issue(100)
    page.send({ type: 'view', ...all })
    await page.window((each) => shownIn(each) === 50)
    page.send({ type: 'view', ...all, filter: 'pid == "x" &&' })
    const error = await page.next('filterError')
    expect(error.filter).toBe('pid == "x" &&')
    expect(error.message).not.toBe('')
    expect(error.end).toBeGreaterThanOrEqual(error.start)
    source.issue(100)
    const frame = await page.window((each) => shownIn(each) === 100)
    expect(stampIn(frame)).toBe(2)
  })

  it('takes the order that is asked for with a filter that is wrong', async () => {
    session.capture.ingest(startsAt(numbers(0, 100)))
    const page = await Page.open()
    page.send({ type: 'view', ...all, filter: 'row < 20' })
    await page.window((each) => shownIn(each) === 20)
    page.send({ type: 'view', ...all, filter: 'row <', sort: { field: 'row', descending: true } })
    await page.next('filterError')
    const frame = await page.window((each) => stampIn(each) === 2)
    expect(shownIn(frame)).toBe(20)
    expect(rowIn(frame, 0)).toBe(19)
  })

  it('has a page forget names of files of which there are too many, and sends those it sees again', async () => {
    const files = 21 * 1024
    const name = (number: number) => new Uint8Array(Buffer.from(`\\${number}`, 'utf16le'))
    session.capture.ingest(
      concat(
        numbers(0, files).map((id) =>
          start({
            id: id + 1,
            at: 1000 + id,
            major: 0,
            flags: RequestFlags.PayloadIsName,
            payload: name(id),
          }),
        ),
      ),
    )
    const page = await Page.open()
    const known = new Map<number, string>()
    let forgotten = 0
    for (const first of [...numbers(0, 21).map((place) => place * 1024), 0]) {
      page.send({ type: 'view', ...all, first, count: 1024 })
      const frame = await page.window((each) => firstIn(each) === first)
      for (const message of page.messages.splice(0)) {
        if (message.type !== 'names') continue
        if (message.names.forgetDetails) known.clear()
        forgotten += Number(message.names.forgetDetails)
        for (const [id, detail] of message.names.details) known.set(id, detail)
      }
      const detail = frame.getUint32(WINDOW_HEADER_BYTES + 500 * ROW_BYTES + 68, true)
      expect(known.get(detail)).toBe(`\\${first + 500}`)
      expect(known.size).toBeLessThanOrEqual(20_000)
    }
    expect(forgotten).toBe(1)
  })

  it('gives everything of a row, with payload, and null for one that is not there', async () => {
    const page = await Page.open()
    session.addDriver('AFD')
    session.start()
    source.issue(2)
    await until(() => session.capture.endRow > 0)
    page.send({ type: 'detail', row: 0 as never, stamp: 5 })
    const { stamp, detail } = await page.next('detail')
    expect(stamp).toBe(5)
    expect(Buffer.from(detail?.input.base64 ?? '', 'base64').toString()).toMatch(
      /^request \d+ to \\Driver\\AFD$/,
    )
    page.send({ type: 'detail', row: 999 as never, stamp: 6 })
    expect((await page.next('detail')).detail).toBeNull()
  })

  it('shows the new capture after a start, and after a clear', async () => {
    const page = await Page.open()
    session.addDriver('AFD')
    session.start()
    source.issue(20)
    page.send({ type: 'view', ...all })
    await page.window((each) => shownIn(each) === 10)
    page.send({ type: 'clear' })
    await page.window((each) => shownIn(each) === 0)
    source.issue(40)
    await page.window((each) => shownIn(each) === 20)
    expect((await page.next('names')).names.drivers).toHaveLength(1)
    await session.stop()
    session.start()
    source.issue(60)
    await page.window((each) => shownIn(each) === 30)
    expect((await page.next('names')).names.drivers).toHaveLength(1)
  })

  it('chooses what is recorded, and says so', async () => {
    const page = await Page.open()
    const predicates = { ...DEFAULT_PREDICATES, sampleEvery: 5 }
    page.send({ type: 'configure', settings: { ...DEFAULT_SETTINGS, predicates } })
    const { state } = await page.next('state', (each) => each.state.recordedOnly !== '')
    expect(state.recordedOnly).toBe('1 in 5')
    expect(state.settings.predicates.sampleEvery).toBe(5)
    session.addDriver('AFD')
    session.start()
    source.issue(20)
    await page.next('tick', ({ tick }) => tick.sampledOut === 8 && tick.rows === 2)
  })

  it('changes how much memory rows may take, and refuses what is not there', async () => {
    const page = await Page.open()
    page.send({ type: 'setBudget', bytes: 64 << 20 })
    await page.next('tick', ({ tick }) => tick.budgetBytes === 64 << 20)
    page.send({ type: 'setBudget', bytes: 1e18 })
    expect((await page.next('error')).message).toMatch(/of memory here: rows cannot take/)
    page.send({ type: 'setBudget', bytes: 1 })
    expect((await page.next('error')).message).toMatch(/"bytes" should be a number from/)
  })

  it.each([
    [{ sizeBytes: 1000, timeMs: 0, keep: 0 }, '"sizeBytes"'],
    [{ sizeBytes: 0, timeMs: 1, keep: 0 }, '"timeMs"'],
    [{ sizeBytes: 1 << 20, timeMs: 0, keep: 1 }, '"keep"'],
  ])('refuses to record with %j', async (rotation, field) => {
    const page = await Page.open()
    page.send({ type: 'record', path: 'nowhere.pcapng', rotation })
    expect((await page.next('error')).message).toContain(field)
  })

  it('lists requests in flight, the oldest first', async () => {
    const page = await Page.open()
    session.addDriver('AFD')
    session.start()
    page.send({ type: 'inFlight' })
    const { list } = await page.next('inFlight')
    expect(list.total).toBe(2)
    expect(list.requests.map((each) => each.requestId)).toEqual([8, 9])
    expect(list.requests[0]).toMatchObject({ driverName: '\\Driver\\AFD', function: 37, processId: 1208 })
  })

  it.each([
    ['when it is looked at again', 0],
    ['while it catches up', 1],
  ])('closes the connection of a view that fails %s, and no other', async (_when, good) => {
    const { capture } = session
    const view = capture.view.bind(capture)
    capture.view = (...what) => {
      const made = view(...what)
      if (what[0] === '') return made
      let calls = 0
      Object.defineProperty(made, 'complete', { get: () => false })
      made.advance = () => {
        if (calls++ >= good) throw new Error('no such chunk')
        return true
      }
      return made
    }
    const broken = await Page.open()
    const other = await Page.open()
    const closed = new Promise<number>((resolve) => broken.socket.once('close', resolve))
    broken.send({ type: 'view', ...all, filter: 'pid == 4' })
    await broken.next('notice', ({ message }) => message === 'This view has failed: no such chunk')
    expect(await closed).toBe(1011)
    expect(faults).toEqual([new Error('no such chunk')])
    session.addDriver('AFD')
    await other.next('state', ({ state }) => state.drivers.length === 1)
    other.send({ type: 'detail', row: 0 as RowId, stamp: 1 })
    await other.next('detail')
  })

  it('closes the connection whose state cannot be told, and lets the others hear of it', async () => {
    const broken = await Page.open()
    const other = await Page.open()
    const closed = new Promise<number>((resolve) => broken.socket.once('close', resolve))
    const state = vi.spyOn(session, 'state').mockImplementationOnce(() => {
      throw new Error('no state')
    })
    session.addDriver('AFD')
    expect(await closed).toBe(1011)
    await other.next('state', ({ state }) => state.drivers.length === 1)
    state.mockRestore()
    expect(faults).toEqual([new Error('no state')])
  })

  it('records to a file, refuses to overwrite it, and stops', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'drivermon-'))
    try {
      const page = await Page.open()
      const path = join(folder, 'x.pcapng')
      page.send({ type: 'record', path, rotation: null })
      await page.next('state', ({ state }) => state.recording === path)
      page.send({ type: 'stopRecord' })
      await page.next('state', ({ state }) => state.recording === '')
      page.send({ type: 'record', path, rotation: null })
      expect((await page.next('error')).message).toContain('exists already')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it.each([
    ['no JSON', '{'],
    ['no object', '7'],
    ['an unknown type', '{"type":"format c:"}'],
    ['a missing field', '{"type":"addDriver"}'],
    ['settings that are none', '{"type":"configure","settings":{"predicates":{"functions":7}}}'],
    ['a wrong field', '{"type":"view","filter":"","sort":{"field":1},"first":0,"count":1,"follow":true}'],
    ['a negative row', '{"type":"detail","row":-1,"stamp":0}'],
    ['an unknown driver', '{"type":"addDriver","name":"nosuch","force":false}'],
    [
      'a sort by nothing',
      '{"type":"view","filter":"","sort":{"field":"x","descending":true},"first":0,"count":1,"follow":true}',
    ],
    ['a start without a driver', '{"type":"start"}'],
  ])('answers %s with an error and goes on', async (_name, text) => {
    const page = await Page.open()
    page.socket.send(text)
    const answer = await Promise.race([page.next('error'), page.next('filterError')])
    expect(answer.message).not.toBe('')
    page.send({ type: 'listDrivers' })
    await page.next('drivers')
  })

  it('wants a hello first, and of its own version', async () => {
    const page = new Page()
    await new Promise((resolve) => page.socket.once('open', resolve))
    page.send({ type: 'start' })
    expect((await page.next('error')).message).toContain('hello')
    page.send({ type: 'hello', wire: WIRE_VERSION + 1 })
    expect((await page.next('error')).message).toContain('reload the page')
  })

  it('closes a socket that sends too much at once', async () => {
    const page = await Page.open()
    const closed = new Promise((resolve) => page.socket.once('close', resolve))
    page.socket.send('x'.repeat(100_000))
    expect(await closed).toBe(1009)
    const next = await Page.open()
    next.send({ type: 'listDrivers' })
    await next.next('drivers')
  })

  it('tells every page what goes wrong by itself, apart from answers', async () => {
    const pages = [await Page.open(), await Page.open()]
    session.addDriver('AFD')
    session.start()
    pages[0].send({ type: 'removeDriver', name: 'nosuch' })
    expect((await pages[0].next('error')).message).toMatch(/not hooked/)
    source.breakPump(new Error('the device is gone'))
    for (const page of pages) expect((await page.next('notice')).message).toContain('the device is gone')
  })
})

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1))
}
