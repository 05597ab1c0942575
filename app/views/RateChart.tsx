// RateChart.tsx: requests per second, stacked by function, over the last minute.

import { useSignalEffect } from '@preact/signals'
import { useEffect, useRef, useState } from 'preact/hooks'
import { functionName } from '../../src/formats/irp-names.ts'
import { formatCount, formatRate } from '../../src/formats/values.ts'
import { live, subscribeToCharts } from '../state/link.ts'
import { themeStamp } from '../state/theme.ts'
import { functionColour } from '../text/function-colours.ts'
import type { ChartsFrame } from '../worker/frames.ts'
import { Legend, type LegendEntry } from './Legend.tsx'
import { binAt, drawStackedAreas } from './stacked-areas.ts'

/** "Now" is the mean of this many bins, a second: single ones flicker. */
const RECENT_BINS = 4

interface Picture {
  frame: ChartsFrame | null
  hovered: number | null
}

export function RateChart() {
  const canvas = useRef<HTMLCanvasElement>(null)
  const pointerX = useRef<number | null>(null)
  const [{ frame, hovered }, setPicture] = useState<Picture>({ frame: null, hovered: null })
  const repaint = () => {
    const frame = live.charts
    const bins = frame?.series[0]?.rates.length ?? 0
    const x = pointerX.current
    const hovered = x === null || bins === 0 ? null : binAt(canvas.current!, x, bins)
    drawStackedAreas(canvas.current!, frame, hovered)
    setPicture({ frame, hovered })
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

  return (
    <div class="panel rates">
      <div class="panel-head">
        <h2>Requests per second</h2>
        {frame && hovered !== null && <span class="dim">{timeOf(frame, hovered)}</span>}
        <span class="big" data-testid="rate">
          {frame ? formatCount(frame.rate) : '–'}
          <small> /s</small>
        </span>
      </div>
      <div class="plot">
        <canvas
          ref={canvas}
          role="img"
          aria-label="Requests per second by function, over the last minute"
          onPointerMove={(event) => {
            pointerX.current = event.offsetX
            repaint()
          }}
          onPointerLeave={() => {
            pointerX.current = null
            repaint()
          }}
        />
      </div>
      <Legend entries={frame ? legendOf(frame, hovered) : []} />
    </div>
  )
}

function timeOf({ series, secondsPerBin }: ChartsFrame, bin: number): string {
  const ago = (series[0]!.rates.length - 1 - bin) * secondsPerBin
  return ago < 0.5 ? 'now' : `−${ago.toFixed(0)} s`
}

function legendOf(frame: ChartsFrame, hovered: number | null): LegendEntry[] {
  return frame.series.map(({ functionIndex, rates }) => {
    const recent = rates.subarray(-RECENT_BINS)
    const value = hovered === null ? recent.reduce((a, b) => a + b, 0) / recent.length : rates[hovered]!
    return {
      key: functionIndex ?? -1,
      colour: functionColour(functionIndex),
      label: functionIndex === null ? 'others' : functionName(functionIndex),
      value: formatRate(value),
    }
  })
}
