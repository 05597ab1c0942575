// capture-draft.test.ts: what the dialog of the capture options shows reads back as what it was made from.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type CaptureDraft, draftOf, readDraft } from '../../app/text/capture-draft.ts'
import { type CaptureSettings, type Choice, DEFAULT_SETTINGS } from '../../src/protocol/capture-settings.ts'
import type { FunctionIndex } from '../../src/protocol/ids.ts'
import { FUNCTION_COUNT, MAX_SNAP_LENGTH } from '../../src/protocol/layout.ts'

const number32 = fc.integer({ min: 0, max: 0xffffffff })

function choiceOf<T>(value: fc.Arbitrary<T>): fc.Arbitrary<Choice<T>> {
  return fc.oneof(
    fc.constant<Choice<T>>({ mode: 'any', values: [] }),
    fc.record({
      mode: fc.constantFrom('only' as const, 'allBut' as const),
      values: fc.uniqueArray(value, { minLength: 1, maxLength: 20 }),
    }),
  )
}

const someSettings: fc.Arbitrary<CaptureSettings> = fc.record({
  predicates: fc.record({
    drivers: choiceOf(fc.constantFrom('\\Driver\\AFD', '\\FileSystem\\Npfs', '\\Driver\\disk')),
    functions: choiceOf(
      fc.integer({ min: 0, max: FUNCTION_COUNT - 1 }).map((index) => index as FunctionIndex),
    ),
    processes: choiceOf(number32),
    codes: choiceOf(fc.oneof(number32, fc.constantFrom(0x12017, 0x1201f))),
    errorsOnly: fc.boolean(),
    minimumLatencyNs: fc.integer({ min: 0, max: 1e13 }),
    sampleEvery: fc.integer({ min: 1, max: 0xffffffff }),
    ownProcesses: fc.boolean(),
  }),
  inputSnapLength: fc.integer({ min: 0, max: MAX_SNAP_LENGTH }),
  outputSnapLength: fc.integer({ min: 0, max: MAX_SNAP_LENGTH }),
})

/** The order of the functions is not theirs. */
function sorted(settings: CaptureSettings): CaptureSettings {
  const { predicates } = settings
  const functions = { ...predicates.functions, values: predicates.functions.values.toSorted((a, b) => a - b) }
  return { ...settings, predicates: { ...predicates, functions } }
}

describe('the capture options as fields', () => {
  test('whatever they are, the fields read back as the same', () => {
    fc.assert(
      fc.property(someSettings, (settings) => {
        const read = readDraft(draftOf(settings))
        if (typeof read === 'string') throw new Error(read)
        expect(sorted(read)).toEqual(sorted(settings))
      }),
    )
  })

  test('as a person types them', () => {
    const typed: CaptureDraft = {
      drivers: { mode: 'only', text: 'afd' },
      functions: { mode: 'allBut', text: 'read, IRP_MJ_WRITE' },
      codes: { mode: 'only', text: 'AFD_RECV 0x1201f' },
      processes: { mode: 'allBut', text: '4, 1208' },
      errorsOnly: true,
      minimumLatency: ' 2.5ms ',
      sampleEvery: ' 10 ',
      ownProcesses: true,
      inputSnapLength: '0',
      outputSnapLength: '65536',
    }
    expect(readDraft(typed)).toEqual({
      predicates: {
        drivers: { mode: 'only', values: ['\\Driver\\afd'] },
        functions: { mode: 'allBut', values: [3, 4] },
        codes: { mode: 'only', values: [0x12017, 0x1201f] },
        processes: { mode: 'allBut', values: [4, 1208] },
        errorsOnly: true,
        minimumLatencyNs: 2_500_000,
        sampleEvery: 10,
        ownProcesses: true,
      },
      inputSnapLength: 0,
      outputSnapLength: 65_536,
    })
  })

  test('a choice among none is none, and what is chosen among all is not asked for', () => {
    const draft = draftOf(DEFAULT_SETTINGS)
    draft.processes = { mode: 'only', text: ' , ' }
    draft.codes = { mode: 'any', text: '0x12017' }
    expect(readDraft(draft)).toEqual(DEFAULT_SETTINGS)
  })

  test.each<[Partial<CaptureDraft>, RegExp]>([
    [{ functions: { mode: 'only', text: 'REED' } }, /there is no function "REED"/i],
    [{ codes: { mode: 'only', text: 'nonsense' } }, /"nonsense" is no control code/i],
    [{ processes: { mode: 'only', text: 'chrome.exe' } }, /"chrome.exe" is no process id/i],
    [{ minimumLatency: 'soon' }, /"soon" is no duration/i],
    [{ sampleEvery: '0' }, /One request in: a whole number from 1/],
    [{ inputSnapLength: '65537' }, /Bytes kept of input: a whole number from 0 to 65536/],
    [{ outputSnapLength: '' }, /Bytes kept of output: a whole number/],
  ])('says what is wrong with %j', (wrong, message) => {
    expect(readDraft({ ...draftOf(DEFAULT_SETTINGS), ...wrong })).toMatch(message)
  })
})
