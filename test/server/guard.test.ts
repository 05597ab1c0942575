// guard.test.ts: what the local server refuses.

import type { IncomingMessage } from 'node:http'
import { describe, expect, it } from 'vitest'
import { Guard } from '../../src/server/guard.ts'

const PORT = 4711
const OWN = `127.0.0.1:${PORT}`

function request(url: string, headers: Record<string, string> = {}, method = 'GET'): IncomingMessage {
  return { method, url, headers: { host: OWN, ...headers } } as unknown as IncomingMessage
}

function admitted(): { guard: Guard; cookie: string } {
  const guard = new Guard(PORT)
  const verdict = guard.checkRequest(request(`/?key=${guard.bootKey}`))
  if (verdict.kind !== 'admit') throw new Error('the boot key was not taken')
  return { guard, cookie: verdict.cookie.split(';')[0] }
}

describe('Guard', () => {
  it('takes the boot key once, for a cookie that scripts and other sites cannot use', () => {
    const guard = new Guard(PORT)
    expect(Buffer.from(guard.bootKey, 'base64url')).toHaveLength(32)
    const verdict = guard.checkRequest(request(`/?key=${guard.bootKey}`))
    expect(verdict.kind).toBe('admit')
    expect(verdict).toHaveProperty('cookie', expect.stringMatching(/; HttpOnly; SameSite=Strict; Path=\/$/))
    expect(guard.checkRequest(request(`/?key=${guard.bootKey}`)).kind).toBe('deny')
  })

  it('does not use the key up on a HEAD, a wrong path or a wrong key', () => {
    const guard = new Guard(PORT)
    const url = `/?key=${guard.bootKey}`
    expect(guard.checkRequest(request(url, {}, 'HEAD')).kind).toBe('deny')
    expect(guard.checkRequest(request(`/x?key=${guard.bootKey}`)).kind).toBe('deny')
    expect(guard.checkRequest(request('/?key=AAAA')).kind).toBe('deny')
    expect(guard.checkRequest(request(url)).kind).toBe('admit')
  })

  it('lets the cookie in, also with the used key still in the address', () => {
    const { guard, cookie } = admitted()
    expect(guard.checkRequest(request('/', { cookie })).kind).toBe('allow')
    expect(guard.checkRequest(request(`/?key=${guard.bootKey}`, { cookie })).kind).toBe('allow')
    expect(guard.checkRequest(request('/', { cookie: `a=b; ${cookie}` })).kind).toBe('allow')
  })

  it.each([
    ['no cookie', {}],
    ['a wrong cookie', { cookie: `drivermon-${PORT}=AAAA` }],
    ["another instance's cookie", { cookie: 'drivermon-1=AAAA' }],
  ])('refuses %s', (_name, headers) => {
    const { guard } = admitted()
    expect(guard.checkRequest(request('/', headers)).kind).toBe('deny')
  })

  it.each([
    ['a rebound name', { host: `evil.example:${PORT}` }],
    ['localhost', { host: `localhost:${PORT}` }],
    ['another port', { host: '127.0.0.1:1' }],
    ['a foreign origin', { origin: 'http://evil.example' }],
    ['an opaque origin', { origin: 'null' }],
    ['another origin of this machine', { origin: 'http://127.0.0.1:1' }],
  ])('refuses %s in spite of the cookie', (_name, headers) => {
    const { guard, cookie } = admitted()
    expect(guard.checkRequest(request('/', { cookie, ...headers })).kind).toBe('deny')
    expect(guard.checkUpgrade(request('/ws', { cookie, origin: guard.origin, ...headers }))).toBe(false)
  })

  it('refuses methods other than GET and HEAD', () => {
    const { guard, cookie } = admitted()
    for (const method of ['POST', 'OPTIONS', 'PUT', 'DELETE']) {
      expect(guard.checkRequest(request('/', { cookie }, method)).kind).toBe('deny')
    }
  })

  it('upgrades with cookie and origin only', () => {
    const { guard, cookie } = admitted()
    expect(guard.checkUpgrade(request('/ws', { cookie, origin: guard.origin }))).toBe(true)
    expect(guard.checkUpgrade(request('/ws', { cookie }))).toBe(false)
    expect(guard.checkUpgrade(request('/ws', { origin: guard.origin }))).toBe(false)
  })
})
