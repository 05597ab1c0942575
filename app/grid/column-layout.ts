// column-layout.ts: which columns there are room for, and how wide each is.
//
// A column keeps the width that a person gave it; the others give way, each down to its minimum. Where even that is
// too wide, of those others the ones that say least are left out. Where that does not help, the grid scrolls sideways,
// and has room for all. The last one takes what is left over.

export interface ColumnSize {
  id: string
  width: number
  min: number
  /** Columns with the highest number are left out first; absent = never. */
  dispensable?: number
}

export const SMALLEST_WIDTH = 32

/** The columns that fit at their least width; all, if even the fewest do not. */
export function columnsThatFit<Column extends ColumnSize>(
  columns: readonly Column[],
  chosen: Readonly<Record<string, number>>,
  available: number,
): Column[] {
  const kept = [...columns]
  const least = () => kept.reduce((sum, column) => sum + (chosen[column.id] ?? column.min), 0)
  while (least() > available) {
    const dispensable = kept.filter(
      ({ id, dispensable }) => dispensable !== undefined && chosen[id] === undefined,
    )
    const victim = dispensable.sort((a, b) => b.dispensable! - a.dispensable!)[0]
    if (!victim) return [...columns]
    kept.splice(kept.indexOf(victim), 1)
  }
  return kept
}

export function layoutColumns(
  columns: readonly ColumnSize[],
  chosen: Readonly<Record<string, number>>,
  available: number,
): number[] {
  const widths = columns.map((column) => chosen[column.id] ?? column.width)
  const slack = columns.map((column, i) => (chosen[column.id] === undefined ? widths[i]! - column.min : 0))
  const excess = widths.reduce((sum, width) => sum + width, 0) - available
  const totalSlack = slack.reduce((sum, width) => sum + width, 0)
  if (excess > 0 && totalSlack > 0) {
    const part = Math.min(1, excess / totalSlack)
    for (let i = 0; i < widths.length; i++) widths[i]! -= Math.ceil(slack[i]! * part)
  }
  const rest = available - widths.reduce((sum, width) => sum + width, 0)
  if (rest > 0 && widths.length > 0) widths[widths.length - 1]! += rest
  return widths
}
