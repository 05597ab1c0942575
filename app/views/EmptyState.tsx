// EmptyState.tsx: what stands in the grid's place when it has nothing to show: why, and what to do.

import type { ComponentChildren } from 'preact'
import { chooseDrivers, toggleRunning } from '../state/actions.ts'
import { connection, isSettled, reconnect, session, status } from '../state/link.ts'
import { filter, setFilter } from '../state/query.ts'
import { Icon, type IconName } from './Icon.tsx'

export function EmptyState() {
  const link = connection.value
  const state = session.value
  const counts = status.value
  if (link.kind === 'mismatch')
    return (
      <Message icon="warning" title="This page is older or newer than the core">
        <p>
          The core is version {link.coreVersion || 'unknown'}. Load the page again to get the one that fits.
        </p>
        <Act label="Reload" run={() => location.reload()} />
      </Message>
    )
  if (link.kind === 'lost')
    return (
      <Message icon="plug" title="No connection to the core">
        <p>
          DriverMon’s core has ended or cannot be reached. What it captured to a file is safe. Start{' '}
          <code>drivermon</code> again and open the address that it prints; this page keeps trying by itself.
        </p>
        <Act label="Try now" run={reconnect} />
      </Message>
    )
  if (link.kind === 'connecting' || !state) return <Message icon="plug" title="Connecting to the core…" />
  if (counts && counts.rows > 0) {
    if (counts.shown > 0 || filter.value === '' || !isSettled.value) return null
    return (
      <Message icon="search" title="No request matches the filter">
        <p>
          <code>{filter.value}</code>
        </p>
        <Act label="Clear the filter" run={() => setFilter('')} />
      </Message>
    )
  }
  if (state.drivers.length === 0)
    return (
      <Message icon="plus" title="No driver is being watched">
        <p>Choose one or more drivers; then every request that goes to their devices appears here.</p>
        <Act label="Choose a driver" keys="D" run={chooseDrivers} />
      </Message>
    )
  const watched = state.drivers.map((driver) => driver.name).join(', ')
  if (!state.running)
    return (
      <Message icon="play" title="Ready">
        <p>Start capturing the requests that go to {watched}.</p>
        <Act label="Start" keys="Space" run={toggleRunning} />
      </Message>
    )
  return (
    <Message icon="follow" title="Waiting for the first request">
      <p>Nothing has been asked of {watched} yet.</p>
    </Message>
  )
}

function Message({ icon, title, children }: { icon: IconName; title: string; children?: ComponentChildren }) {
  return (
    <div class="empty-state" role="status">
      <Icon name={icon} />
      <h2>{title}</h2>
      {children}
    </div>
  )
}

function Act({ label, keys, run }: { label: string; keys?: string; run: () => void }) {
  return (
    <button type="button" class="button primary" onClick={run}>
      {label}
      {keys && <kbd>{keys}</kbd>}
    </button>
  )
}
