// window.ts: the built product, started with a simulated kernel and opened in a real browser, and what can be read there.

import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Page } from 'playwright-core'
import { expect } from 'vitest'
import { CHROMIUM, launchBrowser, startProduct } from '../support/browser.ts'

const APP = resolve(import.meta.dirname, '../../dist/drivermon.cjs')
const required = Boolean(process.env.CI || process.env.DRIVERMON_REQUIRE_JOURNEYS)
const missing = existsSync(CHROMIUM) ? '' : `no browser at ${CHROMIUM}: apt-get install chromium`

/** There is no browser, and none is required. */
export const cannotRun = missing !== '' && !required
if (cannotRun) console.warn(`app journey skipped: ${missing}`)

/** Generous: the machine may be busy. Nothing waits this long unless it fails. */
export const PATIENCE = { timeout: 30_000 }

export interface Window {
  page: Page
  /** Errors and warnings of the page so far. */
  complaints: string[]
  /** Ends the core, as Ctrl-C does. */
  endCore(): Promise<void>
  close(): Promise<void>
}

export async function openWindow(...options: string[]): Promise<Window> {
  const { url, stop } = await startProduct(APP, ...options)
  return openPage(url, stop)
}

/** `endCore`: ends what serves the page. */
export async function openPage(url: string, endCore: () => Promise<void>): Promise<Window> {
  // A person has scroll bars.
  const browser = await launchBrowser({ ignoreDefaultArgs: ['--hide-scrollbars'] })
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } })
  const complaints: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(String(error)))
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      console.error(`policy violated: ${event.violatedDirective} ${event.blockedURI}`)
    })
  })
  await page.goto(url)
  return {
    page,
    complaints,
    endCore,
    async close() {
      await browser.close()
      await endCore()
    },
  }
}

/** Presses a key that opens what matches `selector`; whether that has the focus from the moment it is there. */
export async function focusedWhenOpened(page: Page, key: string, selector: string): Promise<boolean> {
  const seen = await page.evaluateHandle((selector) => {
    const focused = new Promise<boolean>((resolve) => {
      new MutationObserver((_, observer) => {
        const opened = document.querySelector(selector)
        if (!opened) return
        observer.disconnect()
        resolve(opened.contains(document.activeElement))
      }).observe(document.body, { childList: true, subtree: true })
    })
    return { focused }
  }, selector)
  await page.keyboard.press(key)
  return seen.evaluate(({ focused }) => focused)
}

/** The visible rows, by column title. */
export function rows(page: Page): Promise<Record<string, string>[]> {
  return page.evaluate(() => {
    const titles = [...document.querySelectorAll('[role=columnheader] button span:first-child')].map(
      (title) => title.textContent ?? '',
    )
    // From top to bottom: a row that is scrolled out at one end comes in again at the other.
    const place = (row: Element) => Number(row.getAttribute('aria-rowindex'))
    const rows = [...document.querySelectorAll('.row:not(.void, .waiting)')]
    rows.sort((a, b) => place(a) - place(b))
    return rows.map((row) =>
      Object.fromEntries([...row.children].map((cell, i) => [titles[i]!, cell.textContent ?? ''])),
    )
  })
}

export async function text(page: Page, selector: string): Promise<string> {
  return (await page.locator(selector).first().textContent()) ?? ''
}

/** A figure of the status bar. */
export async function item(page: Page, name: string): Promise<number> {
  return Number((await text(page, `[data-item="${name}"] b`)).replaceAll(',', ''))
}

/** As many requests have come since, and the core has said so. */
export async function goesOn(page: Page, by = 0): Promise<void> {
  const before = await item(page, 'requests')
  await expect.poll(() => item(page, 'requests'), PATIENCE).toBeGreaterThan(before + by)
}

/** The line of the topmost row that is seen; the head is line 1. */
export function topRow(page: Page): Promise<number> {
  return page.locator('.row:not(.void, .waiting)').evaluateAll((rows) => {
    return Math.min(...rows.map((row) => Number(row.getAttribute('aria-rowindex'))))
  })
}

export async function filter(page: Page, text: string): Promise<void> {
  const field = page.locator('#filter-field')
  await field.fill(text)
  await field.press('Enter')
  await field.press('Escape')
}

/** What a hex view shows, as numbers. Rows out of sight are not on the page. */
export async function bytesOf(page: Page, panel: string): Promise<number[]> {
  const lines = await page.locator(`[data-payload="${panel}"] .hex-row .bytes`).allTextContents()
  return lines.flatMap((line) => (line.match(/[0-9a-f]{2}/g) ?? []).map((byte) => Number.parseInt(byte, 16)))
}
