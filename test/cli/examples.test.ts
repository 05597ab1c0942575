// examples.test.ts: what we tell people to type means the same in sh, cmd and Windows PowerShell.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'

const read = (file: string) => readFileSync(join(import.meta.dirname, '../..', file), 'utf8')
const readme = read('README.md')

/** Lines of its blocks without their comments, and what it quotes in its sentences. */
const commands = [
  ...[...readme.matchAll(/^```sh\n(.*?)^```/gms)].flatMap(([, block]) => block.trimEnd().split('\n')),
  ...[...readme.replace(/^```.*?^```/gms, '').matchAll(/`([^`]+)`/g)].map(([, text]) => text),
].map((text) => text.replace(/ +#.*/, ''))

it.each(commands.filter((command) => /^(drivermon|npm|npx|node) /.test(command)))('%s', (command) => {
  expect(command).not.toContain("'") // no quote in cmd
  expect(command.replace(/"[^"]*"/g, '')).not.toMatch(/[&|;<>$%]/) // `&&` is unknown to PowerShell 5.1
})

it.each(['README.md', 'addon/device_source.cpp'])(
  '%s does not call sc what PowerShell calls otherwise',
  (file) => {
    expect(read(file)).toContain('sc.exe create')
    expect(read(file)).not.toMatch(/\bsc (create|start|stop|delete|query)\b/)
  },
)
