// plain-objects.ts: the yardstick that everybody writes first: an array of objects. It lives in a thread of its own,
// so that its ten million objects burden nobody else's garbage collector.

import { once } from 'node:events'
import { parentPort, Worker, workerData } from 'node:worker_threads'
import { median, timed } from './figure.ts'

/** Over shared memory; the objects are made from them. */
export interface Columns {
  pid: Uint32Array
  major: Uint8Array
  latency: Float64Array
  code: Uint32Array
}

/** Rows with this pid and major that took longer. */
export interface Condition {
  pid: number
  major: number
  latency: number
}

type Task =
  | { type: 'filter'; condition: Condition }
  | { type: 'sort' }
  | { type: 'windows'; places: readonly number[]; count: number }

interface Answer {
  ms: number
  found: number
}

export class PlainObjects {
  readonly #worker: Worker

  constructor(columns: Columns) {
    this.#worker = new Worker(process.argv[1], {
      workerData: columns,
      resourceLimits: { maxOldGenerationSizeMb: 8192 },
    })
  }

  filter(condition: Condition): Promise<Answer> {
    return this.#ask({ type: 'filter', condition })
  }
  sort(): Promise<Answer> {
    return this.#ask({ type: 'sort' })
  }
  /** The median time of `count` rows to JSON. */
  windows(places: readonly number[], count: number): Promise<Answer> {
    return this.#ask({ type: 'windows', places, count })
  }
  async close(): Promise<void> {
    await this.#worker.terminate()
  }

  async #ask(task: Task): Promise<Answer> {
    this.#worker.postMessage(task)
    return (await once(this.#worker, 'message'))[0] as Answer
  }
}

/** What the thread does. */
export function servePlainObjects(): void {
  const { pid, major, latency, code } = workerData as Columns
  const objects = Array.from({ length: pid.length }, (_, row) => ({
    row,
    pid: pid[row],
    thread: pid[row] + 4,
    major: major[row],
    code: code[row],
    arrival: 10 * row,
    latency: latency[row],
    input: row & 1023,
    output: row & 1023,
    status: 0,
  }))

  const answer = (task: Task): Answer => {
    let found = 0
    if (task.type === 'filter') {
      const { condition } = task
      const passes = (row: Condition) =>
        row.pid === condition.pid && row.major === condition.major && row.latency > condition.latency
      const ms = timed(() => {
        found = objects.filter(passes).length
      })
      return { ms, found }
    }
    if (task.type === 'sort') {
      const copy = objects.slice()
      return { ms: timed(() => copy.sort((a, b) => a.latency - b.latency)), found }
    }
    const times = task.places.map((first) =>
      timed(() => {
        found += JSON.stringify(objects.slice(first, first + task.count)).length
      }),
    )
    return { ms: median(times), found }
  }
  parentPort?.on('message', (task: Task) => parentPort?.postMessage(answer(task)))
}
