// TopTable.tsx: who is busiest right now: functions or drivers, with their errors and bytes; and what is in flight.

import { useEffect, useState } from 'preact/hooks'
import { functionName } from '../../src/formats/irp-names.ts'
import { formatBytes, formatCount, formatRate } from '../../src/formats/values.ts'
import type { DriverId, FunctionIndex } from '../../src/protocol/ids.ts'
import { isLive, live, names, subscribeToCharts } from '../state/link.ts'
import { followInFlight, TABS, type Tab, topTab } from '../state/top-panel.ts'
import { functionColour } from '../text/function-colours.ts'
import { shortDriverName } from '../text/row-text.ts'
import type { ChartsFrame, TopEntry } from '../worker/frames.ts'
import { lazily } from './lazily.tsx'

const InFlightTable = lazily(() => import('./InFlightTable.tsx').then((module) => module.InFlightTable))

export function TopTable() {
  const tab = topTab.value
  const [frame, setFrame] = useState<ChartsFrame | null>(null)
  useEffect(() => subscribeToCharts(() => setFrame(live.charts)), [])
  useEffect(followInFlight, [])
  return (
    <div class="panel top">
      <div class="tabs" role="tablist" aria-label="Busiest">
        {TABS.map((name) => (
          <button
            key={name}
            type="button"
            role="tab"
            aria-selected={tab === name}
            onClick={() => {
              topTab.value = name
            }}
          >
            {name}
          </button>
        ))}
      </div>
      <div class="top-scroll">
        {tab === 'In flight' ? <InFlightTable /> : <Busiest tab={tab} frame={frame} />}
      </div>
    </div>
  )
}

function Busiest({ tab, frame }: { tab: Tab; frame: ChartsFrame | null }) {
  const entries = (tab === 'Function' ? frame?.functions : frame?.drivers) ?? []
  const most = Math.max(1, ...entries.map((entry) => entry.requests))
  return (
    <table>
      <thead>
        <tr>
          <th>{tab}</th>
          <th>Req/s</th>
          <th>Err/s</th>
          <th class="bytes">Bytes/s</th>
        </tr>
      </thead>
      <tbody>
        {entries.map((entry) => (
          <Row key={entry.key} tab={tab} entry={entry} share={entry.requests / most} />
        ))}
      </tbody>
    </table>
  )
}

function Row({ tab, entry, share }: { tab: Tab; entry: TopEntry; share: number }) {
  const now = isLive.value
  const full =
    tab === 'Function'
      ? functionName(entry.key as FunctionIndex)
      : (names.drivers.get(entry.key as DriverId) ?? `driver ${entry.key}`)
  const colour =
    tab === 'Function' ? `var(--f${functionColour(entry.key as FunctionIndex)})` : 'var(--accent)'
  return (
    <tr>
      <td title={now ? `${full}: ${formatCount(entry.pended)} pended per second` : full}>
        <span
          class={`bar-cell ${tab === 'Function' ? 'marked' : ''}`}
          style={{ '--share': now ? `${(share * 100).toFixed(1)}%` : 0, '--entry': colour }}
        >
          {tab === 'Function' ? full : shortDriverName(full)}
        </span>
      </td>
      <td>{now ? rate(entry.requests) : '–'}</td>
      <td class={now && entry.errors > 0 ? 'error' : 'faint'}>{now ? rate(entry.errors) : '–'}</td>
      <td class="bytes dim">{now && entry.bytes > 0 ? formatBytes(Math.round(entry.bytes)) : ''}</td>
    </tr>
  )
}

/** The column's head says "per second". */
function rate(perSecond: number): string {
  return formatRate(perSecond).replace('/s', '').trim()
}
