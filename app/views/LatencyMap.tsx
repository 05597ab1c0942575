// LatencyMap.tsx: how long requests took, over the last minute: time to the right, latency upwards, stronger = more.

import { useSignalEffect } from '@preact/signals'
import { useEffect, useRef, useState } from 'preact/hooks'
import { formatCount, formatDuration, ticksToNs } from '../../src/formats/values.ts'
import { live, session, subscribeToCharts } from '../state/link.ts'
import { colour, themeStamp } from '../state/theme.ts'
import type { ChartsFrame } from '../worker/frames.ts'

const AXIS_PX = 44
const BOTTOM_PX = 4
/** Decades that an axis may name, in nanoseconds. */
const LABELS: [number, string][] = [
  [1e2, '100 ns'],
  [1e3, '1 µs'],
  [1e4, '10 µs'],
  [1e5, '100 µs'],
  [1e6, '1 ms'],
  [1e7, '10 ms'],
  [1e8, '100 ms'],
  [1e9, '1 s'],
  [1e10, '10 s'],
  [6e10, '1 min'],
  [6e11, '10 min'],
]
/** The axis covers at least this, so that it hardly ever changes. */
const LEAST_NS = 1e3
const MOST_NS = 1e8

interface Range {
  /** Buckets shown: from, to (exclusive). */
  low: number
  high: number
}

export function LatencyMap() {
  const canvas = useRef<HTMLCanvasElement>(null)
  const [frame, setFrame] = useState<ChartsFrame | null>(null)
  const [hover, setHover] = useState('')
  const pointer = useRef<{ x: number; y: number } | null>(null)
  const repaint = () => {
    const current = live.charts
    if (canvas.current) paint(canvas.current, current, ticksPerSecond())
    setHover(
      current && pointer.current && canvas.current ? under(canvas.current, current, pointer.current) : '',
    )
    setFrame(current)
  }
  useEffect(() => {
    const stop = subscribeToCharts(repaint)
    const resizes = new ResizeObserver(repaint)
    resizes.observe(canvas.current!)
    return () => {
      stop()
      resizes.disconnect()
    }
  }, [])
  useSignalEffect(() => {
    void themeStamp.value
    repaint()
  })

  const figure = (ticks: number | undefined) =>
    ticks === undefined || Number.isNaN(ticks) ? '–' : formatDuration(ticksToNs(ticks, ticksPerSecond()))
  return (
    <div class="panel latency">
      <div class="panel-head">
        <h2>Latency</h2>
        <span class="figures">
          p50 <b>{figure(frame?.percentiles.p50)}</b> p99 <b>{figure(frame?.percentiles.p99)}</b>{' '}
          <span class="optional">
            p99.9 <b>{figure(frame?.percentiles.p999)}</b>
          </span>
        </span>
      </div>
      <div class="plot">
        <canvas
          ref={canvas}
          role="img"
          aria-label="Latencies over the last minute"
          onPointerMove={(event) => {
            pointer.current = { x: event.offsetX, y: event.offsetY }
            repaint()
          }}
          onPointerLeave={() => {
            pointer.current = null
            repaint()
          }}
        />
      </div>
      <div class="legend note">{hover || 'last 60 s · stronger: more requests completed'}</div>
    </div>
  )
}

function ticksPerSecond(): number {
  return session.peek()?.ticksPerSecond ?? 1e7
}

/** The bucket, with its fraction, where a duration lies. */
function bucketOf(ns: number, perSecond: number): number {
  return Math.log2((ns / 1e9) * perSecond) + 1
}

function rangeOf(frame: ChartsFrame, perSecond: number): Range {
  let low = Math.max(0, Math.floor(bucketOf(LEAST_NS, perSecond)))
  let high = Math.ceil(bucketOf(MOST_NS, perSecond))
  frame.heat.forEach((value, i) => {
    if (value === 0) return
    const bucket = i % frame.buckets
    low = Math.min(low, bucket)
    high = Math.max(high, bucket + 1)
  })
  return { low, high: Math.min(high, frame.buckets) }
}

function paint(canvas: HTMLCanvasElement, frame: ChartsFrame | null, perSecond: number): void {
  const scale = devicePixelRatio
  const width = canvas.clientWidth
  const height = canvas.clientHeight
  if (width === 0 || height === 0) return
  if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale)
  if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale)
  const context = canvas.getContext('2d')!
  context.setTransform(scale, 0, 0, scale, 0, 0)
  context.clearRect(0, 0, width, height)
  if (!frame) return
  const range = rangeOf(frame, perSecond)
  const plotHeight = height - BOTTOM_PX
  paintAxis(context, range, width, plotHeight, perSecond)
  context.imageSmoothingEnabled = false
  context.drawImage(heatImage(frame, range), AXIS_PX, 0, width - AXIS_PX, plotHeight)
}

function paintAxis(
  context: CanvasRenderingContext2D,
  range: Range,
  width: number,
  height: number,
  perSecond: number,
): void {
  context.font = `10px ${colour('--sans')}`
  context.textAlign = 'right'
  context.textBaseline = 'middle'
  context.fillStyle = colour('--faint')
  context.strokeStyle = colour('--line')
  context.globalAlpha = 1
  let lastY = Number.POSITIVE_INFINITY
  for (const [ns, label] of LABELS) {
    const y = height * (1 - (bucketOf(ns, perSecond) - range.low) / (range.high - range.low))
    if (y < 6 || y > height - 5 || lastY - y < 18) continue
    lastY = y
    context.fillText(label, AXIS_PX - 6, y)
    context.beginPath()
    context.moveTo(AXIS_PX, Math.round(y) + 0.5)
    context.lineTo(width, Math.round(y) + 0.5)
    context.stroke()
  }
}

const image = document.createElement('canvas')

/** One pixel per bin and bucket, to be stretched. Counts differ by orders of magnitude: shade by their logarithm. */
function heatImage(frame: ChartsFrame, { low, high }: Range): HTMLCanvasElement {
  const bins = frame.heat.length / frame.buckets
  const rows = high - low
  image.width = bins
  image.height = rows
  const context = image.getContext('2d')!
  const pixels = context.createImageData(bins, rows)
  const [red, green, blue] = colour('--heat').split(',').map(Number) as [number, number, number]
  let most = 0
  for (const value of frame.heat) most = Math.max(most, value)
  const full = Math.log1p(most)
  for (let bin = 0; bin < bins; bin++) {
    for (let row = 0; row < rows; row++) {
      const value = frame.heat[bin * frame.buckets + (high - 1 - row)]!
      if (value === 0) continue
      const at = (row * bins + bin) * 4
      pixels.data[at] = red
      pixels.data[at + 1] = green
      pixels.data[at + 2] = blue
      pixels.data[at + 3] = 28 + 227 * (Math.log1p(value) / full) ** 1.6
    }
  }
  context.putImageData(pixels, 0, 0)
  return image
}

/** What the pointer is on, in words. */
function under(canvas: HTMLCanvasElement, frame: ChartsFrame, at: { x: number; y: number }): string {
  const perSecond = ticksPerSecond()
  const { low, high } = rangeOf(frame, perSecond)
  const bins = frame.heat.length / frame.buckets
  const bin = Math.floor(((at.x - AXIS_PX) / (canvas.clientWidth - AXIS_PX)) * bins)
  const bucket = high - 1 - Math.floor((at.y / (canvas.clientHeight - BOTTOM_PX)) * (high - low))
  if (bin < 0 || bin >= bins || bucket < low || bucket >= high) return ''
  const begin = (b: number) => formatDuration(ticksToNs(b === 0 ? 0 : 2 ** (b - 1), perSecond))
  const seconds = ((bins - bin) * frame.secondsPerBin).toFixed(0)
  const requests = formatCount(frame.heat[bin * frame.buckets + bucket]! / frame.secondsPerBin)
  return `−${seconds} s · ${begin(bucket)} – ${begin(bucket + 1)} · ${requests}/s`
}
