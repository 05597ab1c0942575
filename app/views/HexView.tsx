// HexView.tsx: bytes in hex and ASCII; only the rows that can be seen are on the page. Drag to select, arrows to move,
// Ctrl+C to copy, and more ways to copy in its menu: the selection, or all.

import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import { hexText } from '../../src/formats/hex.ts'
import { openMenuAt } from '../state/menus.ts'
import { HexLayout, readSelection } from '../text/hex-layout.ts'

/** As the style sheet has it. */
const ROW_PX = 17
const OVERSCAN = 4

interface Selection {
  anchor: number
  focus: number
}

interface Props {
  bytes: Uint8Array
  label: string
  field: 'input' | 'output'
}

export function HexView({ bytes, label, field }: Props) {
  const scroller = useRef<HTMLDivElement>(null)
  const ruler = useRef<HTMLSpanElement>(null)
  const [top, setTop] = useState(0)
  const [size, setSize] = useState({ width: 0, height: 0 })
  const [selection, setSelection] = useState<Selection | null>(null)
  useLayoutEffect(() => {
    const resizes = new ResizeObserver(() => {
      const { clientWidth, clientHeight } = scroller.current!
      setSize({ width: clientWidth, height: clientHeight })
    })
    resizes.observe(scroller.current!)
    return () => resizes.disconnect()
  }, [])

  const charWidth = (ruler.current?.getBoundingClientRect().width ?? 60) / 10
  const layout = new HexLayout(bytes, size.width >= HexLayout.lineLength(16) * charWidth ? 16 : 8)
  const first = Math.max(0, Math.floor(top / ROW_PX) - OVERSCAN)
  const last = Math.min(layout.rows, Math.ceil((top + size.height) / ROW_PX) + OVERSCAN)
  const start = selection ? Math.min(selection.anchor, selection.focus) : 0
  const end = selection ? Math.max(selection.anchor, selection.focus) + 1 : 0

  const byteUnder = (event: PointerEvent) => {
    const box = scroller.current!.getBoundingClientRect()
    const y = event.clientY - box.top + scroller.current!.scrollTop
    return layout.byteAt(Math.floor(y / ROW_PX), (event.clientX - box.left) / charWidth)
  }
  const press = (event: PointerEvent) => {
    if (event.button !== 0 || bytes.length === 0) return
    scroller.current!.setPointerCapture(event.pointerId)
    const at = byteUnder(event)
    setSelection((old) => ({ anchor: event.shiftKey && old ? old.anchor : at, focus: at }))
  }
  const drag = (event: PointerEvent) => {
    if (!scroller.current!.hasPointerCapture(event.pointerId)) return
    const at = byteUnder(event)
    setSelection((old) => (old && old.focus !== at ? { ...old, focus: at } : old))
  }
  const onKey = (event: KeyboardEvent) => {
    if ((event.ctrlKey || event.metaKey) && event.key === 'c' && selection) {
      void navigator.clipboard.writeText(hexText(bytes.subarray(start, end)))
      return event.preventDefault()
    }
    if ((event.ctrlKey || event.metaKey) && event.key === 'a') {
      setSelection({ anchor: 0, focus: bytes.length - 1 })
      return event.preventDefault()
    }
    if (event.key === 'Escape' && selection) {
      setSelection(null)
      return event.preventDefault()
    }
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -layout.perRow, ArrowDown: layout.perRow }[
      event.key
    ]
    if (step === undefined) return
    event.preventDefault()
    const from = selection?.focus ?? -step
    const at = Math.min(Math.max(0, from + step), bytes.length - 1)
    setSelection({ anchor: event.shiftKey && selection ? selection.anchor : at, focus: at })
    reveal(scroller.current!, Math.floor(at / layout.perRow))
  }

  return (
    <>
      <div
        class="hex"
        ref={scroller}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it is scrolled and selected in by keys.
        tabIndex={0}
        role="application"
        aria-label={`${label}, ${bytes.length} bytes in hexadecimal`}
        onScroll={(event) => setTop(event.currentTarget.scrollTop)}
        onPointerDown={press}
        onPointerMove={drag}
        onKeyDown={onKey}
        onContextMenu={(event) =>
          openMenuAt(
            event,
            selection
              ? { kind: 'bytes', field, bytes, start, end }
              : { kind: 'bytes', field, bytes, start: 0, end: bytes.length },
            event.currentTarget.getBoundingClientRect(),
          )
        }
      >
        <span class="ruler" ref={ruler} aria-hidden="true">
          0000000000
        </span>
        <div class="hex-sizer" style={{ height: `${layout.rows * ROW_PX}px` }}>
          {Array.from({ length: Math.max(0, last - first) }, (_, i) => first + i).map((row) => (
            <div class="hex-row" key={row} style={{ top: `${row * ROW_PX}px` }}>
              {selection &&
                layout
                  .marks(row, start, end)
                  .map(([at, length]) => (
                    <i class="mark" key={at} style={{ left: `${at}ch`, width: `${length}ch` }} />
                  ))}
              <span class="offset">{layout.offset(row)}</span>
              {'  '}
              <span class="bytes">{layout.hex(row)}</span>
              <span class="ascii">{layout.ascii(row)}</span>
            </div>
          ))}
        </div>
      </div>
      {selection && (
        <p class="hex-values" aria-live="polite">
          <span class="dim">{end - start === 1 ? `at ${start}` : `${end - start} bytes at ${start}`}</span>
          {readSelection(bytes, start, end).map(([name, value]) => (
            <span key={name}>
              <span class="dim">{name}</span> {value}
            </span>
          ))}
        </p>
      )}
    </>
  )
}

function reveal(scroller: HTMLElement, row: number): void {
  const top = row * ROW_PX
  if (top < scroller.scrollTop) scroller.scrollTop = top
  else if (top + ROW_PX > scroller.scrollTop + scroller.clientHeight)
    scroller.scrollTop = top + ROW_PX - scroller.clientHeight
}
