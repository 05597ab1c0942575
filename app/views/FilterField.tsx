// FilterField.tsx: the filter as it is typed: applied as soon as it is understood, underlined where it is not.

import { useSignalEffect } from '@preact/signals'
import { useRef, useState } from 'preact/hooks'
import { formatCount } from '../../src/formats/values.ts'
import { filterProblem, status } from '../state/link.ts'
import { filter, setFilter } from '../state/query.ts'
import { Icon } from './Icon.tsx'
import { FILTER_FIELD_ID } from './shortcuts.ts'

/** A pause in typing that counts as "done for now". */
const PAUSE_MS = 200
const EXAMPLE = 'major == DEVICE_CONTROL && latency > 1ms'

export function FilterField() {
  const [text, setText] = useState('')
  const [scrolled, setScrolled] = useState(0)
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  // What is put in force from elsewhere ("clear the filter") shows here, too.
  useSignalEffect(() => setText(filter.value))

  const apply = (value: string) => {
    clearTimeout(timer.current)
    setFilter(value.trim() === '' ? '' : value)
  }
  const edit = (value: string) => {
    setText(value)
    clearTimeout(timer.current)
    timer.current = setTimeout(() => apply(value), PAUSE_MS)
  }
  const problem = filterProblem.value?.filter === text ? filterProblem.value : null
  const counts = status.value
  return (
    // biome-ignore lint/a11y/useSemanticElements: the style sheet lays this out as one field.
    <div class={`filter ${problem ? 'wrong' : ''}`} role="search">
      <Icon name="search" />
      <div class="filter-text mono">
        <div class="filter-paint" aria-hidden="true">
          <span style={{ transform: `translateX(${-scrolled}px)` }}>
            <Painted text={text} problem={problem} />
          </span>
        </div>
        <input
          id={FILTER_FIELD_ID}
          value={text}
          placeholder={EXAMPLE}
          aria-label="Filter"
          aria-invalid={problem !== null}
          aria-describedby={problem ? 'filter-problem' : undefined}
          title="Filter (/ or Ctrl+F)"
          spellcheck={false}
          autocomplete="off"
          onInput={(event) => edit(event.currentTarget.value)}
          onScroll={(event) => setScrolled(event.currentTarget.scrollLeft)}
          onKeyDown={(event) => {
            if (event.key === 'Enter') apply(text)
            else if (event.key === 'Escape') event.currentTarget.blur()
            else return
            event.preventDefault()
          }}
        />
      </div>
      {counts && text !== '' && !problem && (
        <span class="filter-count mono" title="Rows shown of rows in memory">
          {formatCount(counts.shown)} of {formatCount(counts.rows)}
        </span>
      )}
      {text !== '' && (
        <button
          type="button"
          class="quiet"
          aria-label="Clear the filter"
          title="Clear the filter"
          onClick={() => {
            setText('')
            apply('')
          }}
        >
          <Icon name="close" />
        </button>
      )}
      {problem && (
        <p class="filter-problem" id="filter-problem" role="alert">
          {problem.message}
        </p>
      )}
    </div>
  )
}

interface Problem {
  start: number
  end: number
}

// Strings first, so that what is inside them is left alone.
const TOKENS = /("(?:[^"\\]|\\.)*"?)|(\b\d[\w.:]*)|(\b[A-Z][A-Z0-9_]+\b)|([a-z][A-Za-z.]*)|([^"\w]+|.)/g
const KINDS = ['string', 'number', 'name', 'word', 'sign'] as const
const OPERATOR_WORDS = new Set(['contains', 'matches', 'in', 'and', 'or', 'not', 'true', 'false'])

/** The text as the field shows it, with the part underlined that could not be understood. */
function Painted({ text, problem }: { text: string; problem: Problem | null }) {
  const parts = [...text.matchAll(TOKENS)].map((match) => {
    const kind = KINDS[match.slice(1).findIndex((group) => group !== undefined)] ?? 'sign'
    const isOperator = kind === 'word' && OPERATOR_WORDS.has(match[0])
    return { at: match.index, piece: match[0], kind: isOperator ? 'sign' : kind }
  })
  // An error at the very end has no text to stand under: it gets a blank.
  const end = problem ? Math.max(problem.end, problem.start + 1) : 0
  return (
    <>
      {parts.map(({ at, piece, kind }) => (
        <span key={at} class={`token ${kind}`}>
          {problem ? underline(piece, at, problem.start, end) : piece}
        </span>
      ))}
      {problem && problem.start >= text.length && <u> </u>}
    </>
  )
}

function underline(piece: string, at: number, start: number, end: number) {
  const from = Math.min(Math.max(start - at, 0), piece.length)
  const to = Math.min(Math.max(end - at, from), piece.length)
  return (
    <>
      {piece.slice(0, from)}
      {to > from && <u>{piece.slice(from, to)}</u>}
      {piece.slice(to)}
    </>
  )
}
