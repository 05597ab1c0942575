// turns.ts: lets live views draw one after another, each in an animation frame of its own.
//
// Grid, chart, heat map and lists drawn in the same frame make a task of 15 ms; spread out, none is longer than 5.
// What follows the hand, the grid, draws in the very next frame, and the others wait while it keeps drawing, but not
// for long. A view that is marked again before its turn draws once, with the newest data.

/** Frames for which the others wait at most. */
const LONGEST_WAIT = 6

export class Turns {
  private readonly urgent = new Set<() => void>()
  private readonly waiting = new Set<() => void>()
  private waited = 0
  private scheduled = false

  constructor(private readonly nextFrame: (callback: () => void) => void = requestAnimationFrame) {}

  /** Draws at the view's next turn. */
  mark(draw: () => void): void {
    this.waiting.add(draw)
    this.schedule()
  }

  /** Draws in the next frame. */
  markFirst(draw: () => void): void {
    this.urgent.add(draw)
    this.schedule()
  }

  /** Forgets a view that is gone. */
  drop(draw: () => void): void {
    this.urgent.delete(draw)
    this.waiting.delete(draw)
  }

  private schedule(): void {
    if (this.scheduled || this.urgent.size + this.waiting.size === 0) return
    this.scheduled = true
    this.nextFrame(() => {
      this.scheduled = false
      this.drawFrame()
      this.schedule()
    })
  }

  private drawFrame(): void {
    const first = [...this.urgent]
    this.urgent.clear()
    for (const draw of first) draw()
    const [next] = this.waiting
    if (!next || (first.length > 0 && this.waited++ < LONGEST_WAIT)) return
    this.waited = 0
    this.waiting.delete(next)
    next()
  }
}

export const turns = new Turns((callback) => requestAnimationFrame(callback))
