// Charts.tsx: the three panels on top: rates, latencies, top lists. Each draws at a turn of its own (state/turns.ts).

import { LatencyMap } from './LatencyMap.tsx'
import { RateChart } from './RateChart.tsx'
import { TopTable } from './TopTable.tsx'

export function Charts() {
  return (
    <section class="charts" aria-label="Charts">
      <RateChart />
      <LatencyMap />
      <TopTable />
    </section>
  )
}
