// file-names.test.ts: wildcards, which Windows' shells leave to the program.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { filesNamed } from '../../src/cli/file-names.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'drivermon-'))
  mkdirSync(join(folder, 'in'))
  for (const name of ['afd_2.pcapng', 'afd_10.pcapng', 'afd_1.pcapng', 'afd_1.pcapng.bak', 'a+b (1).pcapng'])
    writeFileSync(join(folder, 'in', name), '')
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('on Windows', () => {
  it.each([
    ['in/afd_*.pcapng', ['in/afd_1.pcapng', 'in/afd_10.pcapng', 'in/afd_2.pcapng']],
    ['in/afd_?.pcapng', ['in/afd_1.pcapng', 'in/afd_2.pcapng']],
    ['in/AFD_2*.PCAPNG', ['in/afd_2.pcapng']],
    ['in/a+b (?).pcapng', ['in/a+b (1).pcapng']],
    ['in/afd_1.pcapng', ['in/afd_1.pcapng']],
    // Nothing fits, or could.
    ['in/nosuch_*.pcapng', ['in/nosuch_*.pcapng']],
    ['in/afd_*pcapn', ['in/afd_*pcapn']],
    ['in/afd_1?pcapng.', ['in/afd_1?pcapng.']],
    ['none/*.pcapng', ['none/*.pcapng']],
    ['*/afd_1.pcapng', ['*/afd_1.pcapng']],
  ])('%s', (name, names) => {
    const of = (each: string) => `${folder}/${each}`
    expect(filesNamed([of(name)], { platform: 'win32' })).toEqual(names.map(of))
  })

  it('several names stay in their order', () => {
    const names = ['last', `${folder}/in/afd_?.pcapng`, 'first']
    const [one, two] = ['1', '2'].map((number) => `${folder}/in/afd_${number}.pcapng`)
    expect(filesNamed(names, { platform: 'win32' })).toEqual(['last', one, two, 'first'])
  })

  it('a name without a folder is of the working folder', () => {
    expect(filesNamed(['packag?.json'], { platform: 'win32' })).toEqual(['package.json'])
  })
})

it('elsewhere the shell has seen to it, and a name may hold such signs', () => {
  const names = [`${folder}/in/afd_*.pcapng`]
  expect(filesNamed(names, { platform: 'linux' })).toEqual(names)
})
