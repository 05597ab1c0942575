// heads.test.ts: what stands above the rows: the heads of the columns.

import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cannotRun, openWindow, PATIENCE, type Window } from './window.ts'

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
})
