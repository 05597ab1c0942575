// browser.ts: the window in Chromium, for the benches that look at it: the product's page, opened, watched, and seen to draw.

import { dirname, join } from 'node:path'
import type { Browser, Page } from 'playwright-core'

/** The product as run.mjs has built it for us. */
export const PRODUCT = join(dirname(process.argv[1]), 'product')
export const ASSETS = join(PRODUCT, 'app')

export interface AppPage {
  page: Page
  /** Received over its sockets so far. */
  socketBytes(): number
}

export async function openPage(browser: Browser, url: string): Promise<AppPage> {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } })
  let bytes = 0
  page.on('websocket', (socket) => {
    socket.on('framereceived', ({ payload }) => {
      bytes += payload.length
    })
  })
  await page.goto(url, { waitUntil: 'commit' })
  return { page, socketBytes: () => bytes }
}

/** When the first rate was on the screen, in milliseconds since 1970. */
export function firstChart(page: Page): Promise<number> {
  return page.evaluate(
    () =>
      new Promise<number>((resolve) => {
        const look = () => {
          const rate = document.querySelector('[data-testid=rate]')?.textContent ?? ''
          if (/\d/.test(rate)) resolve(performance.timeOrigin + performance.now())
          else requestAnimationFrame(look)
        }
        look()
      }),
  )
}

/** Asks for every frame there is, for that long; returns how many there were. */
export function watch(page: Page, seconds: number): Promise<number> {
  return page.evaluate(
    (ms) =>
      new Promise<number>((resolve) => {
        const end = performance.now() + ms
        let frames = 0
        const next = () => {
          if (performance.now() >= end) return resolve(frames)
          frames++
          requestAnimationFrame(next)
        }
        requestAnimationFrame(next)
      }),
    seconds * 1000,
  )
}

export async function filter(page: Page, text: string): Promise<void> {
  await page.locator('#filter-field').fill(text)
  await page.keyboard.press('Enter')
  await page.keyboard.press('Escape')
}

/** Turns the wheel over the grid as fast as the page takes it: up, into rows that it has not seen. */
export async function scroll(page: Page, seconds: number): Promise<void> {
  const { x, y, width, height } = (await page.locator('.grid').boundingBox())!
  await page.mouse.move(x + width / 2, y + height / 2)
  let watching = true
  const watched = watch(page, seconds).finally(() => {
    watching = false
  })
  while (watching) await page.mouse.wheel(0, -240)
  await watched
}
