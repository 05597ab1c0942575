// truth.ts: what a caller wrote down (caller/truth.h), and the rows of a capture, in one form, so that they can be held
// against each other.

import { readFileSync } from 'node:fs'

/** One request as its caller knows it. Bytes are hexadecimal. */
export interface Issued {
  order: number
  thread: number
  driver: string
  major: number
  code: number
  input: string
  outputLength: number
  status: number
  information: number
  output: string
  pended: boolean
  cancelled: boolean
}

export interface Truth {
  process: number
  issued: Issued[]
  /** By API of the system: its answers, one after the other. */
  answers: Map<string, string[]>
}

export function readTruth(file: string): Truth {
  const [head, ...lines] = readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  const truth: Truth = { process: head.process, issued: [], answers: new Map() }
  for (const line of lines) {
    if ('api' in line) truth.answers.set(line.api, [...(truth.answers.get(line.api) ?? []), line.answer])
    else truth.issued.push(line)
  }
  truth.issued.sort((a, b) => a.order - b.order)
  return truth
}
