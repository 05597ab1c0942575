// actions.ts: what a person can do from anywhere: buttons, menu and shortcuts all end here.

import { openDialog } from './dialogs.ts'
import { command, session } from './link.ts'

export function toggleRunning(): void {
  const state = session.value
  if (!state) return
  if (state.running) command({ type: 'stop' })
  else if (state.drivers.length === 0) openDialog.value = 'drivers'
  else command({ type: 'start' })
}

export function toggleRecording(): void {
  if (session.value?.recording) command({ type: 'stopRecord' })
  else openDialog.value = 'record'
}

export function clearRows(): void {
  command({ type: 'clear' })
}
