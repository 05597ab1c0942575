// OpenDialog.tsx: the dialog that is open, if any.

import { useSignalEffect } from '@preact/signals'
import type { ComponentType } from 'preact'
import { type DialogName, openDialog } from '../state/dialogs.ts'
import { connection } from '../state/link.ts'
import { lazily } from './lazily.tsx'

const DIALOGS: Record<DialogName, ComponentType> = {
  drivers: lazily(() => import('./DriverPicker.tsx').then((module) => module.DriverPicker)),
  capture: lazily(() => import('./CaptureDialog.tsx').then((module) => module.CaptureDialog)),
  record: lazily(() => import('./RecordDialog.tsx').then((module) => module.RecordDialog)),
  restart: lazily(() => import('./RestartDialog.tsx').then((module) => module.RestartDialog)),
  memory: lazily(() => import('./MemoryDialog.tsx').then((module) => module.MemoryDialog)),
  shortcuts: lazily(() => import('./ShortcutsDialog.tsx').then((module) => module.ShortcutsDialog)),
}

export function OpenDialog() {
  // Without a core nothing can be done in one, and it hides what has happened.
  useSignalEffect(() => {
    if (connection.value.kind === 'lost') openDialog.value = null
  })
  const View = openDialog.value && DIALOGS[openDialog.value]
  return View && <View />
}
