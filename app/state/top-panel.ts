// top-panel.ts: which tab the third panel shows, and the list of requests in flight, which is asked for while it is seen.

import { effect, signal } from '@preact/signals'
import { askInFlight, inFlight, session } from './link.ts'
import { chartsOpen } from './settings.ts'

export const TABS = ['Function', 'Driver', 'In flight'] as const
export type Tab = (typeof TABS)[number]

const ASK_EVERY_MS = 1000

export const topTab = signal<Tab>('Function')

export function showInFlight(): void {
  chartsOpen.value = true
  topTab.value = 'In flight'
}

/** From now on the list is kept current while it is shown. */
export function followInFlight(): () => void {
  return effect(() => {
    const { running = false, source } = session.value ?? {}
    if (!running || source === 'file' || topTab.value !== 'In flight' || !chartsOpen.value) {
      inFlight.value = null
      return
    }
    askInFlight()
    const timer = setInterval(askInFlight, ASK_EVERY_MS)
    return () => clearInterval(timer)
  })
}
