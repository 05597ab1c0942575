// settings.ts: what a person arranged (theme, sizes, columns) and wants to find again; kept in localStorage.

import { effect, type Signal, signal } from '@preact/signals'

export type Theme = 'system' | 'light' | 'dark'

export const theme = persisted<Theme>(
  'theme',
  'system',
  (v) => v === 'light' || v === 'dark' || v === 'system',
)
export const chartsOpen = persisted('charts-open', true, isBoolean)
export const chartsHeight = persisted('charts-height', 212, isNumber)
export const detailOpen = persisted('detail-open', true, isBoolean)
export const detailHeight = persisted('detail-height', 236, isNumber)
/** Widths in pixels by column, where a person changed them. */
export const columnWidths = persisted<Record<string, number>>('column-widths', {}, isRecord(isNumber))
/** Ids of columns from left to right, where a person moved one. */
export const columnOrder = persisted<string[]>('column-order', [], isTexts)
export const hiddenColumns = persisted<Record<string, boolean>>('hidden-columns', {}, isRecord(isBoolean))

/** A signal that remembers itself. What cannot be read back, or is of another shape, is the initial value. */
function persisted<T>(name: string, initial: T, isValid: (value: unknown) => boolean): Signal<T> {
  const key = `drivermon.${name}`
  const result = signal<T>(initial)
  try {
    const text = localStorage.getItem(key)
    const value: unknown = text === null ? undefined : JSON.parse(text)
    if (isValid(value)) result.value = value as T
    effect(() => localStorage.setItem(key, JSON.stringify(result.value)))
  } catch {
    // Storage may be switched off; then nothing is remembered and all else works.
  }
  return result
}

function isBoolean(value: unknown): value is boolean {
  return typeof value === 'boolean'
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string')
}

function isRecord(isValid: (value: unknown) => boolean): (value: unknown) => boolean {
  return (value) => typeof value === 'object' && value !== null && Object.values(value).every(isValid)
}
