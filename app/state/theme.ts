// theme.ts: light, dark, or what the system says; and the colours that canvases need as values.
//
// Style sheets follow `data-theme` on the root by themselves. A canvas cannot: it asks for a palette, and asks again
// when `themeStamp` changes.

import { effect, signal } from '@preact/signals'
import { theme } from './settings.ts'

/** Changes whenever colours did. */
export const themeStamp = signal(0)

export function followTheme(): void {
  const systemDark = matchMedia('(prefers-color-scheme: dark)')
  const apply = () => {
    const dark = theme.value === 'dark' || (theme.value === 'system' && systemDark.matches)
    document.documentElement.dataset.theme = dark ? 'dark' : 'light'
    palette.clear()
    themeStamp.value = themeStamp.peek() + 1
  }
  systemDark.addEventListener('change', apply)
  effect(apply)
}

const palette = new Map<string, string>()

/** The value of a custom property of the root, such as `--line`. */
export function colour(property: string): string {
  let value = palette.get(property)
  if (value === undefined) {
    value = getComputedStyle(document.documentElement).getPropertyValue(property).trim()
    palette.set(property, value)
  }
  return value
}
