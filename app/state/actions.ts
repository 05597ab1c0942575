// actions.ts: what a person can do from anywhere: buttons, menu and shortcuts all end here.

import { computed } from '@preact/signals'
import { openDialog } from './dialogs.ts'
import { command, connection, session, status } from './link.ts'

/** There is a core to talk to, and a source that can be captured from: a file has only been. */
export const canCapture = computed(
  () => connection.value.kind === 'open' && session.value !== null && session.value.source !== 'file',
)

export function chooseDrivers(): void {
  if (canCapture.value) openDialog.value = 'drivers'
}

export function chooseRequests(): void {
  if (canCapture.value) openDialog.value = 'capture'
}

export function toggleRunning(): void {
  if (!canCapture.value) return
  const { running, drivers } = session.value!
  if (running) command({ type: 'stop' })
  else if (drivers.length === 0) chooseDrivers()
  else if (status.value && status.value.rows > 0) openDialog.value = 'restart'
  else command({ type: 'start' })
}

export function toggleRecording(): void {
  if (!canCapture.value) return
  if (session.value!.recording) command({ type: 'stopRecord' })
  else openDialog.value = 'record'
}

export function clearRows(): void {
  if (canCapture.value) command({ type: 'clear' })
}
