// request-columns.ts: the columns of this window's grid, bound to the names and the clock of its core.

import { names } from '../state/link.ts'
import { RowText } from '../text/row-text.ts'
import { gridColumns } from './columns.ts'

export const rowText = new RowText(names)
export const requestColumns = gridColumns(rowText)
