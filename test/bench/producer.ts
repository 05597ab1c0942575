// producer.ts: what a record costs its producer: runs the native race (producer.cpp) and reads its result.

import type { Figure } from './figure.ts'
import { runNative } from './native-race.ts'

export function benchProducer(quick: boolean): Figure[] {
  const ns = runNative('bench_producer', quick ? 3 : 9)
  const cost = (
    name: string,
    ours: string,
    yardsticks: [string, string][],
    target: string,
    met: boolean,
  ) => ({
    name,
    unit: 'ns/record',
    better: 'lower' as const,
    ours: ns[ours],
    yardsticks: yardsticks.map(([title, key]) => ({
      name: title,
      value: ns[key],
    })),
    target,
    met,
    note: '',
  })
  const lost = (producer: string) => `${(100 * ns[`${producer}Lost`]).toFixed(1)} % lost`
  return [
    cost(
      'producer: the ring alone, 64 bytes',
      'ring64',
      [
        ['floor: time stamp and copy', 'floor64'],
        ["the predecessor's way, nobody waiting", 'predecessor64'],
      ],
      'within 25 % of the floor',
      ns.ring64 <= 1.25 * ns.floor64,
    ),
    cost(
      'producer: section, recorder and ring, 64 bytes',
      'recorder64',
      [
        ['floor: time stamp and copy', 'floor64'],
        ["the predecessor's way, nobody waiting", 'predecessor64'],
      ],
      'within 25 % of the floor',
      ns.recorder64 <= 1.25 * ns.floor64,
    ),
    cost(
      'producer: section, recorder and ring, a whole start record of 112 bytes',
      'recorder112',
      [['floor: time stamp and copy', 'floor112']],
      'within 25 % of the floor',
      ns.recorder112 <= 1.25 * ns.floor112,
    ),
    {
      name: 'consumer: merged by time and copied out, 112 bytes',
      unit: 'ns/record',
      better: 'lower',
      ours: ns.take112,
      yardsticks: [{ name: 'floor: time stamp and copy', value: ns.floor112 }],
      target: null,
      met: null,
      note: '',
    },
    {
      ...cost(
        'one producer flat out beside a consumer',
        'ours1',
        [["the predecessor's way", 'predecessor1']],
        '≥ 6x the predecessor',
        6 * ns.ours1 <= ns.predecessor1,
      ),
      note: `${lost('ours1')}, counted to the record; the predecessor's way: ${lost('predecessor1')}`,
    },
    {
      ...cost(
        'two producers flat out beside a consumer',
        'ours2',
        [["the predecessor's way", 'predecessor2']],
        '≥ 12x the predecessor',
        12 * ns.ours2 <= ns.predecessor2,
      ),
      note: `${lost('ours2')}, counted to the record; the predecessor's way: ${lost('predecessor2')}`,
    },
    {
      name: 'lost at 4 M records/s offered',
      unit: '%',
      better: 'lower',
      ours: 100 * ns.oursPacedLost,
      yardsticks: [],
      target: 'none',
      met: ns.oursPacedLost === 0,
      note: `the predecessor's way: ${(100 * ns.predecessorPacedLost).toFixed(1)} %`,
    },
    {
      name: 'the slowest record in a thousand, at 4 M records/s',
      unit: 'ns',
      better: 'lower',
      ours: ns.oursPacedP999,
      yardsticks: [
        {
          name: "the predecessor's way (25 µs is where counting ends)",
          value: ns.predecessorPacedP999,
        },
      ],
      target: '< 1,000 ns on an idle machine',
      met: ns.oursPacedP999 < 1000,
      note: '',
    },
  ]
}
