// server.ts: the local web server: the UI's files over HTTP, and one connection per open window over a WebSocket.
//
// On 127.0.0.1 and nowhere else. What guard.ts does not allow gets a 403 and no explanation.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { WebSocketServer } from 'ws'
import type { Subject } from '../session/subject.ts'
import type { Assets } from './assets.ts'
import { serveConnection } from './connection.ts'
import { Guard } from './guard.ts'

/** Where the page finds the WebSocket. */
export const SOCKET_PATH = '/ws'

const MAX_MESSAGE_BYTES = 64 * 1024

export interface AppServerOptions {
  subject: Subject
  assets: Assets
  version: string
  /** 0 = any free port. */
  port: number
  /** Gets what a connection broke of; the others and the capture go on. */
  report?: (error: unknown) => void
}

export interface AppServer {
  /** With the boot key: good for one visit. */
  readonly url: string
  close(): Promise<void>
}

export async function startAppServer(options: AppServerOptions): Promise<AppServer> {
  const http = createServer({ requestTimeout: 10_000, headersTimeout: 10_000 })
  await listen(http, options.port)
  // A connection that cannot be accepted (no more files may be open) is its own loss.
  http.on('error', () => {})
  const { port } = http.address() as AddressInfo
  const guard = new Guard(port)
  const headers = securityHeaders(port)
  const sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
    clientTracking: true,
  })

  http.on('request', (request, response) => {
    for (const [name, value] of headers) response.setHeader(name, value)
    const verdict = guard.checkRequest(request)
    if (verdict.kind === 'deny') return refuse(response)
    if (verdict.kind === 'admit') {
      response.writeHead(303, { Location: '/', 'Set-Cookie': verdict.cookie }).end()
      return
    }
    const asset = options.assets.get(pathOf(request))
    if (!asset) {
      response.writeHead(404, { 'Content-Type': 'text/plain; charset=utf-8' }).end('Not found.\n')
      return
    }
    response.writeHead(200, { 'Content-Type': asset.type, 'Content-Length': asset.body.byteLength })
    response.end(request.method === 'HEAD' ? undefined : asset.body)
  })

  http.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy())
    if (pathOf(request) !== SOCKET_PATH || !guard.checkUpgrade(request)) {
      socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
      return
    }
    sockets.handleUpgrade(request, socket, head, (webSocket) =>
      serveConnection(webSocket, options.subject, options.version, options.report ?? (() => {})),
    )
  })

  return {
    url: `${guard.origin}/?key=${guard.bootKey}`,
    async close() {
      for (const client of sockets.clients) client.terminate()
      sockets.close()
      http.closeAllConnections()
      await new Promise((resolve) => http.close(resolve))
    },
  }
}

function listen(http: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    http.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'EADDRINUSE'
          ? new Error(`Port ${port} is in use. Choose another with --port, or leave it out.`)
          : error,
      ),
    )
    http.listen(port, '127.0.0.1', resolve)
  })
}

/** Names of files are looked up as they are: nothing is decoded, nothing resolved. */
function pathOf(request: IncomingMessage): string {
  return (request.url ?? '').split('?')[0]
}

function refuse(response: ServerResponse): void {
  response
    .writeHead(403, { 'Content-Type': 'text/plain; charset=utf-8', Connection: 'close' })
    .end('Forbidden.\n')
}

function securityHeaders(port: number): [string, string][] {
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "worker-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "font-src 'self'",
    // WebKit's 'self' did not cover ws: for years; the shell may carry such a one.
    `connect-src 'self' ws://127.0.0.1:${port}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ]
  return [
    ['Content-Security-Policy', policy.join('; ')],
    ['X-Content-Type-Options', 'nosniff'],
    ['X-Frame-Options', 'DENY'],
    ['Referrer-Policy', 'no-referrer'],
    ['Cross-Origin-Opener-Policy', 'same-origin'],
    ['Cross-Origin-Resource-Policy', 'same-origin'],
    ['Cross-Origin-Embedder-Policy', 'require-corp'],
    ['Cache-Control', 'no-store'],
  ]
}
