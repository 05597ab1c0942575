// Icon.tsx: our few icons, drawn for this program on a 16-pixel grid; strokes take the colour of the text.

const SHAPES = {
  play: 'M5 3.2v9.6l7.6-4.8z',
  stop: 'M4 4h8v8H4z',
  plus: 'M8 3v10M3 8h10',
  close: 'M4 4l8 8M12 4l-8 8',
  search: 'M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.3 10.3L14 14',
  follow: 'M8 2v8M4.5 7L8 10.5 11.5 7M3 13.5h10',
  clear: 'M3 4.5h10M6.5 4.5V3h3v1.5M4.5 4.5l.6 8.5h5.8l.6-8.5M6.9 7v3.6M9.1 7v3.6',
  more: 'M3.5 8h.01M8 8h.01M12.5 8h.01',
  check: 'M3 8.5l3.2 3.2L13 4.8',
  warning: 'M8 2.5l6 10.5H2zM8 6.5v3M8 11.4v.01',
  plug: 'M6 2v3M10 2v3M4.5 5h7v2.5a3.5 3.5 0 0 1-7 0zM8 11v3',
  funnel: 'M2.5 3.5h11L9.4 8.6v4.2l-2.8-1.4V8.6z',
  collapse: 'M4 6l4 4 4-4',
} as const

const FILLED = new Set<string>(['play', 'stop'])

export type IconName = keyof typeof SHAPES

export function Icon({ name }: { name: IconName }) {
  const filled = FILLED.has(name)
  return (
    <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <path
        d={SHAPES[name]}
        fill={filled ? 'currentColor' : 'none'}
        stroke="currentColor"
        stroke-width={name === 'more' ? 2.4 : 1.5}
        stroke-linecap="round"
        stroke-linejoin="round"
      />
    </svg>
  )
}
