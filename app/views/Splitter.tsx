// Splitter.tsx: the line between two panels that can be dragged, or moved with the arrow keys.

import type { Signal } from '@preact/signals'

const KEY_STEP = 16

interface Props {
  label: string
  size: Signal<number>
  min: number
  /** Largest size, given the window's height. */
  max: () => number
  /** +1: dragging down makes the panel larger; -1: smaller. */
  direction: 1 | -1
}

export function Splitter({ label, size, min, max, direction }: Props) {
  const set = (value: number) => {
    size.value = Math.round(Math.min(Math.max(min, value), Math.max(min, max())))
  }
  const drag = (down: PointerEvent) => {
    const handle = down.currentTarget as HTMLElement
    const from = size.value
    handle.setPointerCapture(down.pointerId)
    const move = (event: PointerEvent) => set(from + direction * (event.clientY - down.clientY))
    handle.addEventListener('pointermove', move)
    handle.addEventListener('lostpointercapture', () => handle.removeEventListener('pointermove', move), {
      once: true,
    })
  }
  const onKey = (event: KeyboardEvent) => {
    const step = { ArrowDown: KEY_STEP, ArrowUp: -KEY_STEP }[event.key]
    if (step === undefined) return
    event.preventDefault()
    set(size.value + direction * step)
  }
  return (
    // biome-ignore lint/a11y/useSemanticElements: a separator that can be moved is no <hr>.
    <div
      class="splitter"
      role="separator"
      aria-orientation="horizontal"
      aria-label={label}
      aria-valuenow={size.value}
      aria-valuemin={min}
      tabIndex={0}
      onPointerDown={drag}
      onKeyDown={onKey}
    />
  )
}
