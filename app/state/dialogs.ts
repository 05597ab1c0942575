// dialogs.ts: which dialog is open. At most one is.

import { signal } from '@preact/signals'

export type DialogName = 'drivers' | 'capture' | 'record' | 'restart' | 'memory' | 'shortcuts'

export const openDialog = signal<DialogName | null>(null)
