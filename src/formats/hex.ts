// hex.ts: bytes as people read them: rows of hexadecimal beside their characters.

export interface HexRow {
  offset: number
  /** `de ad be ef`, with a wider gap in the middle. */
  hex: string
  /** Printable ASCII; a dot for the rest. */
  ascii: string
}

export const HEX_ROW_BYTES = 16

const BYTE_TEXT = Array.from({ length: 256 }, (_, value) => value.toString(16).padStart(2, '0'))

/** The row of 16 bytes that starts at `offset`; the last one may be shorter. */
export function hexRow(bytes: Uint8Array, offset: number): HexRow {
  const end = Math.min(offset + HEX_ROW_BYTES, bytes.length)
  let hex = ''
  let ascii = ''
  for (let i = offset; i < end; i++) {
    if (i > offset) hex += i - offset === HEX_ROW_BYTES / 2 ? '  ' : ' '
    hex += BYTE_TEXT[bytes[i]]
    ascii += bytes[i] >= 0x20 && bytes[i] < 0x7f ? String.fromCharCode(bytes[i]) : '.'
  }
  return { offset, hex, ascii }
}

/** `deadbeef`: bytes in a row, as exports carry them. */
export function hexText(bytes: Uint8Array): string {
  let out = ''
  for (const byte of bytes) out += BYTE_TEXT[byte]
  return out
}

/** `de:ad:be:ef` or `deadbeef` as bytes; null if it is neither. */
export function parseHex(text: string): Uint8Array | null {
  const digits = /^[0-9a-f]{1,2}(:[0-9a-f]{1,2})+$/i.test(text)
    ? text
        .split(':')
        .map((pair) => pair.padStart(2, '0'))
        .join('')
    : text
  if (!/^([0-9a-f]{2})+$/i.test(digits)) return null
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) =>
    Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16),
  )
}

/** Base64 (standard alphabet, padded): how payload travels in JSON. Works alike in Node and in a browser's worker. */
export function toBase64(bytes: Uint8Array): string {
  let text = ''
  for (let i = 0; i < bytes.length; i += 8192) {
    text += String.fromCharCode.apply(null, bytes.subarray(i, i + 8192) as unknown as number[])
  }
  return btoa(text)
}

export function fromBase64(text: string): Uint8Array {
  const raw = atob(text)
  return Uint8Array.from(raw, (character) => character.charCodeAt(0))
}
