// grid.test.ts: what a person looks at in the grid stays there, whatever comes, leaves, or is filtered and sorted around it.

import { resolve } from 'node:path'
import type { Page } from 'playwright-core'
import { afterEach, describe, expect, test } from 'vitest'
import { startFakeCore } from '../app/fake-core.ts'
import {
  cannotRun,
  filter,
  goesOn,
  item,
  openPage,
  openWindow,
  PATIENCE,
  rows,
  text,
  topRow,
  type Window,
} from './window.ts'

let window: Window
afterEach(() => window?.close())

describe.skipIf(cannotRun)('the grid', () => {
  test('rows that are looked at stay in place while older ones leave, and say when they have left themselves', async () => {
    // Room for a few seconds of requests.
    window = await openWindow('--seed', '7', '--rate', '20000', '--memory', '60MB')
    const { page } = window
    await expect.poll(() => evicted(page), PATIENCE).toBeGreaterThan(0)
    await scrollAndSelect(page, -3000)
    await expect.poll(() => placeOfSelected(page), PATIENCE).not.toBeNull()
    const before = (await placeOfSelected(page))!
    const leftBefore = await evicted(page)
    await expect.poll(() => evicted(page), PATIENCE).toBeGreaterThan(leftBefore)
    // Another row number, as so many have left before it; the same row at the same height.
    await expect.poll(async () => (await placeOfSelected(page))?.number, PATIENCE).toBeLessThan(before.number)
    expect(await placeOfSelected(page)).toMatchObject({ top: before.top, text: before.text })

    await expect
      .poll(() => text(page, '.grid-panel'), { timeout: 60_000 })
      .toMatch(/[\d,]+ older requests have left/)
    expect(await page.locator('.row.selected').count()).toBe(0)
  })

  test('the selected row stays in view while filter and order change', async () => {
    window = await openWindow('--seed', '7', '--rate', '5000')
    const { page } = window
    await expect.poll(() => item(page, 'requests'), PATIENCE).toBeGreaterThan(10_000)
    await page.keyboard.press('Space')
    await expect.poll(() => text(page, '.source'), PATIENCE).toContain('Stopped')
    await scrollAndSelect(page, -60_000)
    await expect.poll(() => placeOfSelected(page), PATIENCE).not.toBeNull()
    const before = (await placeOfSelected(page))!
    const nowElsewhere = async () => {
      const now = await placeOfSelected(page)
      return now !== null && now.number !== before.number && now.text === before.text
    }

    await filter(page, 'row >= 100')
    await expect.poll(nowElsewhere, PATIENCE).toBe(true)
    expect((await placeOfSelected(page))?.top).toBe(before.top)

    await filter(page, '')
    await expect.poll(async () => (await placeOfSelected(page))?.number, PATIENCE).toBe(before.number)
    await page.getByRole('columnheader', { name: 'Duration', exact: true }).getByRole('button').click()
    await expect.poll(nowElsewhere, PATIENCE).toBe(true)
    await page.locator('.grid').focus()
    await page.keyboard.press('ArrowDown')
    await expect.poll(async () => (await placeOfSelected(page))?.text, PATIENCE).not.toBe(before.text)
  })

  test('goes on following when it has more room', async () => {
    window = await openWindow('--seed', '7', '--rate', '3000')
    const { page } = window
    const follow = page.getByRole('button', { name: 'Follow' })
    await expect.poll(() => item(page, 'requests'), PATIENCE).toBeGreaterThan(3000)
    for (const [width, height] of [
      [1024, 640],
      [1440, 900],
      [1440, 700],
      [1440, 900],
    ] as const) {
      await page.setViewportSize({ width, height })
      await goesOn(page, 1000)
      expect(await follow.getAttribute('aria-pressed')).toBe('true')
    }
  })

  test('the top of an order is reached from anywhere, and stays while more comes in above', async () => {
    window = await openWindow('--seed', '7', '--rate', '3000')
    const { page } = window
    const duration = page.locator('[role=columnheader]', { hasText: 'Duration' }).getByRole('button')
    await expect.poll(() => item(page, 'requests'), PATIENCE).toBeGreaterThan(6000)
    await duration.click()
    await duration.click()
    await expect.poll(() => topRow(page), PATIENCE).toBe(2)
    await goesOn(page, 6000)
    expect(await topRow(page)).toBe(2)

    await scrollAndSelect(page, 20_000)
    await expect.poll(() => placeOfSelected(page), PATIENCE).not.toBeNull()
    await page.locator('.grid').focus()
    await page.keyboard.press('Home')
    await expect.poll(() => topRow(page), PATIENCE).toBe(2)
    await expect.poll(() => page.locator('.row.selected[aria-rowindex="2"]').count(), PATIENCE).toBe(1)

    // A filter that the topmost row does not pass begins at the top of that order, too.
    await page.keyboard.press('Escape')
    await page.keyboard.press('Space')
    await expect.poll(() => text(page, '.source'), PATIENCE).toContain('Stopped')
    await page.mouse.move(700, 600)
    await page.mouse.wheel(0, 50_000)
    await expect.poll(() => topRow(page), PATIENCE).toBeGreaterThan(100)
    await expect.poll(() => page.locator('.row.waiting').count(), PATIENCE).toBe(0)
    const [topmost] = await rows(page)
    await filter(page, `process != "${topmost.Process}"`)
    await expect.poll(() => topRow(page), PATIENCE).toBe(2)
  })

  test('reaches each of fifty million rows: by wheel, keys and thumb', async () => {
    const ROWS = 50_000_000
    const assets = resolve(import.meta.dirname, '../../dist/app')
    const core = await startFakeCore({ assets, rows: ROWS, rate: 0, running: false })
    window = await openPage(core.url, () => core.close())
    const { page } = window
    const shown = async () => {
      const numbers = await rowNumbers(page)
      // No row is missing, none is shown twice.
      return numbers.every((number, i) => i === 0 || number === numbers[i - 1]! + 1) ? numbers : []
    }
    const selected = async () => (await placeOfSelected(page))?.number
    await expect.poll(async () => (await shown()).at(-1), PATIENCE).toBe(ROWS)

    const { x, y, width, height } = (await page.locator('.grid-scroll').boundingBox())!
    const inTheMiddle = { x: x + width / 2, y: y + height / 2 }
    await page.mouse.move(inTheMiddle.x, inTheMiddle.y)
    const [before] = await shown()
    await page.mouse.wheel(0, -22)
    await expect.poll(async () => (await shown())[0], PATIENCE).toBe(before! - 1)

    await page.locator('.grid').focus()
    await page.keyboard.press('Home')
    await expect.poll(selected, PATIENCE).toBe(1)
    await page.locator('.detail .fields').waitFor()
    const onScreen = (await shown()).length
    await page.keyboard.press('PageDown')
    await expect.poll(selected, PATIENCE).toBeGreaterThan(onScreen - 5)
    expect(await selected()).toBeLessThanOrEqual(onScreen)
    await page.keyboard.press('End')
    await expect.poll(selected, PATIENCE).toBe(ROWS)
    await page.keyboard.press('ArrowUp')
    await expect.poll(selected, PATIENCE).toBe(ROWS - 1)
    await page.keyboard.press('Escape')
    await page.locator('.detail').waitFor({ state: 'detached' })

    // The thumb, from right above the button at the end of its bar to the middle.
    const bar = x + width - 7
    await page.mouse.move(bar, y + height - 22)
    await page.mouse.down()
    await page.mouse.move(bar, y + height / 2, { steps: 5 })
    await page.mouse.up()
    await expect.poll(async () => (await shown())[0], PATIENCE).toBeLessThan(ROWS * 0.6)
    const [middle] = await shown()
    expect(middle).toBeGreaterThan(ROWS * 0.4)
    await page.mouse.move(inTheMiddle.x, inTheMiddle.y)
    await page.mouse.wheel(0, 22)
    await expect.poll(async () => (await shown())[0], PATIENCE).toBe(middle! + 1)
    expect(window.complaints).toEqual([])
  })
})

/** Numbers of the rows that are here, from top to bottom; the first row of the view is 1. */
function rowNumbers(page: Page): Promise<number[]> {
  return page.evaluate(() =>
    [...document.querySelectorAll('.row:not(.void, .waiting)')]
      .map((row) => Number(row.getAttribute('aria-rowindex')) - 1)
      .sort((a, b) => a - b),
  )
}

/** Turns the wheel, waits for the rows, and presses on the one in the middle: where it is, not when it stands still. */
async function scrollAndSelect(page: Page, pixels: number): Promise<void> {
  const { x, y, width, height } = (await page.locator('.grid').boundingBox())!
  await page.mouse.move(x + width / 2, y + height / 2)
  await page.mouse.wheel(0, pixels)
  await expect.poll(() => page.locator('[aria-pressed="true"]', { hasText: 'Follow' }).count()).toBe(0)
  await expect.poll(() => page.locator('.row.waiting').count(), PATIENCE).toBe(0)
  await page.mouse.click(x + width / 2, y + height / 2)
}

/** The selected row as it is seen: its number in the view, from 1 on, its height on the screen, its words. */
function placeOfSelected(page: Page): Promise<{ number: number; top: number; text: string } | null> {
  return page.evaluate(() => {
    const row = document.querySelector('.row.selected')
    return (
      row && {
        number: Number(row.getAttribute('aria-rowindex')) - 1,
        top: Math.round(row.getBoundingClientRect().top),
        text: row.textContent ?? '',
      }
    )
  })
}

/** Rows that have left memory, as the status bar tells on its requests. */
async function evicted(page: Page): Promise<number> {
  const told = await page.locator('[data-item="requests"]').getAttribute('title', PATIENCE)
  return Number((/oldest ([\d,]+) have left/.exec(told ?? '')?.[1] ?? '0').replaceAll(',', ''))
}
