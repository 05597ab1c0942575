// hex-layout.ts: where each byte of a hex view stands, in characters; and what a selection of bytes says as a number.
//
//   0010  de ad be ef 00 00 00 00  01 02 03 04 05 06 07 08  ................
//
// Little-endian throughout: this is Windows.

import { hexRow } from '../../src/formats/hex.ts'
import { formatCount } from '../../src/formats/values.ts'

const GAP = 2
const MIDDLE = 8

export class HexLayout {
  readonly rows: number
  private readonly offsetDigits: number
  private readonly hexAt: number
  private readonly asciiAt: number

  constructor(
    private readonly bytes: Uint8Array,
    readonly perRow: 8 | 16,
  ) {
    this.rows = Math.ceil(bytes.length / perRow)
    this.offsetDigits = bytes.length > 0x10000 ? 6 : 4
    this.hexAt = this.offsetDigits + GAP
    this.asciiAt = this.hexAt + hexColumn(perRow) - 1 + GAP
  }

  /** Characters that a line of that many bytes takes. */
  static lineLength(perRow: 8 | 16): number {
    return 4 + GAP + hexColumn(perRow) - 1 + GAP + perRow
  }

  offset(row: number): string {
    return (row * this.perRow).toString(16).padStart(this.offsetDigits, '0')
  }

  /** The line without its offset. */
  hex(row: number): string {
    return this.row(row).hex.padEnd(hexColumn(this.perRow) - 1 + GAP)
  }

  ascii(row: number): string {
    return this.row(row).ascii
  }

  /** The byte nearest to a place; -1 when there are none. */
  byteAt(row: number, character: number): number {
    const inRow =
      character >= this.asciiAt - 1
        ? Math.floor(character - this.asciiAt)
        : Math.floor((character - this.hexAt - (character > this.hexAt + MIDDLE * 3 ? 1 : 0)) / 3)
    const clamped = Math.min(Math.max(0, inRow), this.perRow - 1)
    const line = Math.min(Math.max(0, row), this.rows - 1)
    return Math.min(line * this.perRow + clamped, this.bytes.length - 1)
  }

  /** What of a selection (end exclusive) lies in a row: `[at, length]` in characters, in hex and in ASCII. */
  marks(row: number, start: number, end: number): [number, number][] {
    const from = Math.max(start - row * this.perRow, 0)
    const to = Math.min(end - row * this.perRow, this.perRow)
    if (to <= from) return []
    const hexFrom = hexColumn(from)
    return [
      [this.hexAt + hexFrom, hexColumn(to - 1) + 2 - hexFrom],
      [this.asciiAt + from, to - from],
    ]
  }

  private row(row: number): { hex: string; ascii: string } {
    const at = row * this.perRow
    return hexRow(this.bytes.subarray(0, at + this.perRow), at)
  }
}

/** Where a byte of a row begins, counted from the row's first. */
function hexColumn(byte: number): number {
  return byte * 3 + (byte >= MIDDLE ? 1 : 0)
}

/** A selection as numbers and text, by name. One byte alone stands for the place: what begins there. */
export function readSelection(bytes: Uint8Array, start: number, end: number): [string, string][] {
  const length = end - start
  const readable = length === 1 ? bytes.length - start : length
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, bytes.length - start)
  const values: [string, string][] = []
  if (readable >= 1) values.push(['u8', String(view.getUint8(0))])
  if (readable >= 2) values.push(['u16', formatCount(view.getUint16(0, true))])
  if (readable >= 4) {
    const value = view.getUint32(0, true)
    values.push(['u32', formatCount(value)])
    if (value >= 0x80000000) values.push(['i32', formatCount(view.getInt32(0, true))])
    values.push(['hex', `0x${value.toString(16).toUpperCase().padStart(8, '0')}`])
  }
  if (readable >= 8) values.push(['u64', view.getBigUint64(0, true).toLocaleString('en-US')])
  if (length > 1) values.push(['ascii', `“${printable(bytes.subarray(start, Math.min(end, start + 64)))}”`])
  return values
}

function printable(bytes: Uint8Array): string {
  let ascii = ''
  for (const byte of bytes) ascii += byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '·'
  return ascii
}
