// figure.ts: one measured figure of ours beside its yardsticks, all from the same run.
//
// The machine's own speed moves by a factor of two from one run to the next; the ratio of two things that took turns
// does not. So a figure is a ratio first, and an absolute value for orientation.

export interface Yardstick {
  name: string
  value: number
}

export interface Figure {
  name: string
  unit: string
  better: 'lower' | 'higher'
  ours: number
  yardsticks: Yardstick[]
  /** What we want, in words; null = nothing was promised. */
  target: string | null
  met: boolean | null
  /** Losses above all; '' = nothing to add. */
  note: string
}

/** How many times better than a yardstick; below 1: worse. */
export function factor(figure: Figure, yardstick: Yardstick): number {
  return figure.better === 'lower' ? yardstick.value / figure.ours : figure.ours / yardstick.value
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

export interface Contestant {
  name: string
  /** Runs once; returns the figure. */
  run(): number | Promise<number>
}

/** Lets contestants take turns, after one turn each that does not count; the median of each, in their order. */
export async function interleave(rounds: number, contestants: readonly Contestant[]): Promise<Yardstick[]> {
  const values = contestants.map((): number[] => [])
  for (let round = 0; round <= rounds; round++) {
    for (const [i, contestant] of contestants.entries()) {
      globalThis.gc?.()
      const value = await contestant.run()
      if (round > 0) values[i].push(value)
    }
  }
  return contestants.map(({ name }, i) => ({ name, value: median(values[i]) }))
}

/** Milliseconds that an action takes. */
export function timed(action: () => void): number {
  const begin = performance.now()
  action()
  return performance.now() - begin
}
