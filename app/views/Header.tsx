// Header.tsx: the tool bar: which drivers, start and stop, record, filter, follow, clear, and the rest in a menu.

import { formatBytes } from '../../src/formats/values.ts'
import {
  canCapture,
  chooseDrivers,
  chooseRequests,
  clearRows,
  toggleRecording,
  toggleRunning,
} from '../state/actions.ts'
import { command, isLive, session, status } from '../state/link.ts'
import { openMenu } from '../state/menus.ts'
import { follow, toggleFollow } from '../state/query.ts'
import { FilterField } from './FilterField.tsx'
import { Icon } from './Icon.tsx'

/** More chips than this are summed up in one. */
const CHIPS = 2

export function Header() {
  const disabled = !canCapture.value
  // What is in a file has come to its end: nothing is started, followed or cleared.
  const isFile = session.value?.source === 'file'
  return (
    <div class="toolbar" role="toolbar" aria-label="Capture">
      <b class="brand">DriverMon</b>
      <DriverChips more={chooseDrivers} />
      {!isFile && <StartButtons disabled={disabled} />}
      {(!isFile || session.value?.recordedOnly) && <CaptureButton disabled={disabled} />}
      {!isFile && <RecordButton disabled={disabled} />}
      <FilterField />
      {!isFile && <LiveButtons disabled={disabled} />}
      <MoreButton />
    </div>
  )
}

function StartButtons({ disabled }: { disabled: boolean }) {
  const running = session.value?.running ?? false
  return (
    <>
      <button
        type="button"
        class="button"
        title="Choose drivers (D)"
        aria-label="Choose drivers"
        disabled={disabled}
        onClick={chooseDrivers}
      >
        <Icon name="plus" />
        <span class="label">Driver</span>
      </button>
      <button
        type="button"
        class={`button ${running ? '' : 'primary'}`}
        title={running ? 'Stop capturing (Space)' : 'Start a new capture (Space)'}
        aria-label={running ? 'Stop' : 'Start'}
        disabled={disabled}
        onClick={toggleRunning}
      >
        <Icon name={running ? 'stop' : 'play'} />
        <span class="label">{running ? 'Stop' : 'Start'}</span>
      </button>
    </>
  )
}

function LiveButtons({ disabled }: { disabled: boolean }) {
  return (
    <>
      <button
        type="button"
        class={`button ${follow.value ? 'on' : ''}`}
        title="Follow the newest requests (F)"
        aria-label="Follow"
        aria-pressed={follow.value}
        onClick={toggleFollow}
      >
        <Icon name="follow" />
        <span class="label">Follow</span>
      </button>
      <button
        type="button"
        class="button"
        title="Clear (Ctrl+X)"
        aria-label="Clear"
        disabled={disabled}
        onClick={clearRows}
      >
        <Icon name="clear" />
      </button>
    </>
  )
}

function DriverChips({ more }: { more: () => void }) {
  const drivers = session.value?.drivers ?? []
  const hidden = drivers.length - CHIPS
  return (
    <div class="chips">
      {drivers.slice(0, CHIPS).map(({ name }) => (
        <span class="chip" key={name} title={name}>
          <i class={`dot ${isLive.value ? 'ok' : ''}`} />
          <span>{name}</span>
          {canCapture.value && (
            <button
              type="button"
              title={`Stop watching ${name}`}
              aria-label={`Stop watching ${name}`}
              onClick={() => command({ type: 'removeDriver', name })}
            >
              <Icon name="close" />
            </button>
          )}
        </span>
      ))}
      {hidden > 0 && (
        <button
          type="button"
          class="chip more"
          title={drivers
            .slice(CHIPS)
            .map((driver) => driver.name)
            .join('\n')}
          onClick={more}
        >
          +{hidden}
        </button>
      )}
    </div>
  )
}

function MoreButton() {
  const isOpen = openMenu.value?.subject.kind === 'more'
  return (
    <button
      type="button"
      class="button"
      title="More"
      aria-label="More"
      aria-haspopup="menu"
      aria-expanded={isOpen}
      onClick={(event) => {
        const { right, bottom } = event.currentTarget.getBoundingClientRect()
        openMenu.value = isOpen ? null : { subject: { kind: 'more' }, x: right, y: bottom + 6, from: 'right' }
      }}
    >
      <Icon name="more" />
    </button>
  )
}

/** Where rows are not all requests, that must be seen, also of a file. */
function CaptureButton({ disabled }: { disabled: boolean }) {
  const only = session.value?.recordedOnly ?? ''
  return (
    <button
      type="button"
      class={`button ${only ? 'narrowed' : ''}`}
      title={only ? `Capture options (O)\nRecorded: ${only}` : 'Capture options: what is recorded (O)'}
      aria-label="Capture options"
      disabled={disabled}
      onClick={chooseRequests}
    >
      <Icon name="funnel" />
      {only && (
        <span class="only" data-testid="recorded-only">
          recorded: {only}
        </span>
      )}
    </button>
  )
}

function RecordButton({ disabled }: { disabled: boolean }) {
  const { recording: path = '', recordingFailure: failure = '' } = session.value ?? {}
  const written = path ? formatBytes(status.value?.recordedBytes ?? 0) : ''
  return (
    <button
      type="button"
      class={`button ${path ? 'recording' : failure ? 'unrecorded' : ''}`}
      title={path ? `Recording to ${path}\nStop recording (R)` : `Record to a file (R)\n${failure}`.trimEnd()}
      aria-label={path ? 'Stop recording' : 'Record'}
      aria-pressed={path !== ''}
      disabled={disabled}
      onClick={toggleRecording}
    >
      <i class="dot record" />
      <span class="label">{path ? written : failure ? 'Recording failed' : 'Record'}</span>
    </button>
  )
}
