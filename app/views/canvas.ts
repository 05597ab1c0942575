// canvas.ts: what the charts' canvases have in common: sharp on every screen, and labels that are round numbers.

import { colour } from '../state/theme.ts'

/** Room for the labels of the axis on the left. */
export const AXIS_PX = 44

export interface Surface {
  context: CanvasRenderingContext2D
  /** In CSS pixels, which are also the context's. */
  width: number
  height: number
}

/** The canvas, cleared, with a pixel for each of the screen's; null while it has no size. */
export function clearedSurface(canvas: HTMLCanvasElement): Surface | null {
  const { clientWidth: width, clientHeight: height } = canvas
  if (width === 0 || height === 0) return null
  const scale = devicePixelRatio
  if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale)
  if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale)
  const context = canvas.getContext('2d')!
  context.setTransform(scale, 0, 0, scale, 0, 0)
  context.clearRect(0, 0, width, height)
  return { context, width, height }
}

/** Lines across the plot, each with its label on the left. */
export function drawGridLines(
  { context, width }: Surface,
  lines: readonly [y: number, label: string][],
): void {
  context.font = `10px ${colour('--sans')}`
  context.textAlign = 'right'
  context.textBaseline = 'middle'
  context.fillStyle = colour('--faint')
  context.strokeStyle = colour('--line')
  context.lineWidth = 1
  context.globalAlpha = 1
  for (const [y, label] of lines) {
    context.fillText(label, AXIS_PX - 6, y)
    context.beginPath()
    context.moveTo(AXIS_PX, Math.round(y) + 0.5)
    context.lineTo(width, Math.round(y) + 0.5)
    context.stroke()
  }
}

/** 0, and multiples of 1, 2 or 5 times a power of ten up to `most`: at most as many as there is room for. */
export function roundNumbers(most: number, room: number): number[] {
  const least = most / Math.max(1, room)
  const decade = 10 ** Math.floor(Math.log10(least))
  const step = [1, 2, 5, 10].map((factor) => factor * decade).find((each) => each >= least)!
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, i) => i * step)
}
