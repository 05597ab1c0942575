// worker.ts: the worker's entry: offers the client of the core to the page over Comlink.

import { expose, transfer } from 'comlink'
import { CoreClient } from './core-client.ts'
import type { WorkerApi } from './frames.ts'

let client: CoreClient | null = null

const api: WorkerApi = {
  connect(url, listener) {
    client?.close()
    client = new CoreClient(url, (frame, transferables = []) => listener(transfer(frame, transferables)))
  },
  reconnect: () => client?.reconnect(),
  command: (command) => client?.command(command),
  look: (view) => client?.look(view),
  detail: (row) => client?.detail(row),
}

expose(api)
