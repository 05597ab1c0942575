// Legend.tsx: as many entries as fit into one line, and how many more there are.

import { useLayoutEffect, useRef, useState } from 'preact/hooks'

export interface LegendEntry {
  key: number
  colour: number
  label: string
  value: string
}

/** Room kept for `+12 more`. */
const MORE_PX = 66

export function Legend({ entries }: { entries: LegendEntry[] }) {
  const line = useRef<HTMLDivElement>(null)
  const [fits, setFits] = useState(entries.length)
  const [width, setWidth] = useState(0)
  useLayoutEffect(() => {
    const resizes = new ResizeObserver(() => setWidth(line.current!.clientWidth))
    resizes.observe(line.current!)
    return () => resizes.disconnect()
  }, [])
  // A value keeps its room, however many digits it has: only other labels need measuring.
  const labels = entries.map(({ label }) => label).join()
  useLayoutEffect(() => {
    const items = [...line.current!.querySelectorAll<HTMLElement>('.legend-entry')]
    const ends = items.map((item) => item.offsetLeft + item.offsetWidth)
    const all = ends.length === 0 || ends[ends.length - 1]! <= width
    setFits(all ? ends.length : ends.filter((end) => end <= width - MORE_PX).length)
  }, [labels, width])

  const hidden = entries.slice(fits)
  return (
    <div class="legend" ref={line}>
      {entries.map((entry, index) => (
        <span
          key={entry.key}
          class="legend-entry"
          style={{ '--entry': `var(--f${entry.colour})`, visibility: index < fits ? 'visible' : 'hidden' }}
        >
          <i />
          {entry.label} <b>{entry.value}</b>
        </span>
      ))}
      {hidden.length > 0 && (
        <span class="legend-more" title={hidden.map(({ label, value }) => `${label} ${value}`).join('\n')}>
          +{hidden.length} more
        </span>
      )}
    </div>
  )
}
