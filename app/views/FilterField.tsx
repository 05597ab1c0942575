// FilterField.tsx: the filter as it is typed: completed on the way, applied as soon as it is understood, underlined
// where it is not. What can come next is loaded when the field is first used.

import { useSignalEffect } from '@preact/signals'
import { useRef, useState } from 'preact/hooks'
import { formatCount } from '../../src/formats/values.ts'
import type { Completion, completeFilter } from '../../src/model/filter/complete.ts'
import { MAX_FILTER_LENGTH } from '../../src/protocol/wire.ts'
import { filterProblem, names, status } from '../state/link.ts'
import { filter, setFilter } from '../state/query.ts'
import { COMPLETIONS_ID, Completions, completionId } from './Completions.tsx'
import { Icon } from './Icon.tsx'
import { FILTER_FIELD_ID, focusGrid } from './shortcuts.ts'

/** A pause in typing that counts as "done for now". */
const PAUSE_MS = 200
const EXAMPLE = 'major == DEVICE_CONTROL && latency > 1ms'

type Complete = typeof completeFilter

export function FilterField() {
  const [text, setText] = useState('')
  const [scrolled, setScrolled] = useState(0)
  const [completions, setCompletions] = useState<CompletionList | null>(null)
  const [active, setActive] = useState(-1)
  const field = useRef<HTMLInputElement>(null)
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  const complete = useRef<Complete | null>(null)
  const applied = useRef('')
  // What is put in force from elsewhere ("clear the filter") shows here, too. What was typed here does already, and as
  // effects run a frame late, more may have been typed since.
  useSignalEffect(() => {
    if (filter.value === applied.current) return
    applied.current = filter.value
    clearTimeout(timer.current)
    setText(filter.value)
  })

  const apply = (value: string) => {
    clearTimeout(timer.current)
    applied.current = value.trim() === '' ? '' : value
    setFilter(applied.current)
  }
  const edit = (value: string) => {
    setText(value)
    clearTimeout(timer.current)
    timer.current = setTimeout(() => apply(value), PAUSE_MS)
  }
  const suggest = (value: string, caret: number) => {
    const found = complete.current?.(value, caret, seenValues) ?? null
    const finished = found?.items.length === 1 && found.items[0]!.text === value.slice(found.start, caret)
    setCompletions(found && found.items.length > 0 && !finished ? { ...found, caret } : null)
    setActive(-1)
  }
  const accept = (item: Completion) => {
    if (!completions) return
    const before = `${text.slice(0, completions.start)}${item.text} `
    const value = before + text.slice(completions.caret).trimStart()
    edit(value)
    // The caret can only go where there is text: after this value is drawn.
    requestAnimationFrame(() => {
      field.current?.setSelectionRange(before.length, before.length)
      suggest(value, before.length)
    })
  }
  const onKey = (event: KeyboardEvent & { currentTarget: HTMLInputElement }) => {
    const items = completions?.items ?? []
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step !== undefined && items.length > 0) setActive((active + step + items.length) % items.length)
    else if (event.key === 'ArrowDown' || (event.key === ' ' && event.ctrlKey))
      suggest(text, event.currentTarget.selectionStart ?? text.length)
    else if (event.key === 'Tab' && !event.shiftKey && items.length > 0) accept(items[Math.max(0, active)]!)
    else if (event.key === 'Enter' && items[active]) accept(items[active])
    else if (event.key === 'Enter') {
      setCompletions(null)
      apply(text)
    } else if (event.key === 'Escape' && completions) setCompletions(null)
    else if (event.key === 'Escape') focusGrid()
    else return
    event.preventDefault()
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
          ref={field}
          value={text}
          placeholder={EXAMPLE}
          role="combobox"
          aria-label="Filter"
          aria-expanded={completions !== null}
          aria-controls={COMPLETIONS_ID}
          aria-activedescendant={active >= 0 ? completionId(active) : undefined}
          aria-invalid={problem !== null}
          aria-describedby={problem && !completions ? 'filter-problem' : undefined}
          title="Filter (/ or Ctrl+F)"
          spellcheck={false}
          maxLength={MAX_FILTER_LENGTH + 1}
          autocomplete="off"
          onFocus={async () => {
            complete.current ??= (await import('../../src/model/filter/complete.ts')).completeFilter
          }}
          onBlur={() => setCompletions(null)}
          onInput={(event) => {
            const { value, selectionStart } = event.currentTarget
            edit(value)
            suggest(value, selectionStart ?? value.length)
          }}
          onScroll={(event) => setScrolled(event.currentTarget.scrollLeft)}
          onKeyDown={onKey}
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
      {(problem || completions) && (
        <div class="filter-popup">
          {/* Half a word is no mistake yet: what it can become is shown instead. */}
          {problem && !completions && (
            <p class="filter-problem" id="filter-problem" role="alert">
              {problem.message}
            </p>
          )}
          {completions && <Completions items={completions.items} active={active} accept={accept} />}
        </div>
      )}
    </div>
  )
}

interface CompletionList {
  /** Where the word begins that is to be replaced, and where the caret is. */
  start: number
  caret: number
  items: Completion[]
}

/** Values of text fields that this capture has shown so far. */
function seenValues(name: string): string[] {
  if (name === 'driver') return [...names.drivers.values()]
  if (name === 'process') return [...new Set(names.processes.values())].filter((value) => value !== '').sort()
  return []
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
