// app.test.ts: from the simulated kernel to the screen: the built product, seen in a real browser.

import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bytesOf, cannotRun, filter, item, openWindow, PATIENCE, rows, text, type Window } from './window.ts'

describe.skipIf(cannotRun)('the app', () => {
  let window: Window
  let page: Page

  beforeAll(async () => {
    window = await openWindow('--seed', '7', '--rate', '2000')
    page = window.page
  })
  afterAll(() => window?.close())

  test('shows rows that a person can read', async () => {
    await expect.poll(async () => (await rows(page)).length, PATIENCE).toBeGreaterThan(5)
    const [row] = (await rows(page)).filter((each) => each.Status === 'STATUS_SUCCESS')
    expect(row).toMatchObject({
      Time: expect.stringMatching(/^\d\d:\d\d:\d\d\.\d{6}$/),
      Driver: expect.stringMatching(/^(AFD|DrivermonEcho)$/),
      Process: expect.stringMatching(/^\w+(\.exe)?$/),
      PID: expect.stringMatching(/^\d+$/),
      Function: expect.stringMatching(/^[A-Z_]+$/),
      Duration: expect.stringMatching(/^[\d.]+ (ns|µs|ms|s)$/),
    })
    expect(await text(page, '.status-bar .badge')).toBe('Simulated kernel')
  })

  test('the chart moves', async () => {
    await expect.poll(() => item(page, 'requests'), PATIENCE).toBeGreaterThan(1000)
    await expect.poll(() => text(page, '[data-testid=rate]'), PATIENCE).toMatch(/^[1-9]/)
    const picture = () =>
      page.locator('.rates canvas').evaluate((canvas) => (canvas as HTMLCanvasElement).toDataURL())
    const before = await picture()
    await expect.poll(picture, PATIENCE).not.toBe(before)
    await expect.poll(() => text(page, '.latency .figures b'), PATIENCE).toMatch(/\d (ns|µs|ms)/)
  })

  test('stops', async () => {
    await page.keyboard.press('Space')
    await expect.poll(() => text(page, '.source'), PATIENCE).toContain('Stopped')
    await expect.poll(() => item(page, 'in-flight'), PATIENCE).toBe(0)
    expect(await item(page, 'dropped')).toBe(0)
  })

  test('rows take as much memory as one says', async () => {
    await page.locator('[data-item=store]').click()
    const field = page.locator('.dialog input')
    await field.fill('5')
    expect(await text(page, '.dialog .error')).toContain('is no size')
    await field.fill('64MB')
    await page.getByRole('button', { name: 'Apply' }).click()
    await expect.poll(() => text(page, '[data-item=store]'), PATIENCE).toMatch(/of 64\.0 MB$/)
  })

  test('a recording may go on in another file', async () => {
    await page.keyboard.press('r')
    await page.getByLabel('Files kept').fill('3')
    expect(await text(page, '.dialog .error')).toContain('say when a new one begins')
    await page.getByLabel('Size of a file').fill('256MB')
    expect(await page.locator('.dialog button.primary').isEnabled()).toBe(true)
    await page.keyboard.press('Escape')
  })

  test('a filter narrows what is shown', async () => {
    const requests = await item(page, 'requests')
    await filter(page, 'ioctl == 0x222400 && state == done')
    await expect.poll(() => item(page, 'shown'), PATIENCE).toBeLessThan(requests)
    const shown = await item(page, 'shown')
    expect(shown).toBeGreaterThan(0)
    await expect
      .poll(async () => new Set((await rows(page)).map((row) => `${row.Driver} ${row.Function}`)), PATIENCE)
      .toEqual(new Set(['DrivermonEcho DEVICE_CONTROL']))
    // The capture has ended: asking and being answered has changed nothing.
    expect(await item(page, 'requests')).toBe(requests)

    await filter(page, 'ioctl == nonsense')
    await expect.poll(() => text(page, '.filter-problem'), PATIENCE).toMatch(/\w/)
    expect(await item(page, 'shown')).toBe(shown)
    await filter(page, 'ioctl == 0x222400 && state == done')
    await expect.poll(() => page.locator('.filter-problem').count(), PATIENCE).toBe(0)
  })

  test('a click shows what the request carried, byte by byte', async () => {
    // The echo tool of the simulated machine sends "echo %08x: The quick brown fox. ", then each byte its own offset.
    // Not the first row: it may be half out of sight, and the browser would scroll it into view first.
    const longEnough = (await rows(page)).findIndex((row, i) => i > 0 && Number(row.In) >= 64)
    expect(longEnough).toBeGreaterThan(0)
    await page.locator('.row:not(.void)').nth(longEnough).click()
    const input = () => bytesOf(page, 'Input')
    const opening = 'echo 00000000: The quick brown fox. '
    // The pane is loaded, and then finds out how many lines it has room for.
    await expect.poll(async () => (await input()).length, PATIENCE).toBeGreaterThan(opening.length)
    const sent = await input()
    expect(String.fromCharCode(...sent.slice(0, opening.length))).toMatch(
      /^echo [0-9a-f]{8}: The quick brown fox\. $/,
    )
    expect(sent.slice(opening.length)).toEqual(
      sent.slice(opening.length).map((_, i) => (opening.length + i) & 0xff),
    )
    await expect.poll(() => bytesOf(page, 'Output'), PATIENCE).toEqual(sent)
    expect(await text(page, '.fields')).toContain('STATUS_SUCCESS')
  })

  test('the keyboard moves the selection', async () => {
    const selected = () => page.locator('.row.selected').getAttribute('aria-rowindex')
    const before = Number(await selected())
    await page.locator('.grid').focus()
    await page.keyboard.press('ArrowDown')
    await expect.poll(async () => Number(await selected()), PATIENCE).toBe(before + 1)
    await page.keyboard.press('End')
    const last = (await item(page, 'shown')) + 1
    await expect.poll(async () => Number(await selected()), PATIENCE).toBe(last)
  })

  test('a click on a column sorts', async () => {
    await page.getByRole('columnheader', { name: 'In', exact: true }).getByRole('button').click()
    const sizes = async () => (await rows(page)).map((row) => Number(row.In))
    await expect
      .poll(async () => {
        const now = await sizes()
        return now.length > 5 && now.every((size, i) => i === 0 || now[i - 1]! <= size)
      }, PATIENCE)
      .toBe(true)
    expect(await text(page, '[aria-sort="ascending"]')).toContain('In')
  })

  test('starts a new capture', async () => {
    const before = await item(page, 'requests')
    await filter(page, '')
    await page.getByRole('button', { name: 'Start', exact: true }).click()
    await page.getByRole('button', { name: 'Start anew' }).click()
    await expect.poll(() => text(page, '.source'), PATIENCE).toContain('Live')
    await expect.poll(() => item(page, 'requests'), PATIENCE).toBeLessThan(before)
    await expect.poll(() => item(page, 'requests'), PATIENCE).toBeGreaterThan(0)
  })

  test('records only what was chosen, and says so', async () => {
    await page.keyboard.press('Escape')
    await page.keyboard.press('o')
    await page.getByLabel('Functions', { exact: true }).fill('DEVICE_CONTROL, NONSENSE')
    await expect.poll(() => text(page, '.capture-form [role=alert]'), PATIENCE).toContain('"NONSENSE"')
    await page.getByLabel('Functions', { exact: true }).fill('DEVICE_CONTROL')
    await page.getByRole('button', { name: 'Apply' }).click()
    await expect
      .poll(() => text(page, '[data-testid=recorded-only]'), PATIENCE)
      .toBe('recorded: DEVICE_CONTROL')
    await page.keyboard.press('Control+x')
    await expect
      .poll(async () => {
        const now = await rows(page)
        return now.length > 5 && now.every((row) => row.Function === 'DEVICE_CONTROL')
      }, PATIENCE)
      .toBe(true)
    expect(await item(page, 'unrecorded')).toBeGreaterThan(0)
    expect(await item(page, 'unpaired')).toBe(0)
  })

  test('lists the requests in flight', async () => {
    await page.locator('[data-item=in-flight]').click()
    expect(await text(page, '[role=tab][aria-selected=true]')).toBe('In flight')
    await expect.poll(() => text(page, '.in-flight td'), PATIENCE).toContain('AFD')
  })

  test('says so when the core is gone', async () => {
    // What the browser says of a refused connection is no complaint of ours.
    const honest = [...window.complaints]
    await window.endCore()
    await expect.poll(() => text(page, '.empty-state'), PATIENCE).toContain('No connection to the core')
    expect(honest).toEqual([])
  })
})
