// live.test.ts: hands on a capture that runs: what is pressed twice, typed wrongly, or left open while it goes on.

import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cannotRun, filter, goesOn, item, openWindow, PATIENCE, text, topRow, type Window } from './window.ts'

describe.skipIf(cannotRun)('hands on a living capture', () => {
  let window: Window
  let page: Page

  beforeAll(async () => {
    window = await openWindow('--seed', '7', '--rate', '2000', '--driver', 'DrivermonEcho')
    page = window.page
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
    await page.locator('.row .cell.function').nth(5).waitFor()
  })
  afterAll(async () => {
    expect(window.complaints).toEqual([])
    await window.close()
  })

  test('a filter that is wrong stays wrong when it is entered again', async () => {
    const field = page.locator('#filter-field')
    await field.fill('ioctl == nonsense')
    await page.locator('.filter.wrong').waitFor()
    await field.press('Enter')
    await goesOn(page)
    expect(await page.locator('.filter.wrong').count()).toBe(1)
    await field.press('Escape')
    expect(await text(page, '.filter-problem')).toMatch(/control code/)
    await filter(page, '')
    // The keys are the grid's again.
    expect(await page.evaluate(() => document.activeElement?.getAttribute('role'))).toBe('grid')
  })

  test('another order begins at its top, also while the filter is wrong', async () => {
    const field = page.locator('#filter-field')
    await field.fill('ioctl == nonsense')
    await page.locator('.filter.wrong').waitFor()
    await field.press('Escape')
    await page.locator('.grid').focus()
    await page.keyboard.press('f')
    await goesOn(page)
    expect(await topRow(page)).toBeGreaterThan(2)
    const duration = page.getByRole('columnheader', { name: 'Duration', exact: true }).getByRole('button')
    await duration.click()
    await expect.poll(() => topRow(page), PATIENCE).toBe(2)
    await filter(page, '')
    await page.getByRole('button', { name: 'Follow' }).click()
  })

  test('a filter that is far too long is said to be, and harms nothing', async () => {
    await page.evaluate(() => navigator.clipboard.writeText(`"${'x'.repeat(200_000)}"`))
    await page.locator('#filter-field').focus()
    await page.keyboard.press('Control+V')
    await page.locator('.filter.wrong').waitFor()
    await page.keyboard.press('Escape')
    await expect.poll(() => text(page, '.filter-problem'), PATIENCE).toMatch(/up to 8192 characters/)
    await filter(page, 'pid == 4294967295')
    await expect.poll(() => item(page, 'shown'), PATIENCE).toBe(0)
    await filter(page, '')
    await expect.poll(() => item(page, 'shown'), PATIENCE).toBeGreaterThan(0)
  })

  test('the menu of a head sorts away from the tail, as a press on it does', async () => {
    const follow = page.getByRole('button', { name: 'Follow' })
    expect(await follow.getAttribute('aria-pressed')).toBe('true')
    await page
      .getByRole('columnheader', { name: 'Duration', exact: true })
      .getByRole('button')
      .click({ button: 'right' })
    await page.getByRole('menuitemradio', { name: 'Descending' }).click()
    await expect.poll(() => follow.getAttribute('aria-pressed'), PATIENCE).toBe('false')
    await page.locator('.row[aria-rowindex="2"]').waitFor()
    await follow.click()
    await expect.poll(() => follow.getAttribute('aria-pressed'), PATIENCE).toBe('true')
  })

  test('drivers keep their places in the list while they are hooked and unhooked', async () => {
    await page.keyboard.press('d')
    const names = page.locator('.driver-list .driver-name b')
    await names.nth(1).waitFor()
    const before = await names.allTextContents()
    expect(before.slice(0, 2)).toEqual(['\\Driver\\DrivermonEcho', '\\Driver\\AFD'])
    const button = page.locator('.driver-list li button').nth(1)
    expect(await button.getAttribute('aria-pressed')).toBe('false')
    for (const pressed of ['true', 'false']) {
      await button.click()
      await expect.poll(() => button.getAttribute('aria-pressed'), PATIENCE).toBe(pressed)
      expect(await names.allTextContents()).toEqual(before)
    }
    await page.keyboard.press('Escape')
    await page.locator('.dialog').waitFor({ state: 'detached' })
  })

  test('a dialog that is done with gives the keys back to the grid', async () => {
    const selected = () => page.locator('.row.selected').getAttribute('aria-rowindex', PATIENCE)
    // Following ends, so that a row can be pointed at.
    await page.keyboard.press('f')
    await page.locator('.row:not(.void, .waiting) .cell.function').nth(3).click()
    const before = Number(await selected())
    await page.keyboard.press('o')
    await page.getByRole('button', { name: 'Apply' }).click()
    await page.locator('.dialog').waitFor({ state: 'detached' })
    await page.keyboard.press('ArrowDown')
    await expect.poll(async () => Number(await selected()), PATIENCE).toBe(before + 1)
    await page.keyboard.press('o')
    await page.locator('.dialog').waitFor()
    await page.mouse.click(20, 450)
    await page.locator('.dialog').waitFor({ state: 'detached' })
    await page.keyboard.press('ArrowDown')
    await expect.poll(async () => Number(await selected()), PATIENCE).toBe(before + 2)
  })

  test('a new capture begins with nothing selected', async () => {
    await page.keyboard.press('Home')
    await page.locator('.row.selected[aria-rowindex="2"]').waitFor()
    await page.keyboard.press('Space')
    await expect.poll(() => text(page, '.source'), PATIENCE).toContain('Stopped')
    expect(await page.locator('.detail').count()).toBe(1)
    // A press by mistake costs nothing.
    await page.keyboard.press('Space')
    await page.locator('.dialog').waitFor()
    await page.keyboard.press('Escape')
    await page.locator('.dialog').waitFor({ state: 'detached' })
    expect(await text(page, '.source')).toContain('Stopped')
    expect(await page.locator('.row.selected').count()).toBe(1)
    await page.keyboard.press('Space')
    await page.locator('.dialog').waitFor()
    await page.keyboard.press('Enter')
    await expect.poll(() => text(page, '.source'), PATIENCE).toContain('Live')
    await expect.poll(() => page.locator('.detail').count(), PATIENCE).toBe(0)
    await page.locator('.row[aria-rowindex="2"]').waitFor()
    expect(await page.locator('.row.selected').count()).toBe(0)
  })
})
