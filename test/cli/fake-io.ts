// fake-io.ts: a world for a command to run in: what it prints is kept, and its source is the fake one.

import type { Io } from '../../src/cli/io.ts'
import { run } from '../../src/cli/run.ts'
import { type FakeOptions, FakeSource } from '../session/fake-source.ts'

export interface FakeWorld {
  out: string
  err: string
  readonly source: FakeSource
  /** URLs given to the browser. */
  readonly browsed: string[]
  /** Presses Ctrl-C. */
  interrupt(): void
  /** Somebody throws, and nobody catches it. */
  fault(error: unknown): void
  run(...args: string[]): Promise<number>
}

export function fakeWorld(options: FakeOptions & Partial<Io> = {}): FakeWorld {
  const interrupts = new Set<() => void>()
  const faults = new Set<(error: unknown) => void>()
  const listen = <T>(to: Set<T>, handler: T) => {
    to.add(handler)
    return () => {
      to.delete(handler)
    }
  }
  const world: FakeWorld = {
    out: '',
    err: '',
    source: new FakeSource(options),
    browsed: [],
    interrupt: () => {
      for (const handler of interrupts) handler()
    },
    fault: (error) => {
      for (const handler of faults) handler(error)
    },
    run: (...args) => run(args, io),
  }
  const keep = (stream: 'out' | 'err') => (text: string) => {
    world[stream] += text
    return true
  }
  const io: Io = {
    out: { isTTY: false, write: keep('out') },
    err: { isTTY: false, write: keep('err') },
    env: {},
    platform: 'linux',
    version: '1.2.3',
    home: '/nowhere',
    onInterrupt: (handler) => listen(interrupts, handler),
    onFault: (handler) => listen(faults, handler),
    openSource: () => world.source,
    nativeCode: () => undefined,
    openBrowser: (url) => world.browsed.push(url),
    ...options,
  }
  return world
}
