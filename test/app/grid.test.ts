// grid.test.ts: where rows are: the scroll bar's mapping, the columns' widths, the order of drawing.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { columnsThatFit, layoutColumns } from '../../app/grid/column-layout.ts'
import { MAX_SCROLL_HEIGHT, ScrollMap } from '../../app/grid/scroll-map.ts'
import { Turns } from '../../app/state/turns.ts'

describe('ScrollMap', () => {
  test('is exact while the whole fits under the cap', () => {
    const map = new ScrollMap(1000, 22, 440)
    expect(map.scrollHeight).toBe(22_000)
    expect(map.toScrollTop(1234)).toBe(1234)
    expect(map.toPosition(1234)).toBe(1234)
  })

  test('reaches the first and the last of fifty million rows', () => {
    const map = new ScrollMap(50_000_000, 22, 440)
    expect(map.scrollHeight).toBe(MAX_SCROLL_HEIGHT)
    expect(map.toPosition(0)).toBe(0)
    expect(map.toPosition(MAX_SCROLL_HEIGHT - 440)).toBe(map.maxPosition)
    expect(map.firstRow(map.maxPosition)).toBe(50_000_000 - 20)
  })

  test('the wheel moves pixels, the thumb moves in proportion', () => {
    const map = new ScrollMap(50_000_000, 22, 440)
    const position = map.toPosition(4_000_000)
    expect(map.firstRow(position + 22) - map.firstRow(position)).toBe(1)
    // A notch of the wheel does not move the thumb by a pixel.
    expect(map.toScrollTop(position + 100) - map.toScrollTop(position)).toBeLessThan(1)
  })

  test('whatever the sizes: there and back, and every row can be revealed', () => {
    const sizes = fc.record({
      rows: fc.integer({ min: 1, max: 80_000_000 }),
      view: fc.integer({ min: 22, max: 3000 }),
      part: fc.double({ min: 0, max: 1, noNaN: true }),
    })
    fc.assert(
      fc.property(sizes, ({ rows, view, part }) => {
        const map = new ScrollMap(rows, 22, view)
        const position = part * map.maxPosition
        expect(map.toPosition(map.toScrollTop(position))).toBeCloseTo(position, 3)
        const row = Math.floor(part * (rows - 1))
        const revealed = map.reveal(row, 0)
        expect(row * 22).toBeGreaterThanOrEqual(revealed)
        expect((row + 1) * 22).toBeLessThanOrEqual(revealed + view)
        expect(map.reveal(row, revealed)).toBe(revealed)
      }),
    )
  })

  test('without rows there is nowhere to go', () => {
    const map = new ScrollMap(0, 22, 440)
    expect([map.maxPosition, map.toPosition(50), map.toScrollTop(0)]).toEqual([0, 0, 0])
  })
})

describe('columns', () => {
  const columns = [
    { id: 'a', width: 100, min: 60 },
    { id: 'b', width: 200, min: 100, dispensable: 1 },
    { id: 'c', width: 100, min: 100 },
  ]

  test('fill the width, the last one taking the rest', () => {
    expect(layoutColumns(columns, {}, 500)).toEqual([100, 200, 200])
  })

  test('give way in proportion, down to their least', () => {
    expect(layoutColumns(columns, {}, 330).reduce((sum, width) => sum + width)).toBe(330)
    expect(layoutColumns(columns, {}, 100)).toEqual([60, 100, 100])
  })

  test('keep the width that a person gave them', () => {
    expect(layoutColumns(columns, { b: 210 }, 330)[1]).toBe(210)
  })

  test('are not left out where a person gave them a width', () => {
    expect(
      columnsThatFit([...columns, { id: 'd', width: 50, min: 50, dispensable: 2 }], { b: 150 }, 320).map(
        ({ id }) => id,
      ),
    ).toEqual(['a', 'b', 'c'])
  })

  test('are left out where even their least is too much, least important first', () => {
    expect(columnsThatFit(columns, {}, 400).map(({ id }) => id)).toEqual(['a', 'b', 'c'])
    expect(columnsThatFit(columns, {}, 200).map(({ id }) => id)).toEqual(['a', 'c'])
  })

  test('are all there where the grid scrolls sideways anyway', () => {
    expect(columnsThatFit(columns, {}, 10).map(({ id }) => id)).toEqual(['a', 'b', 'c'])
  })
})

test('what follows the hand draws in the next frame, and the others wait, but not for ever', () => {
  const frames: (() => void)[] = []
  const turns = new Turns((callback) => frames.push(callback))
  const drawn: string[] = []
  const chart = () => drawn.push('chart')
  const grid = () => {
    drawn.push('grid')
    turns.markFirst(grid)
  }
  turns.mark(chart)
  turns.markFirst(grid)
  for (let frame = 0; frame < 5; frame++) frames.shift()!()
  expect(drawn).toEqual(new Array(5).fill('grid'))
  for (let frame = 0; frame < 5; frame++) frames.shift()!()
  expect(drawn.filter((view) => view === 'chart')).toHaveLength(1)
})

test('live views draw one per frame, and once for many changes', () => {
  const frames: (() => void)[] = []
  const turns = new Turns((callback) => frames.push(callback))
  const drawn: string[] = []
  const grid = () => drawn.push('grid')
  const chart = () => drawn.push('chart')
  turns.mark(grid)
  turns.mark(chart)
  turns.mark(grid)
  expect(frames).toHaveLength(1)
  frames.shift()!()
  expect(drawn).toEqual(['grid'])
  frames.shift()!()
  expect(drawn).toEqual(['grid', 'chart'])
  expect(frames).toHaveLength(0)
  turns.mark(grid)
  turns.drop(grid)
  frames.shift()!()
  expect(drawn).toEqual(['grid', 'chart'])
})
