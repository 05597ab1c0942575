// client-message.ts: turns what came over the socket into a ClientMessage, or says what is wrong with it.
//
// The other end is our own page, but a version may be older, and a bug there must not become a crash here.

import type { CaptureSettings, Choice } from '../protocol/capture-settings.ts'
import type { FunctionIndex, RowId } from '../protocol/ids.ts'
import { FUNCTION_COUNT, MAX_PREDICATE_ENTRIES, MAX_SNAP_LENGTH } from '../protocol/layout.ts'
import {
  type ClientMessage,
  MAX_FILES_KEPT,
  MIN_BUDGET_BYTES,
  MIN_FILES_KEPT,
  MIN_ROTATION_BYTES,
  MIN_ROTATION_MS,
  type Rotation,
  type Sort,
  type ViewRequest,
} from '../protocol/wire.ts'

/** More rows than any screen shows; bounds the work that one message can ask for. */
export const MAX_WINDOW_ROWS = 1024
const MAX_TEXT = 32 * 1024

export class BadMessage extends Error {}

export function parseClientMessage(text: string): ClientMessage {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new BadMessage('A message was not JSON.')
  }
  const fields = new Fields(value)
  const type = fields.text('type')
  switch (type) {
    case 'hello':
      return { type, wire: fields.count('wire') }
    case 'listDrivers':
    case 'start':
    case 'stop':
    case 'clear':
    case 'stopRecord':
    case 'inFlight':
      return { type }
    case 'addDriver':
      return { type, name: fields.text('name'), force: fields.flag('force') }
    case 'configure':
      return { type, settings: fields.settings('settings') }
    case 'removeDriver':
      return { type, name: fields.text('name') }
    case 'record':
      return { type, path: fields.text('path'), rotation: fields.rotation('rotation') }
    case 'setBudget':
      return { type, bytes: fields.amount('bytes', MIN_BUDGET_BYTES) }
    case 'view':
      return {
        type,
        filter: fields.text('filter'),
        sort: fields.sort('sort'),
        first: fields.count('first'),
        count: Math.min(fields.count('count'), MAX_WINDOW_ROWS),
        follow: fields.flag('follow'),
        anchor: fields.anchor('anchor'),
      }
    case 'detail':
      return { type, row: fields.count('row') as RowId, stamp: fields.count('stamp') }
    default:
      throw new BadMessage(`There is no message "${type.slice(0, 40)}".`)
  }
}

class Fields {
  #fields: Record<string, unknown>

  constructor(value: unknown) {
    if (typeof value !== 'object' || value === null) throw new BadMessage('A message was not an object.')
    this.#fields = value as Record<string, unknown>
  }

  text(name: string): string {
    const value = this.#fields[name]
    if (typeof value !== 'string' || value.length > MAX_TEXT) throw this.#bad(name, 'a string')
    return value
  }

  count(name: string, most = Number.MAX_SAFE_INTEGER): number {
    const value = this.#fields[name]
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || value > most)
      throw this.#bad(
        name,
        most < Number.MAX_SAFE_INTEGER ? `a whole number up to ${most}` : 'a whole number',
      )
    return value
  }

  flag(name: string): boolean {
    const value = this.#fields[name]
    if (typeof value !== 'boolean') throw this.#bad(name, 'true or false')
    return value
  }

  sort(name: string): Sort | null {
    const value = this.#fields[name]
    if (value === null) return null
    const sort = new Fields(value)
    return { field: sort.text('field'), descending: sort.flag('descending') }
  }

  anchor(name: string): ViewRequest['anchor'] {
    const value = this.#fields[name]
    if (value === null) return null
    const anchor = new Fields(value)
    return { row: anchor.count('row') as RowId, index: anchor.count('index') }
  }

  rotation(name: string): Rotation | null {
    if (this.#fields[name] === null) return null
    const rotation = new Fields(this.#fields[name])
    return {
      sizeBytes: rotation.#none('sizeBytes') ? 0 : rotation.amount('sizeBytes', MIN_ROTATION_BYTES),
      timeMs: rotation.#none('timeMs') ? 0 : rotation.amount('timeMs', MIN_ROTATION_MS),
      keep: rotation.#none('keep') ? 0 : rotation.amount('keep', MIN_FILES_KEPT, MAX_FILES_KEPT),
    }
  }

  settings(name: string): CaptureSettings {
    const settings = new Fields(this.#fields[name])
    const predicates = new Fields(settings.#fields.predicates)
    return {
      predicates: {
        drivers: predicates.#names('drivers'),
        functions: predicates.#choice(
          'functions',
          FUNCTION_COUNT - 1,
          FUNCTION_COUNT,
        ) as Choice<FunctionIndex>,
        processes: predicates.#choice('processes', 0xffffffff, MAX_PREDICATE_ENTRIES),
        codes: predicates.#choice('codes', 0xffffffff, MAX_PREDICATE_ENTRIES),
        errorsOnly: predicates.flag('errorsOnly'),
        minimumLatencyNs: predicates.amount('minimumLatencyNs'),
        sampleEvery: predicates.count('sampleEvery', 0xffffffff),
        ownProcesses: predicates.flag('ownProcesses'),
      },
      inputSnapLength: settings.count('inputSnapLength', MAX_SNAP_LENGTH),
      outputSnapLength: settings.count('outputSnapLength', MAX_SNAP_LENGTH),
    }
  }

  #choice(name: string, largest: number, most: number): Choice<number> {
    return this.#chosen(name, most, (values, index) => values.count(index, largest))
  }

  #names(name: string): Choice<string> {
    return this.#chosen(name, MAX_PREDICATE_ENTRIES, (values, index) => values.text(index))
  }

  #chosen<T>(name: string, most: number, read: (values: Fields, index: string) => T): Choice<T> {
    const choice = new Fields(this.#fields[name])
    const { mode, values } = choice.#fields
    if (mode !== 'any' && mode !== 'only' && mode !== 'allBut') throw this.#bad(name, 'a choice')
    if (!Array.isArray(values) || values.length > most) throw this.#bad(name, `a choice of up to ${most}`)
    const entries = new Fields(values)
    return { mode, values: values.map((_, index) => read(entries, String(index))) }
  }

  #none(name: string): boolean {
    return this.#fields[name] === 0
  }

  amount(name: string, least = 0, most = 1e18): number {
    const value = this.#fields[name]
    if (typeof value !== 'number' || !(value >= least && value <= most)) {
      throw this.#bad(name, least > 0 ? `a number from ${least}` : 'an amount')
    }
    return value
  }

  #bad(name: string, wanted: string): BadMessage {
    return new BadMessage(`In a message, "${name}" should be ${wanted}.`)
  }
}
