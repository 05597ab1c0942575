// Completions.tsx: what could be typed next in the filter, as a list under the field.

import { useLayoutEffect, useRef } from 'preact/hooks'
import type { Completion } from '../../src/model/filter/complete.ts'

export const COMPLETIONS_ID = 'filter-completions'

interface Props {
  items: readonly Completion[]
  /** -1 = none chosen. */
  active: number
  accept: (item: Completion) => void
}

export function completionId(index: number): string {
  return `${COMPLETIONS_ID}-${index}`
}

export function Completions({ items, active, accept }: Props) {
  const list = useRef<HTMLDivElement>(null)
  useLayoutEffect(() => {
    list.current?.querySelector('.active')?.scrollIntoView({ block: 'nearest' })
  }, [active])
  return (
    <div class="completions" id={COMPLETIONS_ID} role="listbox" aria-label="What could come next" ref={list}>
      {items.map((item, index) => (
        <div
          key={item.text}
          id={completionId(index)}
          class={index === active ? 'active' : ''}
          role="option"
          aria-selected={index === active}
          tabIndex={-1}
          // Before the field loses the focus.
          onMouseDown={(event) => {
            event.preventDefault()
            accept(item)
          }}
        >
          <span class="mono">{item.text}</span>
          <small>{item.doc}</small>
        </div>
      ))}
    </div>
  )
}
