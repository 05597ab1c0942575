// printable.ts: texts that others have chosen, such as the names in a stranger's capture, made fit for a terminal.

/** Obeyed by a terminal, or able to hide and reorder what stands around them. */
const UNSEEN = /[\p{Cc}\p{Cf}\u2028\u2029]/gu

/** The text with each of those characters written out: `\u{1b}`. */
export function printable(text: string): string {
  return text.replace(UNSEEN, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`)
}
