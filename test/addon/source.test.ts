// The addon's control side: opening, talking to the driver, and errors that carry a status.

import { afterEach, beforeEach, expect, test } from 'vitest'
import type { NativeSource } from '../../addon/binding.ts'
import { loadBinding } from '../../addon/load.ts'
import { ABI_VERSION, ControlCode, HelloReply, KernelKind, LAYOUT_HASH } from '../../src/protocol/layout.ts'
import { addDriver, ECHO, hello, start } from './sim.ts'

const STATUS_OBJECT_NAME_NOT_FOUND = 0xc0000034

let source: NativeSource
beforeEach(() => {
  source = loadBinding().openSim()
})
afterEach(() => source.close())

function errorOf(action: () => unknown): Error & { status?: number } {
  try {
    action()
  } catch (error) {
    return error as Error & { status?: number }
  }
  throw new Error('it did not throw')
}

test('says which platform it was built for', () => {
  expect(loadBinding().platform).toBe(process.platform)
})

test('Hello is answered by the layout we were built with', () => {
  const reply = hello(source)
  expect(reply.getUint32(HelloReply.abiVersion, true)).toBe(ABI_VERSION)
  expect(reply.getUint32(HelloReply.layoutHash, true)).toBe(LAYOUT_HASH)
  expect(reply.getUint32(HelloReply.accepted, true)).toBe(1)
  expect(reply.getUint32(HelloReply.kernel, true)).toBe(KernelKind.Simulated)
})

test('Hello from another version is refused, with an answer', () => {
  const reply = hello(source, ABI_VERSION + 1)
  expect(reply.getUint32(HelloReply.accepted, true)).toBe(0)
  expect(reply.getUint32(HelloReply.abiVersion, true)).toBe(ABI_VERSION)
})

test('a refused request throws with its NTSTATUS', () => {
  hello(source)
  const error = errorOf(() => addDriver(source, '\\Driver\\NoSuchDriver'))
  expect(error.status).toBe(STATUS_OBJECT_NAME_NOT_FOUND)
  expect(error.message).toContain('0xC0000034')
})

test('the simulated machine has drivers to hook, and processes', () => {
  expect(source.drivers().map(({ name }) => name)).toContain(ECHO)
  const processes = source.processes()
  expect(processes.length).toBeGreaterThan(1)
  expect(new Set(processes.map(({ processId }) => processId)).size).toBe(processes.length)
})

test('there is one simulated machine per process, and closing it makes room for the next', () => {
  expect(() => loadBinding().openSim()).toThrow(/machine/)
  source.close()
  source = loadBinding().openSim()
})

test('a closed source says so, and closing is idempotent', () => {
  source.close()
  source.close()
  source.released()
  source.stopPump()
  expect(source.pumping()).toBe(false)
  expect(() => source.drivers()).toThrow('closed')
  expect(() => source.control(ControlCode.Stop, null, 0)).toThrow('closed')
})

test('there is no device here', { skip: process.platform === 'win32' }, () => {
  expect(() => loadBinding().openDevice()).toThrow('--source sim')
})

test('wrong arguments never reach native memory', () => {
  const untyped = source as unknown as Record<string, (...args: unknown[]) => unknown>
  const shared = new Uint8Array(new SharedArrayBuffer(2 * (64 + 131_072)))
  const nothing = () => {}
  expect(() => untyped.control('x', null, 0)).toThrow(TypeError)
  expect(() => untyped.control(ControlCode.Hello, 'text', 0)).toThrow('Uint8Array')
  expect(() => untyped.control(ControlCode.Hello, null, 2 ** 40)).toThrow('outputBytes')
  expect(() => untyped.startPump(new Uint8Array(1 << 20), 2, 131_072, nothing)).toThrow('SharedArrayBuffer')
  expect(() => untyped.startPump(shared, 3, 131_072, nothing)).toThrow('fit')
  expect(() => untyped.startPump(shared, 0, 131_072, nothing)).toThrow('at least one')
  expect(() => untyped.startPump(shared, 2, 65_536, nothing)).toThrow('131072')
  expect(() => untyped.startPump(shared.subarray(4), 1, 131_072, nothing)).toThrow('8-aligned')
  expect(() => untyped.startPump(shared, 2, 131_072, null)).toThrow('doorbell')
  expect(() => untyped.startTraffic({ seed: -1, rate: 0, count: 0 })).toThrow('seed')
  expect(source.pumping()).toBe(false)
})

test('slots that are still full are refused: their records would be lost', () => {
  hello(source)
  start(source)
  const slots = new Uint8Array(new SharedArrayBuffer(2 * (64 + 131_072)))
  slots[64] = 1
  expect(() => source.startPump(slots, 2, 131_072, () => {})).toThrow('free')
})
