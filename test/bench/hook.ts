// hook.ts: what being watched adds to a request, by hook.cpp.

import type { Figure } from './figure.ts'
import { runNative } from './native-race.ts'

export function benchHook(quick: boolean): Figure[] {
  const ns = runNative('bench_hook', quick ? 3 : 9)
  const added = (name: string, key: string): Figure => ({
    name: `a request of the simulated kernel, ${name}`,
    unit: 'ns',
    better: 'lower',
    ours: ns[key],
    yardsticks: [{ name: 'not hooked', value: ns.unhooked }],
    target: null,
    met: null,
    note: `${(ns[key] - ns.unhooked).toFixed(0)} ns more`,
  })
  return [
    added('hooked, not recorded', 'hooked'),
    added('recorded: two records', 'captured'),
    added('recorded with its 8 bytes of input and output', 'capturedPayload'),
  ]
}
