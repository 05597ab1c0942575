// heads.test.ts: what stands above the rows: the heads of the columns, and the charts.

import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cannotRun, openWindow, PATIENCE, text, type Window } from './window.ts'

describe.skipIf(cannotRun)('above the rows', () => {
  let window: Window
  let page: Page

  beforeAll(async () => {
    window = await openWindow('--seed', '7', '--rate', '2000', '--driver', 'DrivermonEcho')
    page = window.page
    await page.locator('.row .cell.function').nth(5).waitFor()
  })
  afterAll(() => window?.close())

  const head = (name: string) => page.locator('.grid').getByRole('columnheader', { name, exact: true })
  const right = async (name: string) => {
    const box = (await head(name).boundingBox())!
    return box.x + box.width
  }

  test('both halves of a grip resize its column, whose edge stays under the hand', async () => {
    for (const side of [-2, 2]) {
      const edge = Math.round(await right('Function'))
      const { y } = (await head('Function').boundingBox())!
      await page.mouse.move(edge + side, y + 10)
      await page.mouse.down()
      for (const by of [40, 120, 200]) {
        await page.mouse.move(edge + side + by, y + 10)
        await expect.poll(() => right('Function'), PATIENCE).toBeCloseTo(edge + by, 0)
      }
      await page.mouse.up()
      await head('Function').locator('.resizer').dblclick()
      await expect.poll(() => right('Function'), PATIENCE).toBeCloseTo(edge, 0)
    }
    expect(await page.evaluate(() => getSelection()?.toString())).toBe('')
    expect(await page.getByRole('button', { name: 'Follow' }).getAttribute('aria-pressed')).toBe('true')
  })

  test('a drag that is taken away leaves nothing behind', async () => {
    const { x, y } = (await head('Status').boundingBox())!
    await page.mouse.move(x + 20, y + 10)
    await page.mouse.down()
    await page.mouse.move(x + 300, y + 10, { steps: 3 })
    await page.locator('.grid-head .dragged').waitFor()
    await page.evaluate(() => dispatchEvent(new PointerEvent('pointercancel')))
    await page.locator('.grid-head .dragged').waitFor({ state: 'detached' })
    await page.mouse.up()
    expect(await head('Status').boundingBox()).toMatchObject({ x })
  })
  const figures = async () => ({
    rate: (await text(page, '[data-testid=rate]')).replace('/s', '').trim(),
    legend: await text(page, '.legend-entry b'),
    top: new Set(await page.locator('.top td:nth-child(2), .top td:nth-child(3)').allTextContents()),
    watched: await page.locator('.chip .dot.ok').count(),
  })
  const none = { rate: '–', legend: '–', top: new Set(['–']), watched: 0 }

  test('nothing is said to happen now once the capture has stopped, or the core is gone', async () => {
    await expect
      .poll(async () => Number((await figures()).rate.replace(',', '')), PATIENCE)
      .toBeGreaterThan(0)
    expect((await figures()).watched).toBe(1)
    await page.getByRole('button', { name: 'Stop', exact: true }).click()
    await expect.poll(figures, PATIENCE).toEqual(none)
    await page.getByRole('button', { name: 'Start', exact: true }).click()
    await expect.poll(async () => (await figures()).rate, PATIENCE).not.toBe('–')
    await window.endCore()
    await expect.poll(figures, PATIENCE).toEqual(none)
  })
})
