// raw-page.ts: the yardstick for the window: a plain page to which every request is sent as it happens.
//
// The page does the least that shows the same: an object per request, counts per function, and forty rows drawn once per
// frame. They come as a stream of fetch, not over a WebSocket: of a WebSocket's frames whoever controls the browser is
// sent a copy, made on the page's main thread, and at these rates that would cost more than the page does.

import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ROW_BYTES } from '../../src/protocol/wire.ts'

const INTERVAL_MS = 20

const PAGE = `<!doctype html><meta charset="utf-8"><table></table><script>
const ROW_BYTES = ${ROW_BYTES}, ROWS = 40
const counts = new Float64Array(256)
const table = document.querySelector('table')
const rows = Array.from({ length: ROWS }, () => {
  const row = table.insertRow()
  return Array.from({ length: 10 }, () => row.insertCell())
})
let last = []
const take = (bytes) => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  for (; at + ROW_BYTES <= bytes.length; at += ROW_BYTES) {
    const request = { row: view.getFloat64(at, true), arrival: view.getFloat64(at + 8, true), latency: view.getFloat64(at + 16, true) }
    for (let word = 0; word < 7; word++) request['word' + word] = view.getUint32(at + 32 + 4 * word, true)
    counts[view.getUint8(at + 72)]++
    last.push(request)
  }
  if (last.length > 10_000) last = last.slice(-ROWS)
  return bytes.subarray(at)
}
const receive = async () => {
  let rest = new Uint8Array(0)
  const reader = (await fetch('requests')).body.getReader()
  for (;;) {
    const { value, done } = await reader.read()
    if (done) return
    const joined = new Uint8Array(rest.length + value.length)
    joined.set(rest)
    joined.set(value, rest.length)
    rest = take(joined)
  }
}
const draw = () => {
  for (const [i, request] of last.slice(-ROWS).entries()) {
    for (const [j, value] of Object.values(request).entries()) rows[i][j].textContent = value
  }
  requestAnimationFrame(draw)
}
receive()
draw()
</script>`

export interface RawPage {
  url: string
  /** What the connection has taken so far, per second; less than was asked for where the page is too slow. */
  requestsPerSecond(): number
  close(): Promise<void>
}

export async function serveRawPage(requestsPerSecond: number): Promise<RawPage> {
  const count = Math.round((requestsPerSecond * INTERVAL_MS) / 1000)
  const batch = batchOf(count)
  let sent = 0
  let begin = 0
  let due = 0
  let stream: ServerResponse | null = null
  const http = createServer((request, response) => {
    if (request.url === '/requests') {
      response.setHeader('Content-Type', 'application/octet-stream')
      stream = response
      begin = performance.now()
    } else {
      response.setHeader('Content-Type', 'text/html')
      response.end(PAGE)
    }
  })
  const timer = setInterval(() => {
    if (!stream) return
    // The timer may come late; the rate is kept all the same. What the page does not take in time it never gets.
    for (; due * INTERVAL_MS <= performance.now() - begin; due++) {
      if (stream.writableNeedDrain) continue
      stream.write(batch)
      sent += count
    }
  }, INTERVAL_MS)
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  const { port } = http.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/`,
    requestsPerSecond: () => (sent / (performance.now() - begin)) * 1000,
    close: async () => {
      clearInterval(timer)
      http.closeAllConnections()
      await new Promise((resolve) => http.close(resolve))
    },
  }
}

/** The same bytes are sent again and again, so that making them costs nothing. */
function batchOf(count: number): Uint8Array {
  const batch = new Uint8Array(count * ROW_BYTES)
  const view = new DataView(batch.buffer)
  for (let i = 0; i < count; i++) {
    view.setFloat64(i * ROW_BYTES, i, true)
    view.setUint8(i * ROW_BYTES + 72, i % 28)
  }
  return batch
}
