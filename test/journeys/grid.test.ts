// grid.test.ts: what a person looks at in the grid stays there, whatever comes, leaves, or is filtered and sorted around it.

import type { Page } from 'playwright-core'
import { afterEach, describe, expect, test } from 'vitest'
import { cannotRun, filter, item, openWindow, PATIENCE, text, type Window } from './window.ts'

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
})

/** Turns the wheel, waits for the rows, and presses on the one in the middle: where it is, not when it stands still. */
async function scrollAndSelect(page: Page, pixels: number): Promise<void> {
  const { x, y, width, height } = (await page.locator('.grid').boundingBox())!
  await page.mouse.move(x + width / 2, y + height / 2)
  await page.mouse.wheel(0, pixels)
  await expect.poll(() => page.locator('[aria-pressed="true"]', { hasText: 'Follow' }).count()).toBe(0)
  await expect.poll(() => page.locator('.row.waiting').count(), PATIENCE).toBe(0)
  await page.mouse.click(x + width / 2, y + height / 2)
}

/** The selected row as it is seen: its number in the view, its height on the screen, its words. */
function placeOfSelected(page: Page): Promise<{ number: number; top: number; text: string } | null> {
  return page.evaluate(() => {
    const row = document.querySelector('.row.selected')
    return (
      row && {
        number: Number(row.getAttribute('aria-rowindex')),
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
