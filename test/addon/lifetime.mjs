// lifetime.mjs: the scenarios of lifetime.test.ts, one per process. Plain JavaScript, so that Node runs it as it is, in
// workers too; the constants of the ABI come in the environment.

import { parentPort, Worker, workerData } from 'node:worker_threads'

/** @typedef {import('../../addon/binding.ts').NativeBinding} NativeBinding */
/** @typedef {import('../../addon/binding.ts').NativeSource} NativeSource */

const { addon, abiVersion, layoutHash, codes } = JSON.parse(process.env.DRIVERMON_LIFETIME ?? '')

const slotBytes = 128 * 1024
const slotCount = 4

function openSim() {
  const module = { exports: {} }
  process.dlopen(module, addon)
  return /** @type {NativeBinding} */ (module.exports).openSim()
}

/**
 * A source whose pump is busy, and stays so.
 * @param {(source: NativeSource) => void} onRecords
 */
function pump(onRecords) {
  const source = openSim()
  const words = (/** @type {number[]} */ ...values) => new Uint8Array(Uint32Array.from(values).buffer)
  const name = Buffer.from('\\Driver\\DrivermonEcho', 'utf16le')
  source.control(codes.Hello, words(abiVersion, layoutHash), 56)
  source.control(codes.AddDriver, Buffer.concat([words(0, name.length), name]), 24)
  source.control(codes.Start, words(1 << 20, 256, 256, 0), 0)
  const slots = new Uint8Array(new SharedArrayBuffer(slotCount * (64 + slotBytes)))
  const states = new Int32Array(slots.buffer)
  let next = 0
  source.startPump(slots, slotCount, slotBytes, () => {
    for (; Atomics.load(states, next * 16) === 1; next = (next + 1) % slotCount) {
      Atomics.store(states, next * 16, 0)
    }
    source.released()
    onRecords(source)
  })
  source.startTraffic({ seed: 1, rate: 0, count: 0 })
  return source
}

function done() {
  process.stdout.write(`${scenario} done\n`)
}

/** A worker that runs a scenario of its own; resolves when it says that records come. @param {string} name */
async function startWorker(name) {
  const worker = new Worker(new URL(import.meta.url), { workerData: name })
  await new Promise((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
  return worker
}

/** @param {Worker} worker */
function ended(worker) {
  return new Promise((resolve) => worker.once('exit', resolve))
}

/** Whatever was open is closed: there is room for a machine again. */
function openAndCloseAgain() {
  openSim().close()
}

/** @type {Record<string, () => unknown>} */
const scenarios = {
  exit() {
    pump(() => {
      done()
      process.exit(0)
    })
  },

  uncaught() {
    process.once('uncaughtException', (error) => {
      if (error.message !== 'from the doorbell') throw error
      done()
      process.exit(7)
    })
    pump(() => {
      throw new Error('from the doorbell')
    })
  },

  forgotten() {
    const source = pump((pumping) => {
      pumping.stopPump() // nothing keeps the event loop alive any more
    })
    process.once('exit', () => {
      if (!source.pumping()) done()
    })
  },

  async garbage() {
    openSim()
    for (;;) {
      globalThis.gc?.()
      await new Promise((resolve) => setImmediate(resolve))
      try {
        openAndCloseAgain()
        break
      } catch {
        // not collected yet
      }
    }
    done()
  },

  async worker() {
    const worker = await startWorker('in-worker-close')
    await ended(worker)
    openAndCloseAgain()
    done()
  },

  async terminate() {
    for (let round = 0; round < 5; round++) {
      const worker = await startWorker('in-worker')
      await worker.terminate()
    }
    openAndCloseAgain()
    done()
  },

  async 'worker-exit'() {
    const worker = await startWorker('in-worker-exit')
    await ended(worker)
    openAndCloseAgain()
    done()
  },

  async 'main-exit'() {
    await startWorker('in-worker')
    done()
    process.exit(0)
  },
}

/** @type {Record<string, (post: () => void) => unknown>} */
const inWorker = {
  'in-worker': (post) => pump(post),
  'in-worker-close': (post) =>
    pump((source) => {
      post()
      source.close()
    }),
  'in-worker-exit': (post) =>
    pump(() => {
      post()
      process.exit(0)
    }),
}

const scenario = process.argv[2]
if (workerData === null) await scenarios[scenario]()
else {
  inWorker[workerData](() => parentPort?.postMessage('pumping'))
}
