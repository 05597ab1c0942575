// InFlightTable.tsx: requests that have not ended, the oldest first: what is stuck, where, and for whom. It lists those
// that are not recorded, too.

import { formatCount, formatDuration, ticksToNs } from '../../src/formats/values.ts'
import type { InFlightList } from '../../src/protocol/wire.ts'
import { inFlight, session } from '../state/link.ts'
import { functionColour } from '../text/function-colours.ts'
import { inFlightName, inFlightTitle } from '../text/in-flight-text.ts'
import { shortDriverName } from '../text/row-text.ts'

export function InFlightTable() {
  const list = inFlight.value
  const running = session.value?.running ?? false
  if (!list) return <p class="note dim">{running ? 'Looking…' : 'Nothing is being captured.'}</p>
  if (list.requests.length === 0) return <p class="note dim">Every request has ended.</p>
  const oldest = list.at - list.requests[0]!.arrival
  return (
    <>
      <table class="in-flight">
        <thead>
          <tr>
            <th>Request</th>
            <th>Process</th>
            <th>Age</th>
          </tr>
        </thead>
        <tbody>
          {list.requests.map((request) => (
            <Row key={request.requestId} request={request} age={list.at - request.arrival} oldest={oldest} />
          ))}
        </tbody>
      </table>
      {list.total > list.requests.length && (
        <p class="note dim">
          The oldest {list.requests.length} of {formatCount(list.total)}.
        </p>
      )}
    </>
  )
}

interface RowProps {
  request: InFlightList['requests'][number]
  age: number
  oldest: number
}

function Row({ request, age, oldest }: RowProps) {
  const { processId, processName, driverName } = request
  const duration = formatDuration(ticksToNs(age, session.value!.ticksPerSecond))
  const share = oldest > 0 ? (age / oldest) * 100 : 0
  return (
    <tr title={inFlightTitle(request)}>
      <td>
        <span
          class="bar-cell marked"
          style={{
            '--share': `${share.toFixed(1)}%`,
            '--entry': `var(--f${functionColour(request.function)})`,
          }}
        >
          <small class="dim">{shortDriverName(driverName)}</small> {inFlightName(request)}
        </span>
      </td>
      <td>
        {processName || 'process'} <span class="dim">{processId}</span>
      </td>
      <td>{duration}</td>
    </tr>
  )
}
