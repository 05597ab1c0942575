// DriverPicker.tsx: the dialog in which drivers are chosen: search by object or display name, hook, unhook.

import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import { formatCount } from '../../src/formats/values.ts'
import type { DriverEntry } from '../../src/protocol/wire.ts'
import { command, drivers, problem, session } from '../state/link.ts'
import { Dialog } from './Dialog.tsx'
import { Icon } from './Icon.tsx'

export function DriverPicker() {
  const [search, setSearch] = useState('')
  const [active, setActive] = useState(0)
  /** Watched when the dialog opened. What is hooked meanwhile stays where it is: the next press shall find what it sees. */
  const [onTop] = useState(() => new Set(session.peek()?.drivers.map(({ name }) => name.toLowerCase())))
  /** The driver whose warning must be answered first. */
  const [asked, setAsked] = useState('')
  const list = useRef<HTMLUListElement>(null)
  const field = useRef<HTMLInputElement>(null)
  useLayoutEffect(() => {
    command({ type: 'listDrivers' })
    field.current?.focus()
  }, [])
  useLayoutEffect(() => {
    if (asked) list.current?.querySelector<HTMLElement>('.confirm button')?.focus()
  }, [asked])
  useLayoutEffect(() => {
    list.current?.querySelector('.active')?.scrollIntoView({ block: 'nearest' })
  }, [active])

  const all = drivers.value
  const wanted = search.trim().toLowerCase()
  const isOnTop = ({ name }: DriverEntry) => Number(onTop.has(name.toLowerCase()))
  const found = (all ?? [])
    .filter((entry) => `${entry.name} ${entry.displayName}`.toLowerCase().includes(wanted))
    .sort((a, b) => isOnTop(b) - isOnTop(a) || a.name.localeCompare(b.name))
  const watch = (name: string, force: boolean) => {
    setAsked('')
    command({ type: 'addDriver', name, force })
  }
  const toggle = (entry: DriverEntry) => {
    if (entry.hooked) command({ type: 'removeDriver', name: entry.name })
    else if (entry.warning) setAsked(entry.name)
    else watch(entry.name, false)
  }
  const onKey = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 }[event.key]
    if (step !== undefined) setActive(Math.min(Math.max(0, active + step), Math.max(0, found.length - 1)))
    else if (event.key === 'Enter') {
      // A key that is held down would go on and on.
      if (found[active] && !event.repeat) toggle(found[active])
    } else return
    event.preventDefault()
  }

  return (
    <Dialog title="Drivers">
      <label class="search">
        <Icon name="search" />
        <input
          ref={field}
          type="search"
          placeholder="Search by name, such as afd or disk"
          aria-label="Search drivers"
          aria-controls="driver-list"
          value={search}
          onInput={(event) => {
            setSearch(event.currentTarget.value)
            setActive(0)
          }}
          onKeyDown={onKey}
        />
      </label>
      {problem.value && (
        <p class="notice error" role="alert">
          {problem.value}
        </p>
      )}
      <ul class="driver-list" id="driver-list" ref={list}>
        {found.map((entry, index) => {
          const on = entry.hooked
          return (
            <li key={entry.name} class={index === active ? 'active' : ''}>
              <button
                type="button"
                aria-pressed={on}
                onClick={() => {
                  setActive(index)
                  toggle(entry)
                }}
              >
                <span class="tick">{on && <Icon name="check" />}</span>
                <span class="driver-name">
                  <b>{entry.name}</b>
                  <small>{entry.displayName}</small>
                  {entry.warning && (
                    <small class="warning">
                      <Icon name="warning" /> {entry.warning}
                    </small>
                  )}
                </span>
                <span class="driver-state">{on ? 'watched' : ''}</span>
              </button>
              {asked === entry.name && !on && (
                <div class="confirm" role="alertdialog" aria-label={`Watch ${entry.name} anyway?`}>
                  <span>The machine may stop, sooner or later. Better try it on a virtual one.</span>
                  <button type="button" class="button" onClick={() => setAsked('')}>
                    Leave it
                  </button>
                  <button type="button" class="button danger" onClick={() => watch(entry.name, true)}>
                    Watch anyway
                  </button>
                </div>
              )}
            </li>
          )
        })}
      </ul>
      {all && found.length === 0 && <p class="dim empty">No driver is called “{search}”.</p>}
      {!all && <p class="dim empty">Looking…</p>}
      <footer class="dialog-foot">
        <span class="dim">
          {formatCount(found.length)} of {formatCount(all?.length ?? 0)} drivers · ↑ ↓ choose, Enter watches
        </span>
        <span class="dim">{formatCount(session.value?.drivers.length ?? 0)} watched</span>
      </footer>
    </Dialog>
  )
}
