// PopupMenu.tsx: the menu that is open: its entries, the keys within it, and where it has room.

import '../styles/menu.css'
import { useLayoutEffect, useRef } from 'preact/hooks'
import { bytesMenu } from '../menus/bytes.ts'
import { cellMenu } from '../menus/cell.ts'
import { columnMenu } from '../menus/column.ts'
import type { MenuEntry } from '../menus/entry.ts'
import { moreMenu } from '../menus/more.ts'
import { type MenuSubject, openMenu } from '../state/menus.ts'
import { Icon } from './Icon.tsx'

const MARGIN_PX = 6

export function PopupMenu() {
  const open = openMenu.value
  const root = useRef<HTMLDivElement>(null)
  // Before it is painted: whoever sees a menu may press a key at once.
  useLayoutEffect(() => {
    if (!open) return
    const { style, offsetWidth, offsetHeight } = root.current!
    const left = open.from === 'right' ? open.x - offsetWidth : open.x
    style.left = `${Math.max(MARGIN_PX, Math.min(left, innerWidth - offsetWidth - MARGIN_PX))}px`
    style.top = `${Math.max(MARGIN_PX, Math.min(open.y, innerHeight - offsetHeight - MARGIN_PX))}px`
    const before = document.activeElement as HTMLElement | null
    const controller = new AbortController()
    const { signal } = controller
    const close = () => {
      openMenu.value = null
    }
    const onPointer = ({ target }: PointerEvent) => {
      // The button that opened it closes it by itself.
      if (!(target as Element).closest('.menu, [aria-haspopup="menu"]')) close()
    }
    addEventListener('pointerdown', onPointer, { signal, capture: true })
    addEventListener('resize', close, { signal })
    addEventListener('blur', close, { signal })
    itemsOf(root.current!)[0]?.focus()
    return () => {
      controller.abort()
      // A dialog that an entry opened has the focus by now, or will take it from here.
      if (before?.isConnected) before.focus()
    }
  }, [open])
  if (!open) return null

  const onKey = (event: KeyboardEvent) => {
    const items = itemsOf(root.current!)
    const at = items.indexOf(document.activeElement as HTMLElement)
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key]
    event.stopPropagation()
    if (to !== undefined) items.at(to % items.length)?.focus()
    else if (event.key === 'Escape' || event.key === 'Tab') openMenu.value = null
    else return
    event.preventDefault()
  }
  return (
    <div
      class="menu"
      role="menu"
      aria-label="Menu"
      tabIndex={-1}
      ref={root}
      onKeyDown={onKey}
      onContextMenu={(event) => event.preventDefault()}
    >
      {entriesOf(open.subject).map((entry, index) => (
        <Entry key={index} entry={entry} />
      ))}
    </div>
  )
}

function itemsOf(menu: HTMLElement): HTMLElement[] {
  return [...menu.querySelectorAll<HTMLElement>('button:not(:disabled)')]
}

function entriesOf(subject: MenuSubject): MenuEntry[] {
  switch (subject.kind) {
    case 'more':
      return moreMenu()
    case 'cell':
      return cellMenu(subject.column, subject.window, subject.row)
    case 'column':
      return columnMenu(subject.column)
    case 'bytes':
      return bytesMenu(subject.field, subject.bytes.subarray(subject.start, subject.end))
  }
}

function Entry({ entry }: { entry: MenuEntry }) {
  if (entry.kind === 'heading') return <h3>{entry.label}</h3>
  if (entry.kind === 'line') return <hr />
  if (entry.kind !== 'action')
    return (
      // biome-ignore lint/a11y/useAriaPropsSupportedByRole: both roles have it.
      <button
        type="button"
        role={entry.kind === 'radio' ? 'menuitemradio' : 'menuitemcheckbox'}
        aria-checked={entry.on}
        onClick={entry.run}
      >
        <span class="tick">{entry.on && <Icon name="check" />}</span>
        {entry.label}
      </button>
    )
  const { label, code, keys, disabled, run } = entry
  return (
    <button
      type="button"
      role="menuitem"
      disabled={disabled}
      title={code}
      onClick={() => {
        openMenu.value = null
        run()
      }}
    >
      <span class="tick" />
      {label}
      {code && <code>{code}</code>}
      {keys && (
        <span class="keys">
          {keys.split(' ').map((key) => (
            <kbd key={key}>{key}</kbd>
          ))}
        </span>
      )}
    </button>
  )
}
