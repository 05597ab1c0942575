// heads.test.ts: what stands above the rows: the heads of the columns, the charts, the dialog that begins a recording.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
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
  test('a head that sorts is still called by its title', async () => {
    await head('Duration').getByRole('button', { name: 'Duration', exact: true }).click()
    await expect.poll(() => head('Duration').getAttribute('aria-sort'), PATIENCE).toBe('ascending')
    await head('Duration').getByRole('button', { name: 'Duration', exact: true }).waitFor()
    await page.keyboard.press('f')
    await expect.poll(() => head('Duration').getAttribute('aria-sort'), PATIENCE).toBe('none')
  })

  test('a recording that could not begin leaves what was typed, and says why', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'drivermon-'))
    try {
      const path = join(folder, 'there.pcapng')
      writeFileSync(path, '')
      await page.locator('.grid').focus()
      await page.keyboard.press('r')
      const dialog = page.getByRole('dialog', { name: 'Record to a file' })
      const field = (label: string) => dialog.getByLabel(label, { exact: true })
      await field('Files kept').fill('20')
      await field('Size of a file').fill('256MB')
      await field('File').fill(join(folder, 'nowhere', 'new.pcapng'))
      await field('File').press('Enter')
      await dialog.getByRole('alert').waitFor()
      expect(await field('Size of a file').inputValue()).toBe('256MB')
      expect(await field('Files kept').inputValue()).toBe('20')
      await field('Size of a file').fill('')
      await field('Files kept').fill('')
      await field('File').fill(path)
      expect(await dialog.getByRole('alert').count()).toBe(0)
      await field('File').press('Enter')
      await dialog.getByRole('alert').waitFor()
      await field('File').fill(join(folder, 'new.pcapng'))
      await field('File').press('Enter')
      await dialog.waitFor({ state: 'detached' })
      await page.getByRole('button', { name: 'Stop recording' }).click()
      await page.getByRole('button', { name: 'Record', exact: true }).waitFor()
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  const figures = async () => ({
    rate: (await text(page, '[data-testid=rate]')).replace('/s', '').trim(),
    // A new capture has none yet: that claims nothing, either.
    legend: (await page.locator('.legend-entry b').allTextContents())[0] ?? '–',
    top: (await page.locator('.top td:nth-child(2), .top td:nth-child(3)').allTextContents()).filter(
      (figure) => figure !== '–',
    ),
    watched: await page.locator('.chip .dot.ok').count(),
  })
  const none = { rate: '–', legend: '–', top: [], watched: 0 }

  test('nothing is said to happen now once the capture has stopped, or the core is gone', async () => {
    await expect
      .poll(async () => Number((await figures()).rate.replace(',', '')), PATIENCE)
      .toBeGreaterThan(0)
    expect((await figures()).watched).toBe(1)
    await page.getByRole('button', { name: 'Stop', exact: true }).click()
    await expect.poll(figures, PATIENCE).toEqual(none)
    await page.getByRole('button', { name: 'Start', exact: true }).click()
    await page.locator('.dialog').waitFor()
    await page.keyboard.press('Enter')
    await expect.poll(async () => (await figures()).rate, PATIENCE).not.toBe('–')
    await window.endCore()
    await expect.poll(figures, PATIENCE).toEqual(none)
  })
})

test.skipIf(cannotRun)('that older requests have left memory covers no row', async () => {
  const window = await openWindow('--seed', '7', '--rate', '20000', '--memory', '60MB')
  try {
    const { page } = window
    await page.getByRole('button', { name: 'Follow' }).click()
    const note = page.locator('.older-rows')
    await note.waitFor(PATIENCE)
    const box = async (selector: string) => (await page.locator(selector).first().boundingBox())!
    const end = async () => {
      const { y, height } = await box('.older-rows')
      return y + height
    }
    await expect.poll(async () => (await box('.grid-head')).y - (await end()), PATIENCE).toBeCloseTo(0)
    await page.locator('.grid').focus()
    await page.keyboard.press('PageDown')
    await page.keyboard.press('PageDown')
    await note.waitFor({ state: 'detached' })
  } finally {
    await window.close()
  }
})
