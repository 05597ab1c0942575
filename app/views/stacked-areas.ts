// stacked-areas.ts: rates over time, one upon the other, on a canvas.
//
// Drawn by hand: what a chart library does beyond this weighs more than all of our own views.

import { formatRate } from '../../src/formats/values.ts'
import { colour } from '../state/theme.ts'
import { functionColour } from '../text/function-colours.ts'
import type { ChartsFrame, Series } from '../worker/frames.ts'
import { AXIS_PX, clearedSurface, drawGridLines, roundNumbers, type Surface } from './canvas.ts'

const TOP_PX = 6
const RIGHT_PX = 14
const BOTTOM_PX = 20
const LINE_EVERY_PX = 24
const TIME_LABELS = 5
/** Never so flat that single requests look like a storm. */
const LEAST_RATE = 4
const HEADROOM = 1.08

/** `hovered`: the bin that the pointer is on, or null. */
export function drawStackedAreas(
  canvas: HTMLCanvasElement,
  frame: ChartsFrame | null,
  hovered: number | null,
): void {
  const surface = clearedSurface(canvas)
  if (!surface) return
  const { context, width, height } = surface
  const bottom = height - BOTTOM_PX
  const sums = stackedSums(frame?.series ?? [])
  const top = sums.at(-1)
  const most = Math.max(LEAST_RATE, (top?.reduce((a, b) => Math.max(a, b), 0) ?? 0) * HEADROOM)
  const yOf = (rate: number) => bottom - (rate / most) * (bottom - TOP_PX)
  const lines = roundNumbers(most, (bottom - TOP_PX) / LINE_EVERY_PX)
  const plot: Surface = { context, width: width - RIGHT_PX, height }
  drawGridLines(
    plot,
    lines.map((rate) => [yOf(rate), formatRate(rate).replace('/s', '').trim()]),
  )
  if (!frame || !top) return
  drawTimes(plot, top.length * frame.secondsPerBin)
  // Before the first request there is nothing to draw, not even a line at zero.
  const first = Math.max(0, top.findIndex((sum) => sum > 0) - 1)
  const xOf = (bin: number) => AXIS_PX + (bin / (top.length - 1)) * (plot.width - AXIS_PX)
  for (const [i, { functionIndex }] of frame.series.entries()) {
    context.fillStyle = colour(`--f${functionColour(functionIndex)}`)
    context.strokeStyle = context.fillStyle
    drawBand(context, sums[i]!, i > 0 ? sums[i - 1]! : null, first, xOf, yOf)
  }
  if (hovered === null) return
  context.strokeStyle = colour('--faint')
  context.setLineDash([3, 3])
  context.beginPath()
  context.moveTo(xOf(hovered), TOP_PX)
  context.lineTo(xOf(hovered), bottom)
  context.stroke()
  context.setLineDash([])
}

/** The bin under a pointer, given in CSS pixels from the canvas' left, or null beside the plot. */
export function binAt(canvas: HTMLCanvasElement, x: number, bins: number): number | null {
  const part = (x - AXIS_PX) / (canvas.clientWidth - RIGHT_PX - AXIS_PX)
  return part < 0 || part > 1 ? null : Math.round(part * (bins - 1))
}

function stackedSums(series: readonly Series[]): Float64Array[] {
  let below: Float64Array | null = null
  return series.map(({ rates }) => {
    const sum: Float64Array = below ? below.map((value, i) => value + rates[i]!) : rates
    below = sum
    return sum
  })
}

function drawBand(
  context: CanvasRenderingContext2D,
  upper: Float64Array,
  lower: Float64Array | null,
  first: number,
  xOf: (bin: number) => number,
  yOf: (rate: number) => number,
): void {
  const line = new Path2D()
  line.moveTo(xOf(first), yOf(upper[first]!))
  for (let bin = first + 1; bin < upper.length; bin++) line.lineTo(xOf(bin), yOf(upper[bin]!))
  const area = new Path2D(line)
  for (let bin = upper.length - 1; bin >= first; bin--) area.lineTo(xOf(bin), yOf(lower?.[bin] ?? 0))
  context.globalAlpha = 0.78
  context.fill(area)
  context.globalAlpha = 1
  context.stroke(line)
}

function drawTimes({ context, width, height }: Surface, seconds: number): void {
  context.textAlign = 'center'
  context.fillStyle = colour('--faint')
  for (let i = 0; i < TIME_LABELS; i++) {
    const part = i / (TIME_LABELS - 1)
    const ago = Math.round(seconds * (1 - part))
    context.fillText(ago === 0 ? 'now' : `−${ago} s`, AXIS_PX + part * (width - AXIS_PX), height - 8)
  }
}
