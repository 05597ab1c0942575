// Every request that arrived is recorded, dropped, kept out or sampled out; fast-I/O calls that fell through are none.

import { expect, test } from 'vitest'
import { accountOf } from '../../src/cli/account.ts'
import type { Counters, FunctionCount } from '../../src/protocol/control.ts'
import { RequestFlags } from '../../src/protocol/layout.ts'
import { lostRecords } from '../../src/protocol/records.ts'
import { emptyCapture } from '../support/captures.ts'
import { concat, end, start } from '../support/records.ts'

const FELL = RequestFlags.FastIo | RequestFlags.FellThrough

/** Starts 1 to `starts`; the first ones are known to have fallen through, the next have lost their ends. */
function captured(starts: number, fellThrough: number, endsLost = 0) {
  const capture = emptyCapture()
  for (let id = 1; id <= starts; id++) {
    const fell = id <= fellThrough
    const began = start({ id, major: 9, flags: RequestFlags.FastIo })
    const lost = !fell && id <= fellThrough + endsLost
    capture.ingest(
      lost ? began : concat([began, end({ id, major: 9, flags: fell ? FELL : RequestFlags.FastIo })]),
    )
  }
  return capture
}

function counters(fellThrough: number, rest: Partial<Counters> & { ringFull?: number; tooLarge?: number }) {
  const { ringFull = 0, tooLarge = 0, ...others } = rest
  return {
    drops: { starts: [ringFull, tooLarge, 0, 5, 0], ends: [0, 0, 0, 0, 0], others: 0 },
    dropsFellThrough: [0, 0, 0, 0, 0],
    filteredStarts: 0,
    filteredFellThrough: 0,
    sampledOut: 0,
    sampledOutFellThrough: 0,
    functions: [{ fellThrough: fellThrough - 1 }, { fellThrough: 1 }] as FunctionCount[],
    ...others,
  } as Counters
}

test('without loss, rows but for those that fell through', () => {
  const account = accountOf({ capture: captured(10, 4), counters: counters(4, {}) })
  expect(account).toMatchObject({ requests: 6, filtered: 0, sampledOut: 0 })
})

test('dropped starts leave out what fell through, also where the end of such a call was dropped', () => {
  const capture = captured(10, 3, 2)
  // 9 fell through: 3 with both records, 1 whose end was dropped, 5 whose start was dropped.
  const { requests, losses } = accountOf({
    capture,
    counters: counters(9, { ringFull: 4, tooLarge: 8, dropsFellThrough: [3, 2, 0, 0, 0] }),
  })
  expect(requests).toBe(6)
  expect(losses.starts).toEqual([1, 6, 0, 5, 0])
  expect(lostRecords(losses)).toBe(7)
})

test('what is kept out leaves out what fell through', () => {
  const account = accountOf({
    capture: captured(10, 2, 1),
    counters: counters(12, {
      ringFull: 3,
      dropsFellThrough: [1, 0, 0, 0, 0],
      filteredStarts: 5,
      filteredFellThrough: 4,
      sampledOut: 9,
      sampledOutFellThrough: 4,
    }),
  })
  // 12 = 3 recorded, one of which has lost its end, + 1 dropped + 4 filtered + 4 sampled out.
  expect(account).toMatchObject({ requests: 7, filtered: 1, sampledOut: 5 })
  expect(account.losses.starts[0]).toBe(2)
})

test('before the driver has been asked, the rows and the records of loss are all there is', () => {
  expect(accountOf({ capture: captured(5, 1), counters: null })).toMatchObject({ requests: 4, filtered: 0 })
})
