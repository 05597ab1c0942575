// DetailPane.tsx: everything about the selected request: its course, its fields, its bytes.

import '../styles/detail.css'
import { formatCount } from '../../src/formats/values.ts'
import type { RowId } from '../../src/protocol/ids.ts'
import { detail, goTo, session } from '../state/link.ts'
import { describe, missedText, noInputText, noOutputText } from '../text/detail-text.ts'
import type { Detail, PayloadBytes } from '../worker/frames.ts'
import { HexView } from './HexView.tsx'
import { focusGrid } from './shortcuts.ts'

export function DetailPane() {
  const shown = detail.value
  if (!shown) return <Hint text="…" />
  if (!shown.detail)
    return (
      <Hint text="This request has left the store; it is still in the capture file, if one was recorded." />
    )
  return (
    <section class="detail" aria-label="Selected request">
      <Fields detail={shown.detail} />
      <PayloadPanel
        key={`in-${shown.row}`}
        field="input"
        title={shown.detail.input.isName ? 'File name' : 'Input'}
        payload={shown.detail.input}
        nothing={noInputText(shown.detail)}
      />
      <PayloadPanel
        key={`out-${shown.row}`}
        field="output"
        title="Output"
        payload={shown.detail.output}
        nothing={noOutputText(shown.detail)}
      />
    </section>
  )
}

function Hint({ text }: { text: string }) {
  return (
    <section class="detail empty" aria-label="Selected request">
      <p class="dim">{text}</p>
    </section>
  )
}

function Fields({ detail: request }: { detail: Detail }) {
  const state = session.value
  if (!state) return null
  const text = describe(request, state)
  return (
    <div class="panel fields">
      <div class="panel-head">
        <h2 title={text.title}>{text.title}</h2>
        <span class="mono dim">{text.code}</span>
      </div>
      <div class={`timeline ${text.course} ${text.ending}`} style={{ '--fn': `var(--f${text.colour})` }}>
        <i />
        <i />
        <i />
      </div>
      <div class="timeline-text">
        {text.steps.map((step) => (
          <span key={step}>{step}</span>
        ))}
      </div>
      <dl>
        {text.fields.map(({ name, value, extra, tone, mono, row }) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd class={mono ? 'mono' : ''} title={`${value} ${extra ?? ''}`}>
              {row === undefined ? (
                <span class={tone ?? ''}>{value}</span>
              ) : (
                <button type="button" class="link" onClick={() => follow(row)}>
                  {value}
                </button>
              )}{' '}
              {extra && <span class={extra.startsWith('0x') ? 'mono dim' : 'dim'}>{extra}</span>}
            </dd>
          </div>
        ))}
      </dl>
    </div>
  )
}

/** The link will be another row's by then: the keys go on from the row. */
function follow(row: RowId): void {
  goTo(row)
  focusGrid()
}

interface PayloadProps {
  field: 'input' | 'output'
  title: string
  payload: PayloadBytes
  nothing: string
}

function PayloadPanel({ field, title, payload, nothing }: PayloadProps) {
  const { bytes, total, isName, missed } = payload
  const name = isName ? new TextDecoder('utf-16le').decode(bytes) : ''
  const size =
    bytes.length === total
      ? `${formatCount(total)} bytes`
      : `${formatCount(bytes.length)} of ${formatCount(total)} bytes captured`
  return (
    <div class="panel payload" data-payload={title}>
      <div class="panel-head">
        <h2>{title}</h2>
        <span class="dim">{total > 0 || bytes.length > 0 ? size : nothing}</span>
      </div>
      {missed && <p class="warning">{missedText(missed)}</p>}
      {name && <p class="file-name mono">{name}</p>}
      {bytes.length > 0 && <HexView bytes={bytes} label={title} field={field} />}
    </div>
  )
}
