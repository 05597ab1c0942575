// serve-fake.ts: the real server over the fake source, to work on the UI without a compiler.
//
//   npx rolldown test/session/serve-fake.ts -p node --format cjs --file build-fake/serve.cjs
//   node build-fake/serve.cjs [APP_FOLDER = dist/app] [PORT = 0]

import { assetsOfFolder } from '../../src/server/assets.ts'
import { startAppServer } from '../../src/server/server.ts'
import { Session } from '../../src/session/session.ts'
import { FakeSource } from './fake-source.ts'

async function main(folder = 'dist/app', port = '0'): Promise<void> {
  const session = new Session(new FakeSource(), {
    version: 'fake',
    traffic: { seed: 1, rate: 3000, count: 0 },
  })
  session.addDriver('\\Driver\\AFD')
  session.addDriver('\\Driver\\DrivermonEcho')
  session.start()
  const server = await startAppServer({
    subject: session,
    assets: assetsOfFolder(folder),
    version: 'fake',
    port: Number(port),
  })
  process.stdout.write(`DriverMon ${server.url}\n`)
}

void main(...process.argv.slice(2))
