// shortcuts.ts: the keys that work anywhere in the window, in one table: what they do, and what the overlay says.

import { chooseDrivers, chooseRequests, clearRows, toggleRecording, toggleRunning } from '../state/actions.ts'
import { openDialog } from '../state/dialogs.ts'
import { select } from '../state/link.ts'
import { toggleFollow } from '../state/query.ts'

export const FILTER_FIELD_ID = 'filter-field'

interface Shortcut {
  keys: string
  does: string
  /** Works also while one types into a field. */
  everywhere?: boolean
  matches(event: KeyboardEvent): boolean
  run(): void
}

const plain = (key: string) => (event: KeyboardEvent) =>
  event.key.toLowerCase() === key && !event.ctrlKey && !event.metaKey && !event.altKey
const withCtrl = (key: string) => (event: KeyboardEvent) =>
  event.key.toLowerCase() === key && (event.ctrlKey || event.metaKey) && !event.altKey

export function focusGrid(): void {
  document.querySelector<HTMLElement>('[role=grid]')?.focus()
}

function focusFilter(): void {
  const field = document.getElementById(FILTER_FIELD_ID) as HTMLInputElement | null
  field?.focus()
  field?.select()
}

export const SHORTCUTS: Shortcut[] = [
  { keys: 'Space', does: 'Start or stop', matches: plain(' '), run: toggleRunning },
  { keys: 'F', does: 'Follow the newest requests', matches: plain('f'), run: toggleFollow },
  { keys: 'D', does: 'Choose drivers', matches: plain('d'), run: chooseDrivers },
  { keys: 'O', does: 'Capture options', matches: plain('o'), run: chooseRequests },
  { keys: 'R', does: 'Record to a file, or stop recording', matches: plain('r'), run: toggleRecording },
  { keys: '/', does: 'Filter', matches: plain('/'), run: focusFilter },
  { keys: 'Ctrl F', does: 'Filter', everywhere: true, matches: withCtrl('f'), run: focusFilter },
  // As in Process Monitor.
  { keys: 'Ctrl L', does: 'Filter', everywhere: true, matches: withCtrl('l'), run: focusFilter },
  { keys: 'Ctrl X', does: 'Clear', matches: withCtrl('x'), run: clearRows },
  { keys: '?', does: 'These shortcuts', matches: plain('?'), run: showShortcuts },
  { keys: 'Esc', does: 'Close, or deselect', matches: plain('escape'), run: () => select(null) },
]

function showShortcuts(): void {
  openDialog.value = 'shortcuts'
}

export function listenForShortcuts(): void {
  addEventListener('keydown', (event) => {
    if (openDialog.value || event.defaultPrevented) return
    const target = event.target as HTMLElement
    const typing = target.matches('input, textarea, select')
    // Space presses a focused button; that is not a request to stop.
    if (event.key === ' ' && target.matches('button, summary, [role="separator"]')) return
    const shortcut = SHORTCUTS.find((entry) => (entry.everywhere || !typing) && entry.matches(event))
    if (!shortcut) return
    event.preventDefault()
    shortcut.run()
  })
}
