// lexer.ts: cuts a filter's text into tokens with their places.
//
// A word is a run of letters, digits and `_ . : \ $ * -`, so that `chrome.exe`, `1.5ms`, `0x12007`, `\Driver\AFD` and
// `de:ad:be:ef` are one token each; what it means depends on the field it is compared with. `..` ends a word: it
// makes ranges.

import { FilterError } from './error.ts'

export interface Token {
  kind: 'word' | 'string' | 'symbol' | 'end'
  /** A word as written, a string without its quotes and escapes, a symbol, or ''. */
  text: string
  start: number
  end: number
}

const SYMBOLS = ['==', '!=', '<=', '>=', '&&', '||', '..', '<', '>', '!', '(', ')', '{', '}', ',']
const WORD = /(?:[\p{L}\p{N}_\\$*:]|-(?=[\p{L}\p{N}])|\.(?!\.))+/uy

export function lex(text: string): Token[] {
  const tokens: Token[] = []
  for (let at = 0; at < text.length; ) {
    if (/\s/.test(text[at])) {
      at++
    } else if (text[at] === '"' || text[at] === "'") {
      const token = lexString(text, at)
      tokens.push(token)
      at = token.end
    } else {
      const symbol = SYMBOLS.find((candidate) => text.startsWith(candidate, at))
      WORD.lastIndex = at
      const word = symbol === undefined ? WORD.exec(text)?.[0] : undefined
      const found = symbol ?? word
      if (found === undefined) {
        const character = String.fromCodePoint(text.codePointAt(at) ?? 0)
        const advice =
          character === '='
            ? ': compare with =='
            : character === '&'
              ? ': write &&'
              : character === '|'
                ? ': write ||'
                : ''
        throw new FilterError(`“${character}” means nothing here${advice}`, at, at + character.length)
      }
      tokens.push({
        kind: symbol === undefined ? 'word' : 'symbol',
        text: found,
        start: at,
        end: at + found.length,
      })
      at += found.length
    }
  }
  tokens.push({ kind: 'end', text: '', start: text.length, end: text.length })
  return tokens
}

const BACKSLASHES = /\\+/y

/**
 * Before a quote, two backslashes stand for one, and one that is left over escapes the quote, as on Windows' command
 * line. All others are themselves, as is one that would escape the last quote there is: names of drivers are full of
 * them, and nobody doubles them when typing.
 */
function lexString(text: string, start: number): Token {
  const quote = text[start]
  let value = ''
  for (let at = start + 1; at < text.length; ) {
    if (text[at] === quote) return { kind: 'string', text: value, start, end: at + 1 }
    if (text[at] !== '\\') {
      value += text[at++]
      continue
    }
    BACKSLASHES.lastIndex = at
    const backslashes = BACKSLASHES.exec(text)?.[0] ?? ''
    at += backslashes.length
    if (text[at] !== quote) {
      value += backslashes
      continue
    }
    value += backslashes.slice(0, backslashes.length >> 1)
    if (backslashes.length % 2 === 0) continue
    const isLast = text.indexOf(quote, at + 1) < 0
    value += isLast ? '\\' : text[at++]
  }
  throw new FilterError('the quoted text has no closing quote', start, text.length)
}

/** A text in quotes, as `lex` reads it. */
export function quoted(text: string): string {
  const quote = text.includes('"') && !text.includes("'") ? "'" : '"'
  const escaped = text.replace(/(\\*)(["']|$)/g, (all, backslashes: string, end: string) => {
    if (end === '') return backslashes + backslashes
    return end === quote ? `${backslashes}${backslashes}\\${quote}` : all
  })
  return quote + escaped + quote
}
