// more.ts: what is wanted rarely: theme, panels, columns, memory, the list of keys.

import type { Signal } from '@preact/signals'
import { openDialog } from '../state/dialogs.ts'
import { chartsOpen, detailOpen, type Theme, theme } from '../state/settings.ts'
import { columnChecks } from './column.ts'
import type { MenuEntry } from './entry.ts'

const THEMES: [Theme, string][] = [
  ['system', 'As the system'],
  ['light', 'Light'],
  ['dark', 'Dark'],
]

export function moreMenu(): MenuEntry[] {
  return [
    { kind: 'heading', label: 'Theme' },
    ...THEMES.map(
      ([value, label]): MenuEntry => ({
        kind: 'radio',
        label,
        on: theme.value === value,
        run: () => {
          theme.value = value
        },
      }),
    ),
    { kind: 'heading', label: 'Panels' },
    toggle('Charts', chartsOpen),
    toggle('Details', detailOpen),
    { kind: 'heading', label: 'Columns' },
    ...columnChecks(),
    { kind: 'line' },
    {
      kind: 'action',
      label: 'Memory for rows',
      run: () => {
        openDialog.value = 'memory'
      },
    },
    {
      kind: 'action',
      label: 'Keyboard shortcuts',
      keys: '?',
      run: () => {
        openDialog.value = 'shortcuts'
      },
    },
  ]
}

function toggle(label: string, setting: Signal<boolean>): MenuEntry {
  return {
    kind: 'check',
    label,
    on: setting.value,
    run: () => {
      setting.value = !setting.value
    },
  }
}
