// StatusBar.tsx: the truth about what is shown: where it comes from, how much there is, and what was lost.

import { formatBytes, formatCount } from '../../src/formats/values.ts'
import { LossReason } from '../../src/protocol/layout.ts'
import { openDialog } from '../state/dialogs.ts'
import { connection, session, status } from '../state/link.ts'
import { showInFlight } from '../state/top-panel.ts'
import type { Status } from '../worker/frames.ts'

type Reasons = [reason: number, label: string][]

/** Records that are not there. */
const DROPPED: Reasons = [
  [LossReason.RingFull, 'ring full'],
  [LossReason.RecordTooLarge, 'record too large'],
]
/** Records that are there, and lack something. They are no drops. */
const WITHOUT_PAYLOAD: Reasons = [
  [LossReason.PayloadNoScratch, 'no scratch memory'],
  [LossReason.PayloadFault, 'caller’s memory could not be read'],
]
const WITHOUT_END: Reasons = [[LossReason.CompletionQuota, 'too many requests outstanding']]

export function StatusBar() {
  const state = session.value
  const counts = status.value
  return (
    <footer class="status-bar">
      <Source />
      {counts && (
        <>
          <Item
            id="requests"
            value={formatCount(counts.rows + counts.evictedRows)}
            after="requests"
            title={storedTitle(counts)}
          />
          <Item id="shown" value={formatCount(counts.shown)} after="shown" />
          <Unrecorded counts={counts} />
          <Dropped counts={counts} />
          <Incomplete id="no-payload" before="no payload" counts={counts} reasons={WITHOUT_PAYLOAD} />
          <Incomplete id="no-end" before="no end" counts={counts} reasons={WITHOUT_END} />
          <Item
            id="unpaired"
            before="unpaired"
            value={formatCount(counts.unpaired)}
            title={
              session.value?.running
                ? 'Ends whose start was not recorded'
                : 'Ends whose start was not recorded, and starts whose end was not'
            }
          />
          <InFlight counts={counts} />
          <span class="space" />
          <Memory counts={counts} />
          {counts.ringSize > 0 && (
            <Item
              id="ring"
              before="ring"
              value={percent(counts.ringUsed, counts.ringSize)}
              tone={counts.ringUsed > counts.ringSize * 0.8 ? 'warn' : ''}
              title={`The driver’s buffers: ${formatBytes(counts.ringUsed)} of ${formatBytes(counts.ringSize)} in use`}
            />
          )}
        </>
      )}
      {state?.driverVersion && <span class="optional">driver {state.driverVersion}</span>}
    </footer>
  )
}

function Source() {
  const link = connection.value
  const state = session.value
  if (link.kind !== 'open')
    return (
      <span class="error" role="status">
        <i class="dot err" /> {link.kind === 'connecting' ? 'connecting…' : 'not connected'}
      </span>
    )
  if (!state) return <span>…</span>
  const tone = state.running ? 'ok' : ''
  const mode = state.source === 'file' ? 'File' : state.running ? 'Live' : 'Stopped'
  return (
    <span class="source" title={state.sourceLabel}>
      <i class={`dot ${tone}`} /> {mode}
      {state.source === 'sim' ? <b class="badge">{state.sourceLabel}</b> : <span>{state.sourceLabel}</span>}
    </span>
  )
}

/** Charts count these, rows do not. */
function Unrecorded({ counts: { filtered, sampledOut } }: { counts: Status }) {
  if (filtered + sampledOut === 0) return null
  return (
    <Item
      id="unrecorded"
      before="not recorded"
      value={formatCount(filtered + sampledOut)}
      title={`Kept out by capture options: ${formatCount(filtered)}\nKept out by sampling: ${formatCount(sampledOut)}`}
    />
  )
}

function InFlight({ counts }: { counts: Status }) {
  const running = session.value?.running ?? false
  // The driver's count has also those that are not recorded.
  const value = formatCount(running ? counts.outstanding : counts.inFlight)
  if (!running)
    return <Item id="in-flight" before="in flight" value={value} title="Requests that have not ended" />
  return (
    <button
      type="button"
      title="Requests that have not ended yet: show the oldest"
      data-item="in-flight"
      onClick={showInFlight}
    >
      in flight <b>{value}</b>
    </button>
  )
}

function Memory({ counts: { storeBytes, budgetBytes } }: { counts: Status }) {
  return (
    <button
      type="button"
      title="Memory for rows and payload; when it is used up, the oldest rows leave. Press to change it"
      data-item="store"
      onClick={() => {
        openDialog.value = 'memory'
      }}
    >
      rows <b>{formatBytes(storeBytes)}</b> of {formatBytes(budgetBytes)}
    </button>
  )
}

function lossesFor(reasons: Reasons, counts: Status): { total: number; lines: string[] } {
  const lost = reasons.map(([reason, label]): [string, number, number] => [
    label,
    counts.droppedStarts[reason] ?? 0,
    counts.droppedEnds[reason] ?? 0,
  ])
  return {
    total: lost.reduce((sum, [, starts, ends]) => sum + starts + ends, 0),
    lines: lost
      .filter(([, starts, ends]) => starts + ends > 0)
      .map(([label, starts, ends]) => `${label}: ${formatCount(starts)} starts, ${formatCount(ends)} ends`),
  }
}

function Incomplete(props: { id: string; before: string; counts: Status; reasons: Reasons }) {
  const { total, lines } = lossesFor(props.reasons, props.counts)
  if (total === 0) return null
  return <Item id={props.id} before={props.before} value={formatCount(total)} title={lines.join('\n')} />
}

function Dropped({ counts }: { counts: Status }) {
  const { total: records, lines } = lossesFor(DROPPED, counts)
  const total = records + counts.droppedOthers
  if (counts.droppedOthers > 0) lines.push(`other records: ${formatCount(counts.droppedOthers)}`)
  return (
    <Item
      id="dropped"
      before="dropped"
      value={formatCount(total)}
      tone={total > 0 ? 'error' : 'ok'}
      title={lines.length > 0 ? lines.join('\n') : 'No record was lost'}
    />
  )
}

interface ItemProps {
  /** For tests. */
  id: string
  before?: string
  value: string
  after?: string
  tone?: string
  title?: string
}

function Item({ id, before, value, after, tone = '', title }: ItemProps) {
  return (
    <span title={title} data-item={id}>
      {before && `${before} `}
      <b class={tone}>{value}</b>
      {after && ` ${after}`}
    </span>
  )
}

/** A part that is there, however small, is not shown as nothing. */
function percent(part: number, whole: number): string {
  if (!(whole > 0) || part <= 0) return '0 %'
  const value = (part / whole) * 100
  return value < 1 ? '< 1 %' : `${Math.round(value)} %`
}

function storedTitle(counts: Status): string {
  return counts.evictedRows > 0
    ? `${formatCount(counts.rows)} are in memory; the oldest ${formatCount(counts.evictedRows)} have left it`
    : 'All are in memory'
}
