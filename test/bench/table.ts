// table.ts: figures as people read them: what we want, what we have, and how that compares.

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

function verdict({ met }: Figure): string {
  if (met === null) return '      '
  return met ? 'met   ' : 'MISSED'
}

function comparison(times: number): string {
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
