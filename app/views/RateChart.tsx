// RateChart.tsx: requests per second, stacked by function, over the last minute.

import { useSignalEffect } from '@preact/signals'
import { useEffect, useRef, useState } from 'preact/hooks'
import uPlot from 'uplot'
import { functionName } from '../../src/formats/irp-names.ts'
import { formatCount, formatRate } from '../../src/formats/values.ts'
import type { FunctionIndex } from '../../src/protocol/ids.ts'
import { isLive, live, subscribeToCharts } from '../state/link.ts'
import { colour, themeStamp } from '../state/theme.ts'
import { functionColour } from '../text/function-colours.ts'
import type { ChartsFrame } from '../worker/frames.ts'
import { Legend, type LegendEntry } from './Legend.tsx'

interface Picture {
  rate: number
  legend: LegendEntry[]
}

export function RateChart() {
  const host = useRef<HTMLDivElement>(null)
  const [{ rate, legend }, setPicture] = useState<Picture>({ rate: Number.NaN, legend: [] })
  const chart = useRef<StackedChart | null>(null)

  useEffect(() => {
    const draw = () => {
      const frame = live.charts
      chart.current?.show(frame)
      setPicture({
        rate: frame?.rate ?? Number.NaN,
        legend: frame ? legendOf(frame, chart.current!.hovered) : [],
      })
    }
    const stacked = new StackedChart(host.current!, draw)
    chart.current = stacked
    const stop = subscribeToCharts(draw)
    return () => {
      stop()
      stacked.dispose()
    }
  }, [])
  useSignalEffect(() => {
    void themeStamp.value
    void isLive.value
    chart.current?.recolour()
  })

  const hovered = chart.current?.hovered ?? null
  const seconds = hovered === null ? null : secondsAgo(hovered)
  // What is no longer counted has no rate, though the minute before can still be looked at.
  const isKnown = isLive.value || hovered !== null
  return (
    <div class="panel rates">
      <div class="panel-head">
        <h2>Requests per second</h2>
        {seconds !== null && <span class="dim">{seconds}</span>}
        <span class="big" data-testid="rate">
          {Number.isNaN(rate) || !isLive.value ? '–' : formatCount(rate)}
          <small> /s</small>
        </span>
      </div>
      <div
        class="plot"
        ref={host}
        role="img"
        aria-label="Requests per second by function, over the last minute"
      />
      <Legend entries={isKnown ? legend : legend.map((entry) => ({ ...entry, value: '–' }))} />
    </div>
  )
}

const BINS_SHOWN = 240
const SECONDS_SHOWN = 60

/** What the right edge is called. */
function edge(): string {
  return isLive.peek() ? 'now' : 'end'
}

function secondsAgo(index: number): string {
  const ago = ((BINS_SHOWN - 1 - index) / (BINS_SHOWN - 1)) * SECONDS_SHOWN
  return ago < 0.5 ? edge() : `−${ago.toFixed(0)} s`
}

function legendOf(frame: ChartsFrame, hovered: number | null): LegendEntry[] {
  const last = BINS_SHOWN - 1
  return frame.series.map(({ functionIndex, rates }) => {
    // "Now" is the mean of a second: single bins flicker.
    const value =
      hovered === null
        ? (rates[last]! + rates[last - 1]! + rates[last - 2]! + rates[last - 3]!) / 4
        : rates[hovered]!
    return {
      key: functionIndex ?? -1,
      colour: functionColour(functionIndex),
      label: functionIndex === null ? 'others' : functionName(functionIndex),
      value: formatRate(value),
    }
  })
}

/** A round number needs no zeros at its end: `1.5 M`, `250 k`. */
function tick(value: number): string {
  const [amount, unit = ''] = formatRate(value).replace('/s', '').split(' ')
  return `${Number(amount)} ${unit}`.trim()
}

/** uPlot, kept up to date: stacked sums as its data, a band per function. */
class StackedChart {
  hovered: number | null = null
  private plot: uPlot | null = null
  private frame: ChartsFrame | null = null
  private functions: (FunctionIndex | null)[] = []
  private readonly resizes: ResizeObserver

  constructor(
    private readonly host: HTMLElement,
    private readonly onHover: () => void,
  ) {
    this.resizes = new ResizeObserver(() => this.plot?.setSize(this.size()))
    this.resizes.observe(host)
    this.build()
  }

  dispose(): void {
    this.resizes.disconnect()
    this.plot?.destroy()
  }

  recolour(): void {
    this.build()
  }

  show(frame: ChartsFrame | null): void {
    this.frame = frame
    const functions = frame?.series.map((series) => series.functionIndex) ?? []
    const same =
      functions.length === this.functions.length && functions.every((fn, i) => fn === this.functions[i])
    this.functions = functions
    if (same) this.plot?.setData(this.stacked())
    else this.build()
  }

  private size(): { width: number; height: number } {
    return { width: Math.max(1, this.host.clientWidth), height: Math.max(1, this.host.clientHeight) }
  }

  private stacked(): uPlot.AlignedData {
    const times = Float64Array.from(
      { length: BINS_SHOWN },
      (_, i) => ((i - BINS_SHOWN + 1) / (BINS_SHOWN - 1)) * SECONDS_SHOWN,
    )
    let below = new Float64Array(BINS_SHOWN)
    const sums = (this.frame?.series ?? []).map(({ rates }) => {
      below = below.map((sum, i) => sum + rates[i]!)
      return below
    })
    // Before the first request there is nothing to draw, not even a line at zero.
    const first = below.findIndex((sum) => sum > 0)
    const drawn = sums.map((values) => Array.from(values, (value, i) => (i < first - 1 ? null : value)))
    return [times, ...drawn]
  }

  private build(): void {
    this.plot?.destroy()
    const axis: uPlot.Axis = {
      stroke: colour('--faint'),
      font: `10px ${colour('--sans')}`,
      grid: { stroke: colour('--line'), width: 1 },
      ticks: { show: false },
      border: { show: false },
    }
    const options: uPlot.Options = {
      ...this.size(),
      // uPlot asks the environment for a locale; some WebKits have none to give.
      fmtDate: uPlot.fmtDate,
      padding: [6, 14, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
      scales: {
        x: { time: false, range: [-SECONDS_SHOWN, 0] },
        // Never so flat that single requests look like a storm.
        y: { range: (_plot, _min, max) => [0, Math.max(4, (max || 0) * 1.08)] },
      },
      axes: [
        {
          ...axis,
          size: 20,
          gap: 6,
          grid: { show: false },
          splits: [-60, -45, -30, -15, 0],
          values: (_plot, splits) => splits.map((at) => (at === 0 ? edge() : `−${-at} s`)),
        },
        {
          ...axis,
          size: 44,
          gap: 4,
          space: 24,
          values: (_plot, splits) => splits.map(tick),
        },
      ],
      series: [{}, ...this.functions.map((fn) => this.series(fn))],
      bands: this.functions.slice(1).map((_, i) => ({ series: [i + 2, i + 1] as [number, number] })),
      hooks: {
        setCursor: [
          (plot) => {
            const index = plot.cursor.idx ?? null
            const hovered = (plot.cursor.left ?? -1) < 0 ? null : index
            if (hovered === this.hovered) return
            this.hovered = hovered
            this.onHover()
          },
        ],
      },
    }
    this.plot = new uPlot(options, this.stacked(), this.host)
  }

  private series(fn: FunctionIndex | null): uPlot.Series {
    return {
      // No outline: where many bands are thin, that of the uppermost would be all that is seen.
      width: 0,
      fill: `color-mix(in srgb, ${colour(`--f${functionColour(fn)}`)} 82%, transparent)`,
      points: { show: false },
    }
  }
}
