// browser.ts: the built product with a simulated kernel, started, and the browser that looks at it.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { type Browser, chromium, type LaunchOptions } from 'playwright-core'

export const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium'

export function launchBrowser(options: LaunchOptions = {}): Promise<Browser> {
  return chromium.launch({
    ...options,
    executablePath: CHROMIUM,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
}

export interface Product {
  url: string
  /** As Ctrl-C does; resolves when it has ended. */
  stop(): Promise<void>
}

export async function startProduct(program: string, ...options: string[]): Promise<Product> {
  const app = spawn(process.execPath, [program, '--no-open', '--source', 'sim', ...options], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return {
    url: await printedUrl(app.stdout),
    async stop() {
      if (app.exitCode !== null) return
      const ended = once(app, 'exit')
      app.kill('SIGINT')
      await ended
    },
  }
}

async function printedUrl(output: NodeJS.ReadableStream): Promise<string> {
  for await (const line of createInterface({ input: output })) {
    const url = /http:\/\/127\.0\.0\.1:\d+\/\S*/.exec(line)
    if (url) {
      // Keep reading, so that the app never waits for us.
      output.resume()
      return url[0]
    }
  }
  throw new Error('the app ended without printing its URL')
}
