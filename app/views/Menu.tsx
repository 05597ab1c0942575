// Menu.tsx: what is wanted rarely: theme, panels, columns, memory, the list of keys.

import type { Signal } from '@preact/signals'
import { useEffect, useRef, useState } from 'preact/hooks'
import { requestColumns } from '../grid/request-columns.ts'
import { openDialog } from '../state/dialogs.ts'
import { chartsOpen, columnWidths, detailOpen, hiddenColumns, type Theme, theme } from '../state/settings.ts'
import { Icon } from './Icon.tsx'

const THEMES: [Theme, string][] = [
  ['system', 'As the system'],
  ['light', 'Light'],
  ['dark', 'Dark'],
]

export function Menu() {
  const [open, setOpen] = useState(false)
  const root = useRef<HTMLDivElement>(null)
  useEffect(() => {
    if (!open) return
    const onPointer = (event: PointerEvent) => {
      if (!root.current?.contains(event.target as Node)) setOpen(false)
    }
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== 'Escape') return
      event.preventDefault()
      setOpen(false)
      root.current?.querySelector('button')?.focus()
    }
    addEventListener('pointerdown', onPointer)
    addEventListener('keydown', onKey, true)
    root.current?.querySelector<HTMLElement>('[role^="menuitem"]')?.focus()
    return () => {
      removeEventListener('pointerdown', onPointer)
      removeEventListener('keydown', onKey, true)
    }
  }, [open])
  const onMenuKey = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step === undefined) return
    event.preventDefault()
    const items = [...root.current!.querySelectorAll<HTMLElement>('[role^="menuitem"]')]
    const at = items.indexOf(document.activeElement as HTMLElement)
    items[(at + step + items.length) % items.length]?.focus()
  }

  return (
    <div class="menu-root" ref={root}>
      <button
        type="button"
        class="button"
        title="More"
        aria-label="More"
        aria-haspopup="menu"
        aria-expanded={open}
        onClick={() => setOpen(!open)}
      >
        <Icon name="more" />
      </button>
      {open && (
        <div class="menu" role="menu" aria-label="More" tabIndex={-1} onKeyDown={onMenuKey}>
          <h3>Theme</h3>
          {THEMES.map(([value, label]) => (
            <Item
              key={value}
              role="menuitemradio"
              on={theme.value === value}
              label={label}
              run={() => {
                theme.value = value
              }}
            />
          ))}
          <h3>Panels</h3>
          <Toggle label="Charts" setting={chartsOpen} />
          <Toggle label="Details" setting={detailOpen} />
          <h3>Columns</h3>
          <div class="menu-columns">
            {requestColumns.map(({ id, title }) => (
              <Item
                key={id}
                role="menuitemcheckbox"
                on={!hiddenColumns.value[id]}
                label={title}
                run={() => {
                  hiddenColumns.value = { ...hiddenColumns.value, [id]: !hiddenColumns.value[id] }
                }}
              />
            ))}
          </div>
          <Item
            role="menuitem"
            label="Reset columns"
            run={() => {
              hiddenColumns.value = {}
              columnWidths.value = {}
            }}
          />
          <hr />
          <Item
            role="menuitem"
            label="Memory for rows"
            run={() => {
              setOpen(false)
              openDialog.value = 'memory'
            }}
          />
          <Item
            role="menuitem"
            label="Keyboard shortcuts"
            hint="?"
            run={() => {
              setOpen(false)
              openDialog.value = 'shortcuts'
            }}
          />
        </div>
      )}
    </div>
  )
}

function Toggle({ label, setting }: { label: string; setting: Signal<boolean> }) {
  return (
    <Item
      role="menuitemcheckbox"
      on={setting.value}
      label={label}
      run={() => {
        setting.value = !setting.value
      }}
    />
  )
}

interface ItemProps {
  role: 'menuitem' | 'menuitemradio' | 'menuitemcheckbox'
  label: string
  on?: boolean
  hint?: string
  run: () => void
}

function Item({ role, label, on, hint, run }: ItemProps) {
  return (
    // biome-ignore lint/a11y/useAriaPropsSupportedByRole: a plain item has no aria-checked.
    <button type="button" role={role} aria-checked={role === 'menuitem' ? undefined : on} onClick={run}>
      <span class="tick">{on && <Icon name="check" />}</span>
      {label}
      {hint && <kbd>{hint}</kbd>}
    </button>
  )
}
