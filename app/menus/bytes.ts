// bytes.ts: the menu of bytes in a hex view: copy them in the form that is wanted, or filter by them.

import { hexText } from '../../src/formats/hex.ts'
import { formatCount } from '../../src/formats/values.ts'
import { filter, setFilter } from '../state/query.ts'
import { narrowed } from './conditions.ts'
import { copyText } from './copy.ts'
import type { MenuEntry } from './entry.ts'

/** More is no pattern that a person looks for. */
const LONGEST_PATTERN = 64

export function bytesMenu(field: 'input' | 'output', bytes: Uint8Array): MenuEntry[] {
  const pairs = hexText(bytes).match(/../g) ?? []
  const count = bytes.length === 1 ? '1 byte' : `${formatCount(bytes.length)} bytes`
  return [
    { kind: 'heading', label: count },
    { kind: 'action', label: 'Copy as hex', keys: 'Ctrl C', run: () => copyText(hexText(bytes)) },
    { kind: 'action', label: 'Copy as hex with blanks', run: () => copyText(pairs.join(' ')) },
    {
      kind: 'action',
      label: 'Copy as text',
      run: () => copyText(new TextDecoder('latin1').decode(bytes)),
    },
    {
      kind: 'action',
      label: 'Copy as UTF-16',
      run: () => copyText(new TextDecoder('utf-16le').decode(bytes)),
    },
    {
      kind: 'action',
      label: 'Copy as C array',
      run: () => copyText(`{ ${pairs.map((pair) => `0x${pair}`).join(', ')} }`),
    },
    { kind: 'line' },
    {
      kind: 'action',
      label: 'Only',
      code: `${field} contains ${pairs.slice(0, 6).join(':')}${pairs.length > 6 ? '…' : ''}`,
      disabled: bytes.length > LONGEST_PATTERN,
      run: () => setFilter(narrowed(filter.value, `${field} contains ${pairs.join(':')}`, true)),
    },
  ]
}
