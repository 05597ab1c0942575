// table.ts: figures as people read them: each with its yardsticks and what is to be said about it, and all of them in
// one table with a line each.

import { type Figure, factor } from './figure.ts'

export function printFigures(figures: readonly Figure[]): string {
  const lines: string[] = []
  for (const figure of figures) {
    lines.push(
      `${verdict(figure)} ${figure.name}: ${number(figure.ours)} ${figure.unit}${figure.target ? `   (wanted: ${figure.target})` : ''}`,
    )
    for (const yardstick of figure.yardsticks) {
      lines.push(
        `       ${comparison(factor(figure, yardstick)).padEnd(14)} ${yardstick.name} (${number(yardstick.value)})`,
      )
    }
    if (figure.note) lines.push(`       ${figure.note}`)
  }
  return `${lines.join('\n')}\n`
}

/** A line per figure, beside its first yardstick. */
export function printTable(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => {
    const [beside] = figure.yardsticks
    return [
      verdict(figure),
      figure.name,
      `${number(figure.ours)} ${figure.unit}`,
      figure.target ?? '',
      beside ? `${comparison(factor(figure, beside))} ${beside.name} (${number(beside.value)})` : '',
    ]
  })
  const table = [['', 'figure', 'ours', 'wanted', 'beside'], ...rows]
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)))
  const lines = table.map((row) => row.map((cell, column) => cell.padEnd(widths[column])).join('  '))
  const count = (met: boolean) => figures.filter((figure) => figure.met === met).length
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n\n${count(true)} targets met, ${count(false)} missed\n`
}

function verdict({ met }: Figure): string {
  if (met === null) return '      '
  return met ? 'met   ' : 'MISSED'
}

function comparison(times: number): string {
  if (!Number.isFinite(times) || times === 0) return 'beside'
  if (times >= 0.95 && times <= 1.05) return 'as good as'
  return times > 1 ? `${number(times)}x better` : `${number(1 / times)}x worse`
}

export function number(value: number): string {
  if (!Number.isFinite(value)) return '-'
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2
  return value.toLocaleString('en', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  })
}
