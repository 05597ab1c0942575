// sections.test.ts: memory of DriverMon.sys: what may be written is not executed.

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { buildForWindows } from './machine.mjs'

const driver = resolve(import.meta.dirname, '../../build-sys/DriverMon.sys')

const SECTION_BYTES = 40
const MEM_EXECUTE = 0x2000_0000
const MEM_WRITE = 0x8000_0000

/** By the headers of the PE file. */
function sectionsOf(file: string) {
  const bytes = readFileSync(file)
  const header = bytes.readUInt32LE(0x3c)
  const first = header + 24 + bytes.readUInt16LE(header + 20)
  return Array.from({ length: bytes.readUInt16LE(header + 6) }, (_, i) => {
    const at = first + i * SECTION_BYTES
    const flags = bytes.readUInt32LE(at + 36)
    return {
      name: bytes.toString('latin1', at, at + 8).replace(/\0+$/, ''),
      executable: (flags & MEM_EXECUTE) !== 0,
      writable: (flags & MEM_WRITE) !== 0,
    }
  })
}

beforeAll(buildForWindows)

it('no section may be both written and executed', () => {
  const sections = sectionsOf(driver)
  const named = (those: typeof sections) => those.map(({ name }) => name)
  expect(named(sections.filter(({ executable }) => executable))).toContain('.text')
  // All that may be written begins as zero.
  expect(named(sections.filter(({ writable }) => writable))).toContain('.bss')
  expect(named(sections.filter(({ executable, writable }) => executable && writable))).toEqual([])
})
