// driver-memory.test.ts: how the driver asks for memory: never executable, never without a tag that tells whose it is.

import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'

const driver = resolve(import.meta.dirname, '../../driver')
const sources = ['core', 'sys'].flatMap((folder) =>
  readdirSync(join(driver, folder)).map((name) => ({
    name: `${folder}/${name}`,
    code: readFileSync(join(driver, folder, name), 'utf8').replaceAll(/\/\/.*/g, ''),
  })),
)

function uses(what: RegExp): string[] {
  return sources.flatMap(({ name, code }) => [...code.matchAll(what)].map(([use]) => `${name}: ${use}`))
}

it('allocates from NonPagedPoolNx alone, with the tag of the driver', () => {
  const allocations = uses(/\b(?:Ex|Mm|Rtl|Zw)Allocate\w*\([^,;]*,[^;]*;/g)
  expect(allocations.length).toBeGreaterThan(0)
  const nx = /: ExAllocatePoolWithTag\(NonPagedPoolNx, [^;]*, kPoolTag\);$/
  expect(allocations.filter((use) => !nx.test(use))).toEqual([])
})

it('names no other pool, and no other way to memory', () => {
  expect(uses(/\b\w*(?:Paged|NonPaged)Pool\w*/g).filter((use) => !use.endsWith(' NonPagedPoolNx'))).toEqual(
    [],
  )
  expect(uses(/\bExAllocatePool(?!WithTag\()\w*/g)).toEqual([])
  expect(uses(/\bPAGE_EXECUTE\w*/g)).toEqual([])
})
