// trace.ts: what a page cost, read from Chromium's own trace: frames, the main thread's time per frame, and what it spends that on.
//
// Frames are those that the page's main thread was asked for and made. A task counts for the frame during which it ends:
// handling input, messages and timers between two frames is as much in the way of the next frame as drawing is. A frame
// is missed where Chromium says that there was something to show, and that it was not shown in time.

import type { Browser, Page } from 'playwright-core'

const CATEGORIES = [
  '-*',
  '__metadata',
  'devtools.timeline',
  'disabled-by-default-devtools.timeline',
  'disabled-by-default-devtools.timeline.frame',
]
/** As Chromium defines a long task. */
const LONG_TASK_MS = 50
/** A frame that takes more of the main thread is a slow one. */
export const MOST_FRAME_MS = 10

interface TraceEvent {
  name: string
  ph: string
  pid: number
  tid: number
  /** Microseconds, as all of these. */
  ts: number
  dur?: number
  /** The thread's own processor time: without what others took of the processor meanwhile. */
  tdur?: number
  args: { name?: string; frame_reporter?: { state: string; frame_sequence: number } }
}

/** Milliseconds per frame. */
export interface Spread {
  mean: number
  p50: number
  p99: number
  max: number
  /** Share of the frames that take more than MOST_FRAME_MS. */
  slow: number
}

export interface PageCost {
  framesPerSecond: number
  /** Wall time of the main thread's tasks, per frame. */
  frameMs: Spread
  /** The same in processor time. */
  frameCpuMs: Spread
  /** On the screen, something new in each. */
  presentedPerSecond: number
  /** Of all frames that there could have been, the share that had something to show and was not shown in time. */
  missed: number
  longTasks: number
  /** What the slowest twentieth of the frames spend their time on: milliseconds per frame by event, nested ones too. */
  slowFrames: [string, number][]
}

/** Traces the page while `action` runs. */
export async function tracePage(
  browser: Browser,
  page: Page,
  action: () => Promise<unknown>,
): Promise<PageCost> {
  await browser.startTracing(page, { categories: CATEGORIES })
  await action()
  const { traceEvents } = JSON.parse((await browser.stopTracing()).toString()) as {
    traceEvents: TraceEvent[]
  }
  return costOf(traceEvents)
}

function costOf(events: readonly TraceEvent[]): PageCost {
  // A spare renderer may wait for the next page: ours is the one that made frames.
  const frameEvents = events.filter((event) => event.name === 'BeginMainThreadFrame')
  const pid = mostFrequent(frameEvents.map((event) => event.pid))
  const main = events.find(
    (event) => event.name === 'thread_name' && event.pid === pid && event.args.name === 'CrRendererMain',
  )
  const frames = frameEvents.filter((event) => event.pid === pid).map((event) => event.ts)
  if (!main || frames.length < 2) throw new Error('The trace holds no frames')
  frames.sort((a, b) => a - b)
  const begin = frames[0]
  const end = frames[frames.length - 1]
  const seconds = (end - begin) / 1e6

  const within = (event: TraceEvent) => {
    const ended = event.ts + (event.dur ?? 0)
    return event.pid === pid && ended >= begin && ended < end
  }
  const onMain = events.filter((event) => event.ph === 'X' && event.tid === main.tid && within(event))
  const tasks = onMain.filter((event) => event.name === 'RunTask')
  const wall = new Array<number>(frames.length - 1).fill(0)
  const cpu = [...wall]
  for (const task of tasks) {
    const frame = frameOf(task, frames)
    wall[frame] += (task.dur ?? 0) / 1000
    cpu[frame] += (task.tdur ?? 0) / 1000
  }
  const slow = at(cpu, 0.95)
  const inSlowFrames = onMain.filter(
    (event) => event.name !== 'RunTask' && cpu[frameOf(event, frames)] >= slow,
  )
  return {
    framesPerSecond: wall.length / seconds,
    frameMs: spread(wall),
    frameCpuMs: spread(cpu),
    ...presentation(
      events.filter((event) => event.pid === pid),
      seconds,
    ),
    longTasks: tasks.filter(({ dur = 0 }) => dur / 1000 > LONG_TASK_MS).length,
    slowFrames: sums(inSlowFrames, cpu.filter((ms) => ms >= slow).length),
  }
}

/** The number of the frame during which it ends. */
function frameOf({ ts, dur = 0 }: TraceEvent, frames: readonly number[]): number {
  let low = 0
  let high = frames.length
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (frames[middle] <= ts + dur) low = middle
    else high = middle
  }
  return low
}

function spread(values: readonly number[]): Spread {
  return {
    mean: values.reduce((sum, value) => sum + value, 0) / values.length,
    p50: at(values, 0.5),
    p99: at(values, 0.99),
    max: Math.max(...values),
    slow: values.filter((value) => value > MOST_FRAME_MS).length / values.length,
  }
}

/** What a part of the values is below. */
function at(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))]
}

/** A frame may be reported in two parts, of which one comes late. */
function presentation(events: readonly TraceEvent[], seconds: number) {
  const all = new Set<number>()
  const presented = new Set<number>()
  const dropped = new Set<number>()
  for (const { args } of events) {
    if (!args.frame_reporter) continue
    const { state, frame_sequence: frame } = args.frame_reporter
    all.add(frame)
    if (state === 'STATE_DROPPED') dropped.add(frame)
    else if (state.startsWith('STATE_PRESENTED')) presented.add(frame)
  }
  return { presentedPerSecond: presented.size / seconds, missed: dropped.size / Math.max(1, all.size) }
}

/** Processor milliseconds per frame by event, the largest first. */
function sums(events: readonly TraceEvent[], frames: number): [string, number][] {
  const byName = new Map<string, number>()
  for (const { name, tdur = 0 } of events) byName.set(name, (byName.get(name) ?? 0) + tdur / 1000 / frames)
  return [...byName].sort((a, b) => b[1] - a[1])
}

function mostFrequent(values: readonly number[]): number | undefined {
  const counts = new Map<number, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0]
}
