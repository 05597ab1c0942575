// guard.ts: who may talk to the local server.
//
// Anything on this machine can reach a port on 127.0.0.1: other users' processes, and every web page in the browser
// (also one that rebinds its own name to 127.0.0.1). So: a random key that only we print, good for one use, is exchanged
// for a cookie that scripts cannot read and other sites cannot send; and Host and Origin must be ours, always.

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

export type Verdict =
  | { kind: 'allow' }
  /** The boot key was right: set this cookie and go to `/`. */
  | { kind: 'admit'; cookie: string }
  | { kind: 'deny' }

const DENY: Verdict = { kind: 'deny' }

export class Guard {
  /** The key of the URL; used once. */
  readonly bootKey = randomBytes(32).toString('base64url')

  #bootKeyUsed = false
  #token = randomBytes(32).toString('base64url')
  #host: string
  #cookieName: string

  constructor(port: number) {
    this.#host = `127.0.0.1:${port}`
    // Browsers share cookies between ports of a host; a name of its own keeps two running DriverMons apart.
    this.#cookieName = `drivermon-${port}`
  }

  get origin(): string {
    return `http://${this.#host}`
  }

  checkRequest(request: IncomingMessage): Verdict {
    if (request.method !== 'GET' && request.method !== 'HEAD') return DENY
    if (request.headers.host !== this.#host) return DENY
    const { origin } = request.headers
    if (origin !== undefined && origin !== this.origin) return DENY
    if (request.method === 'GET' && this.#carriesBootKey(request.url ?? '')) {
      this.#bootKeyUsed = true
      return {
        kind: 'admit',
        cookie: `${this.#cookieName}=${this.#token}; HttpOnly; SameSite=Strict; Path=/`,
      }
    }
    return this.#hasCookie(request) ? { kind: 'allow' } : DENY
  }

  /** An upgrade is the one request that a foreign page could make with our cookie's site: it must name our origin. */
  checkUpgrade(request: IncomingMessage): boolean {
    return (
      request.method === 'GET' &&
      request.headers.host === this.#host &&
      request.headers.origin === this.origin &&
      this.#hasCookie(request)
    )
  }

  #carriesBootKey(url: string): boolean {
    const [path, query] = url.split('?')
    const key = new URLSearchParams(query).get('key')
    return path === '/' && key !== null && !this.#bootKeyUsed && same(key, this.bootKey)
  }

  #hasCookie(request: IncomingMessage): boolean {
    for (const part of (request.headers.cookie ?? '').split(';')) {
      const equals = part.indexOf('=')
      if (
        part.slice(0, equals).trim() === this.#cookieName &&
        same(part.slice(equals + 1).trim(), this.#token)
      ) {
        return true
      }
    }
    return false
  }
}

/** Compares without telling by its duration where two secrets differ. */
function same(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(a), digest(b))
}
