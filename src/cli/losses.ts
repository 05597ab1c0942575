// losses.ts: what a capture lacks, in words: records that were dropped, payload that could not be had, and requests that
// capture options kept out.

import { formatCount } from '../formats/values.ts'
import { LossReason } from '../protocol/layout.ts'
import type { Losses } from '../protocol/records.ts'

type Reason = keyof typeof LossReason

const DROPPED: Partial<Record<Reason, string>> = {
  RingFull: 'the ring was full',
  RecordTooLarge: 'too large for the ring',
  CompletionQuota: 'too many outstanding',
}

const WITHOUT_PAYLOAD: Partial<Record<Reason, string>> = {
  PayloadNoScratch: 'no scratch memory was left',
  PayloadFault: 'it could not be read',
}

/** `nothing dropped`, or `dropped: 12 starts, 3 ends (the ring was full)`; then what has no payload. */
export function describeLosses(losses: Losses): string {
  const dropped = describe(DROPPED, losses)
  if (losses.others > 0) dropped.push(`${formatCount(losses.others)} others`)
  const withoutPayload = describe(WITHOUT_PAYLOAD, losses)
  const parts = [dropped.length === 0 ? 'nothing dropped' : `dropped: ${dropped.join(', ')}`]
  if (withoutPayload.length > 0) parts.push(`without payload: ${withoutPayload.join(', ')}`)
  return parts.join('; ')
}

/** `recordedOnly` of a capture that was read, and not ''. */
export function describeRecordedOnly(recordedOnly: string): string {
  return `only some requests were recorded: ${recordedOnly}`
}

function describe(reasons: Partial<Record<Reason, string>>, losses: Losses): string[] {
  return Object.entries(reasons).flatMap(([name, words]) => {
    const reason = LossReason[name as Reason]
    const counts: string[] = []
    if (losses.starts[reason] > 0) counts.push(`${formatCount(losses.starts[reason])} starts`)
    if (losses.ends[reason] > 0) counts.push(`${formatCount(losses.ends[reason])} ends`)
    return counts.length === 0 ? [] : [`${counts.join(' and ')} (${words})`]
  })
}
