// hands.test.ts: what a person does with rows, columns and bytes besides looking: point, filter, copy, move.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  cannotRun,
  filter,
  focusedWhenOpened,
  item,
  openWindow,
  PATIENCE,
  rows,
  text,
  type Window,
} from './window.ts'

const GOLDEN = resolve(import.meta.dirname, '../golden/afd-sim.pcapng')

describe.skipIf(cannotRun)('hands on a capture file', () => {
  let window: Window
  let page: Page

  beforeAll(async () => {
    window = await openWindow(GOLDEN)
    page = window.page
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
  })
  afterAll(() => window?.close())

  const cell = (row: number, column: string) =>
    page.locator(`.row[aria-rowindex="${row + 1}"] .cell.${column}`)
  const choose = async (name: string | RegExp) => {
    await page.getByRole('menuitem', { name }).click()
    await page.locator('.menu').waitFor({ state: 'detached' })
  }
  const clipboard = () => page.evaluate(() => navigator.clipboard.readText())
  const titles = () => page.locator('[role=columnheader] button span:first-child').allTextContents()

  test('it opens at its beginning, and offers nothing that only a living capture has', async () => {
    await cell(1, 'function').waitFor()
    expect(await page.getByRole('button', { name: /^(Start|Record|Clear|Follow)$/ }).count()).toBe(0)
  })

  test('it opens at its beginning on a slow machine, too, where parts of the page come late', async () => {
    const tools = await page.context().newCDPSession(page)
    try {
      for (const rate of [2, 4, 8, 4]) {
        await tools.send('Emulation.setCPUThrottlingRate', { rate })
        await page.reload()
        await cell(1, 'function').waitFor()
      }
    } finally {
      // The session stays: to end it may take the focus from the page, which closes menus and keeps the clipboard shut.
      await tools.send('Emulation.setCPUThrottlingRate', { rate: 1 })
      await page.bringToFront()
    }
  })

  test('a value under the pointer becomes a filter, and its contrary', async () => {
    const all = await item(page, 'shown')
    await cell(2, 'function').click({ button: 'right' })
    const name = (await cell(2, 'function').textContent()) ?? ''
    await choose(/^Only/)
    await expect.poll(() => item(page, 'shown'), PATIENCE).toBeLessThan(all)
    expect(await page.inputValue('#filter-field')).toMatch(/^function == /)
    const those = await item(page, 'shown')
    expect(new Set((await rows(page)).map((row) => row.Function))).toEqual(new Set([name]))

    await cell(1, 'function').click({ button: 'right' })
    await choose('Clear the filter')
    await expect.poll(() => item(page, 'shown'), PATIENCE).toBe(all)
    await page.locator('.row .cell.function', { hasText: name }).first().click({ button: 'right' })
    await choose(/^All but/)
    await expect.poll(() => item(page, 'shown'), PATIENCE).toBe(all - those)
    await filter(page, '')
    await expect.poll(() => item(page, 'shown'), PATIENCE).toBe(all)
  })

  test('keys reach a value, its menu, and copy the row', async () => {
    await cell(3, 'function').click()
    await page.keyboard.press('ArrowRight')
    await expect.poll(() => page.locator('.row.selected .active').count(), PATIENCE).toBe(1)
    const operation = await text(page, '.row.selected .active')
    expect(await focusedWhenOpened(page, 'Shift+F10', '.menu')).toBe(true)
    await page.keyboard.press('Escape')
    await page.locator('.menu').waitFor({ state: 'detached' })
    await page.keyboard.press('Control+c')
    await expect.poll(clipboard, PATIENCE).toContain(`\t${operation}\t`)
    expect((await clipboard()).split('\t')).toHaveLength((await titles()).length)
  })

  test('a dialog takes the keys from the moment it is there', async () => {
    expect(await focusedWhenOpened(page, '?', '.dialog')).toBe(true)
    await page.keyboard.press('Escape')
    await page.locator('.dialog').waitFor({ state: 'detached' })
  })

  test('bytes are copied in the form that is wanted', async () => {
    await filter(page, 'input contains "GET" || input_length > 64')
    await expect.poll(async () => (await rows(page)).length, PATIENCE).toBeGreaterThan(0)
    await cell(1, 'function').click()
    const hex = page.locator('[data-payload=Input] .hex')
    await hex.click({ button: 'right' })
    await choose('Copy as C array')
    await expect.poll(clipboard, PATIENCE).toMatch(/^\{ 0x[0-9a-f]{2}(, 0x[0-9a-f]{2})+ \}$/)
    await filter(page, '')
  })

  test('columns are moved by hand and by key, and stay where they were put', async () => {
    const before = await titles()
    const head = (name: string) => page.getByRole('columnheader', { name, exact: true }).getByRole('button')
    const from = (await head('Status').boundingBox())!
    const to = (await head('Process').boundingBox())!
    await page.mouse.move(from.x + 20, from.y + 10)
    await page.mouse.down()
    await page.mouse.move(to.x + 20, to.y + 10, { steps: 4 })
    await page.mouse.up()
    const moved = ['Time', 'Driver', 'Status', 'Process']
    await expect.poll(async () => (await titles()).slice(0, 4), PATIENCE).toEqual(moved)
    // It was not pressed: the order of the rows is as it was.
    expect(await page.locator('[aria-sort=ascending]').count()).toBe(0)

    await head('Status').focus()
    await page.keyboard.press('Alt+ArrowLeft')
    await expect
      .poll(async () => (await titles()).slice(0, 3), PATIENCE)
      .toEqual(['Time', 'Status', 'Driver'])
    await page.reload()
    await expect
      .poll(async () => (await titles()).slice(0, 3), PATIENCE)
      .toEqual(['Time', 'Status', 'Driver'])

    await head('Status').click({ button: 'right' })
    await choose('Reset columns')
    await expect.poll(titles, PATIENCE).toEqual(before)
  })

  test('what is typed stays, however late the frame after the pause comes', async () => {
    const typed = await page.evaluate(async () => {
      const field = document.querySelector<HTMLInputElement>('#filter-field')!
      const type = (value: string) => {
        field.value = value
        field.dispatchEvent(new InputEvent('input', { bubbles: true }))
      }
      type('maj')
      // As long as the pause after which a filter is applied: before the next frame, more is typed.
      await new Promise((resolve) => setTimeout(resolve, 200))
      type('majo')
      await new Promise((resolve) => setTimeout(resolve, 150))
      return field.value
    })
    expect(typed).toBe('majo')
    await filter(page, '')
    expect(window.complaints).toEqual([])
  })
})

test.skipIf(cannotRun)(
  'the other half of a call that fell through is a press away, however far',
  async () => {
    const { page, close } = await openWindow('--seed', '7', '--rate', '1000')
    try {
      await expect.poll(() => item(page, 'requests'), PATIENCE).toBeGreaterThan(2000)
      await page.keyboard.press('Space')
      await expect.poll(() => text(page, '.source'), PATIENCE).toContain('Stopped')
      await filter(page, 'continues && latency > 100us')
      await page.keyboard.press('f')
      await expect.poll(async () => (await rows(page)).at(-1)?.Function, PATIENCE).toBe('DEVICE_CONTROL')
      await page.locator('.row:not(.void, .waiting) .cell.function').nth(3).click()
      const link = page.locator('.fields .link')
      await expect.poll(() => link.textContent(), PATIENCE).toMatch(/^a fast-I\/O call in row/)
      await filter(page, '')
      // The call took no time: it is far from the request that followed it.
      await page.getByRole('columnheader', { name: 'Duration', exact: true }).getByRole('button').click()
      await expect.poll(() => text(page, '.row.selected .cell.function'), PATIENCE).toBe('DEVICE_CONTROL')
      await link.click()
      await expect.poll(() => link.textContent(), PATIENCE).toMatch(/^the IRP in row/)
      expect(await page.evaluate(() => document.activeElement?.getAttribute('role'))).toBe('grid')
      await expect
        .poll(() => text(page, '.row.selected .cell.status'), PATIENCE)
        .toBe('fell through to an IRP')
    } finally {
      await close()
    }
  },
)

test.skipIf(cannotRun)('what was wrong with a file is said until one has read it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'drivermon-'))
  const torn = join(folder, 'torn.pcapng')
  writeFileSync(torn, readFileSync(GOLDEN).subarray(0, -3))
  const { page, endCore, close } = await openWindow(torn)
  try {
    const notice = page.locator('.notice', { hasText: 'the last block is cut off' })
    await notice.waitFor()
    await page.keyboard.press('?')
    await page.locator('.dialog').waitFor()
    expect(await notice.count()).toBe(1)
    await page.keyboard.press('Escape')
    await endCore()
    await page.getByText('No connection to the core').waitFor()
    expect(await notice.count()).toBe(1)
    await notice.getByRole('button', { name: 'Dismiss' }).click()
    await notice.waitFor({ state: 'detached' })
  } finally {
    await close()
    rmSync(folder, { recursive: true })
  }
})
