// fake-core.ts: a core that makes things up: serves the built UI and speaks wire.ts, so that the UI can be tried and
// tested without a driver, a simulator or a store.
//
// Every row follows from its number, so fifty million of them cost nothing.

import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join, normalize } from 'node:path'
import { type WebSocket, WebSocketServer } from 'ws'
import { describePredicates } from '../../src/formats/predicates.ts'
import { DEFAULT_SETTINGS } from '../../src/protocol/capture-settings.ts'
import type { DriverId, FunctionIndex, RowId, Ticks } from '../../src/protocol/ids.ts'
import { LATENCY_BUCKETS, MAJOR_FUNCTION_COUNT, RequestFlags } from '../../src/protocol/layout.ts'
import {
  type ClientMessage,
  type InFlightList,
  ROW_BYTES,
  type RowDetail,
  RowState,
  type ServerMessage,
  type SessionState,
  type Tick,
  WINDOW_HEADER_BYTES,
  WINDOW_MAGIC,
  WIRE_VERSION,
  WindowFlags,
} from '../../src/protocol/wire.ts'

const TICKS_PER_SECOND = 1e7
/** As src/server/connection.ts has them. */
const BEAT_MS = 50
const BEATS_PER_TICK = 2
const BEATS_PER_REPLACED_WINDOW = 5
const PROCESSES = ['', 'msedge.exe', 'sqlservr.exe', 'svchost.exe', 'chrome.exe', 'node.exe', 'System']
const DETAILS = [
  '',
  '\\Endpoint',
  '\\Users\\ada\\AppData\\Local\\Temp\\~DF3A.tmp',
  '\\Windows\\System32\\config\\SOFTWARE',
]

interface Kind {
  major: number
  fastIo: boolean
  code: number
  status: number
  input: number
  output: number
  /** How often, relative to the others. */
  weight: number
  microseconds: number
  pends?: boolean
}

const KINDS: Kind[] = [
  { major: 9, fastIo: true, code: 0x12017, status: 0, input: 24, output: 1460, weight: 60, microseconds: 2 },
  { major: 9, fastIo: true, code: 0x1201f, status: 0, input: 24, output: 0, weight: 45, microseconds: 3 },
  {
    major: 14,
    fastIo: false,
    code: 0x12017,
    status: 0,
    input: 24,
    output: 1460,
    weight: 30,
    microseconds: 900,
    pends: true,
  },
  {
    major: 14,
    fastIo: false,
    code: 0x12024,
    status: 0xc0000120,
    input: 40,
    output: 40,
    weight: 2,
    microseconds: 8000,
  },
  {
    major: 14,
    fastIo: false,
    code: 0x222004,
    status: 0x80000005,
    input: 64,
    output: 16,
    weight: 4,
    microseconds: 30,
  },
  { major: 0, fastIo: false, code: 0x1000040, status: 0, input: 0, output: 0, weight: 6, microseconds: 130 },
  { major: 18, fastIo: false, code: 0, status: 0, input: 0, output: 0, weight: 6, microseconds: 20 },
  { major: 2, fastIo: false, code: 0, status: 0, input: 0, output: 0, weight: 6, microseconds: 10 },
  { major: 3, fastIo: false, code: 0, status: 0, input: 0, output: 4096, weight: 9, microseconds: 240 },
  { major: 4, fastIo: false, code: 0, status: 0, input: 4096, output: 0, weight: 5, microseconds: 400 },
  { major: 5, fastIo: false, code: 0, status: 0xc000000d, input: 0, output: 24, weight: 1, microseconds: 4 },
  { major: 27, fastIo: false, code: 0, status: 0xc00000bb, input: 0, output: 0, weight: 1, microseconds: 6 },
]
const WHEEL = KINDS.flatMap((kind) => Array.from({ length: kind.weight }, () => kind))

/** A number from 0 to 1 that looks random and follows from the row and a salt. */
function dice(row: number, salt: number): number {
  let x = (row * 2654435761 + salt * 40503) >>> 0
  x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d)
  x = Math.imul(x ^ (x >>> 12), 0x297a2d39)
  return ((x ^ (x >>> 15)) >>> 0) / 2 ** 32
}

export interface FakeCore {
  readonly url: string
  readonly socketUrl: string
  /** What clients have asked, oldest first. */
  readonly asked: ClientMessage[]
  /** Lets this much time pass, for every client. */
  advance(seconds: number): void
  /** Sends a message of the test's own to every client. */
  say(message: ServerMessage): void
  /** Drops all connections, as if the core had died; it stays reachable. */
  disconnect(): void
  close(): Promise<void>
}

export interface FakeCoreOptions {
  /** Folder of the built UI; '' = WebSocket alone. */
  assets?: string
  port?: number
  /** Rows that are there at once. */
  rows?: number
  /** Requests per second while running. */
  rate?: number
  drivers?: string[]
  running?: boolean
  /** Lets time pass by itself, and sends in the real core's rhythm. */
  live?: boolean
}

export async function startFakeCore(options: FakeCoreOptions = {}): Promise<FakeCore> {
  const {
    assets = '',
    port = 0,
    rows = 0,
    rate = 2000,
    drivers = ['\\Driver\\AFD'],
    running = true,
  } = options
  const machine = new Machine(rows, rate, drivers, running)
  const asked: ClientMessage[] = []
  const http = createServer((request, response) => {
    const path = normalize(new URL(request.url ?? '/', 'http://host').pathname)
    try {
      const body = readFileSync(join(assets, path === '/' ? 'index.html' : path))
      const type = {
        '.html': 'text/html',
        '.js': 'text/javascript',
        '.css': 'text/css',
        '.svg': 'image/svg+xml',
      }
      response.setHeader('Content-Type', type[extname(path) as keyof typeof type] ?? 'text/html')
      response.setHeader(
        'Content-Security-Policy',
        "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'",
      )
      response.end(body)
    } catch {
      response.writeHead(404).end()
    }
  })
  const sockets = new WebSocketServer({ server: http, path: '/ws' })
  const clients = new Map<WebSocket, Client>()
  sockets.on('connection', (socket) => {
    const client = new Client(socket, machine)
    clients.set(socket, client)
    socket.on('message', (data) => {
      const message = JSON.parse(String(data)) as ClientMessage
      asked.push(message)
      client.take(message)
      if (!options.live) for (const other of clients.values()) other.show()
    })
    socket.on('close', () => clients.delete(socket))
  })
  const advance = (seconds: number) => {
    machine.advance(seconds)
    for (const client of clients.values()) client.show()
  }
  let beats = 0
  const beat = () => {
    machine.advance(BEAT_MS / 1000)
    beats++
    for (const client of clients.values()) client.beat(beats)
  }
  const timer = options.live ? setInterval(beat, BEAT_MS) : undefined
  await new Promise<void>((resolve) => http.listen(port, '127.0.0.1', resolve))
  const { port: actual } = http.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${actual}/`,
    socketUrl: `ws://127.0.0.1:${actual}/ws`,
    asked,
    advance,
    say: (message) => {
      for (const socket of clients.keys()) socket.send(JSON.stringify(message))
    },
    disconnect: () => {
      for (const socket of clients.keys()) socket.terminate()
    },
    close: async () => {
      clearInterval(timer)
      for (const socket of clients.keys()) socket.terminate()
      sockets.close()
      http.closeAllConnections()
      await new Promise((resolve) => http.close(resolve))
    },
  }
}

/** The made-up machine: a clock, counters, and rows by number. */
class Machine {
  now = 0
  rows: number
  recording = ''
  budgetBytes = 2 ** 31
  settings = DEFAULT_SETTINGS
  get recordedOnly(): string {
    return describePredicates(this.settings.predicates)
  }
  readonly counters = new Map<number, [number, number, number, number, number]>()
  readonly latency = new Array<number>(LATENCY_BUCKETS).fill(0)
  private owed = 0

  constructor(
    rows: number,
    readonly rate: number,
    public drivers: string[],
    public running: boolean,
  ) {
    this.rows = rows
  }

  advance(seconds: number): void {
    if (!this.running || this.drivers.length === 0) return
    this.now += seconds * TICKS_PER_SECOND
    const wave = 1 + 0.35 * Math.sin(this.now / 4e7) + 0.2 * Math.sin(this.now / 1.1e7)
    this.owed += seconds * this.rate * wave
    const fresh = Math.floor(this.owed)
    this.owed -= fresh
    // Count a sample and scale it: the rate may be in the millions.
    const sample = Math.min(fresh, 500)
    for (let i = 0; i < sample; i++) this.count(this.rows + i, fresh / sample)
    this.rows += fresh
  }

  private count(row: number, times: number): void {
    const kind = kindOf(row)
    const fn = kind.fastIo ? MAJOR_FUNCTION_COUNT + kind.major : kind.major
    const sums = this.counters.get(fn) ?? [0, 0, 0, 0, 0]
    this.counters.set(fn, sums)
    sums[0] += times
    if (kind.status >= 0xc0000000) sums[1] += times
    if (kind.pends) sums[2] += times
    sums[3] += kind.input * times
    sums[4] += kind.output * times
    const bucket = Math.min(LATENCY_BUCKETS - 1, Math.floor(Math.log2(latencyOf(row))) + 1)
    this.latency[bucket] += times
  }

  /** When a row arrived: the last one just now. */
  arrival(row: number): number {
    return this.now - ((this.rows - row) / this.rate) * TICKS_PER_SECOND
  }

  inFlight(row: number): boolean {
    return this.rows - row < 300 && kindOf(row).pends === true && dice(row, 5) < 0.5
  }

  state(): SessionState {
    return {
      source: 'sim',
      sourceLabel: 'Simulated kernel',
      running: this.running,
      drivers: this.drivers.map((name, i) => ({ name, driverId: (i + 1) as DriverId })),
      recording: this.recording,
      recordingFailure: '',
      settings: this.settings,
      recordedOnly: this.recordedOnly,
      driverVersion: '1.0.0',
      ticksPerSecond: TICKS_PER_SECOND,
      anchorTicks: 0 as Ticks,
      anchorUtcMs: Date.UTC(2026, 10, 22, 16, 4, 31),
    }
  }

  tick(shown: number): Tick {
    const functions = [...this.counters].map(([fn, sums]): Tick['functions'][number] => [
      1 as DriverId,
      fn as FunctionIndex,
      ...sums,
    ])
    return {
      at: this.now as Ticks,
      functions,
      latency: [...this.latency],
      rows: this.rows,
      evictedRows: 0,
      shown,
      droppedStarts: [0, 0, 0, 0, 0],
      droppedEnds: [0, 0, 0, 0, 0],
      droppedOthers: 0,
      filtered: this.recordedOnly ? this.rows * 9 : 0,
      sampledOut: 0,
      outstanding: this.running ? 3 : 0,
      unpaired: 0,
      inFlight: this.running ? 3 : 0,
      storeBytes: this.rows * 64,
      budgetBytes: this.budgetBytes,
      ringUsed: 70_000,
      ringSize: 2 ** 23,
      recordedBytes: this.recording ? this.rows * 100 : 0,
    }
  }

  /** Three stuck reads, whatever the rows say. */
  inFlightList(): InFlightList {
    const stuck: [string, number, number][] = [
      ['System', 4, 93],
      ['chrome.exe', 5120, 4.2],
      ['sqlservr.exe', 2044, 0.0031],
    ]
    return {
      at: this.now as Ticks,
      total: stuck.length,
      requests: stuck.map(([processName, processId, seconds], i) => ({
        requestId: i + 1,
        arrival: (this.now - seconds * TICKS_PER_SECOND) as Ticks,
        driverId: 1 as DriverId,
        driverName: this.drivers[0] ?? '',
        processId,
        threadId: processId + 4,
        processName,
        function: 14 as FunctionIndex,
        minor: 0,
        code: 0x12017,
        held: i === 0,
      })),
    }
  }

  detail(row: number): RowDetail {
    const kind = kindOf(row)
    const inFlight = this.inFlight(row)
    const arrival = this.arrival(row)
    const isName = kind.major === 0 && !kind.fastIo
    const name = Buffer.from(DETAILS[1 + (row % 3)]!, 'utf16le')
    const request = Buffer.from(
      `GET /index.html?row=${row} HTTP/1.1\r\nHost: example.org\r\n\r\n`.padEnd(256, '\0'),
    )
    const input = isName ? name : request.subarray(0, Math.min(256, kind.input))
    const output = Buffer.alloc(inFlight ? 0 : Math.min(256, kind.output), `row ${row}, answered. `)
    const payload = (bytes: Buffer, total: number, named: boolean) => ({
      base64: bytes.toString('base64'),
      total,
      isName: named,
      missed: null,
    })
    return {
      row: row as RowId,
      requestId: row + 1,
      irp: '0xFFFFA60F6C3B8A40',
      deviceObject: '0xFFFFA60F5E12D060',
      fileObject: '0xFFFFA60F77AA0110',
      driverId: 1 as DriverId,
      driverName: this.drivers[0] ?? '',
      processId: 11860,
      threadId: 9244,
      requestorProcessId: 11860,
      processName: PROCESSES[processOf(row)]!,
      requestorProcessName: PROCESSES[processOf(row)]!,
      major: kind.major,
      minor: 0,
      fastIo: kind.fastIo,
      requestorMode: 1,
      irql: 0,
      startProcessor: 0,
      flags: (kind.pends ? RequestFlags.Pended : 0) | (kind.fastIo ? RequestFlags.FastIo : 0),
      irpFlags: 0x60000,
      code: kind.code,
      inputLength: kind.input,
      outputLength: kind.output,
      byteOffset: '0',
      continues: null,
      continuedBy: null,
      arrival: arrival as Ticks,
      end: inFlight
        ? null
        : {
            completion: (arrival + latencyOf(row)) as Ticks,
            status: kind.status,
            information: String(kind.output),
            irql: 2,
            processor: 1,
            processId: 4,
            threadId: 88,
            processName: 'System',
          },
      input: payload(input, isName ? name.length : kind.input, isName),
      output: payload(output, inFlight ? 0 : kind.output, false),
    }
  }
}

function kindOf(row: number): Kind {
  return WHEEL[Math.floor(dice(row, 1) * WHEEL.length)]!
}

function processOf(row: number): number {
  return 1 + Math.floor(dice(row, 2) ** 2 * (PROCESSES.length - 1))
}

function latencyOf(row: number): number {
  const spread = Math.exp(3 * (dice(row, 3) + dice(row, 4) - 1))
  return Math.max(1, Math.round(kindOf(row).microseconds * 10 * spread))
}

/** One connection: what it looks at. Filters: '' = all, `errors` = every tenth row, `none` = no row, else an error. */
class Client {
  private view: Extract<ClientMessage, { type: 'view' }> | null = null
  private viewStamp = 0
  private sentStamp = 0
  private filter = ''

  constructor(
    private readonly socket: WebSocket,
    private readonly machine: Machine,
  ) {}

  take(message: ClientMessage): void {
    const { machine } = this
    switch (message.type) {
      case 'hello':
        this.send({ type: 'hello', wire: WIRE_VERSION, version: '0.1.0' })
        this.send({
          type: 'names',
          names: {
            drivers: [[1 as DriverId, '\\Driver\\AFD']],
            processes: PROCESSES.map((name, i): [number, string] => [i, name]),
            details: DETAILS.map((name, i): [number, string] => [i, name]),
            forgetDetails: false,
          },
        })
        break
      case 'view':
        this.viewStamp++
        this.view = message
        if (['', 'errors', 'none'].includes(message.filter)) this.filter = message.filter
        else
          this.send({
            type: 'filterError',
            filter: message.filter,
            message: 'Expected a field, such as major or latency.',
            start: 0,
            end: 5,
          })
        break
      case 'detail': {
        const detail = message.row < machine.rows ? machine.detail(message.row) : null
        this.send({ type: 'detail', stamp: message.stamp, detail })
        break
      }
      case 'listDrivers':
        this.sendDrivers()
        break
      case 'addDriver':
        if (!machine.drivers.includes(message.name)) machine.drivers = [...machine.drivers, message.name]
        this.sendDrivers()
        break
      case 'removeDriver':
        machine.drivers = machine.drivers.filter((name) => name !== message.name)
        this.sendDrivers()
        break
      case 'start':
        machine.running = true
        break
      case 'stop':
        machine.running = false
        break
      case 'clear':
        machine.rows = 0
        break
      case 'configure':
        machine.settings = message.settings
        break
      case 'inFlight':
        this.send({ type: 'inFlight', list: machine.inFlightList() })
        return
      case 'record':
        machine.recording = message.path
        break
      case 'setBudget':
        machine.budgetBytes = message.bytes
        break
      case 'stopRecord':
        machine.recording = ''
        break
    }
    this.send({ type: 'state', state: machine.state() })
  }

  show(): void {
    this.send({ type: 'tick', tick: this.machine.tick(this.shown) })
    if (this.view) this.sendWindow()
  }

  beat(number: number): void {
    if (number % BEATS_PER_TICK === 0) this.send({ type: 'tick', tick: this.machine.tick(this.shown) })
    if (!this.view) return
    const isAnswer = this.sentStamp !== this.viewStamp
    if (isAnswer || (this.view.follow && number % BEATS_PER_REPLACED_WINDOW === 0)) this.sendWindow()
    else if (!this.view.follow && this.machine.running) this.sendHeader()
  }

  /** Rows that are looked at stay the same while others come. */
  private sendHeader(): void {
    const header = this.window().slice(0, WINDOW_HEADER_BYTES)
    new Uint32Array(header)[6]! |= WindowFlags.SameRows
    this.socket.send(header)
  }

  private sendWindow(): void {
    this.socket.send(this.window())
    this.sentStamp = this.viewStamp
  }

  private get shown(): number {
    return { '': this.machine.rows, errors: Math.floor(this.machine.rows / 10), none: 0 }[this.filter] ?? 0
  }

  private placeOf(row: number): { index: number; isIn: boolean } {
    if (this.filter === 'none') return { index: 0, isIn: false }
    const every = this.filter === 'errors' ? 10 : 1
    return { index: Math.floor(row / every), isIn: row % every === 0 }
  }

  private window(): ArrayBuffer {
    const { machine, shown } = this
    const asked = this.view!
    const anchor = asked.anchor && this.placeOf(asked.anchor.row)
    const moved = asked.anchor && anchor ? anchor.index - asked.anchor.index : 0
    const first = asked.follow
      ? Math.max(0, shown - asked.count)
      : Math.min(Math.max(0, asked.first + moved), shown)
    const count = Math.min(asked.count, shown - first)
    const buffer = new ArrayBuffer(WINDOW_HEADER_BYTES + count * ROW_BYTES)
    const view = new DataView(buffer)
    const flags = WindowFlags.Complete | (anchor?.isIn ? WindowFlags.Anchored : 0)
    const header = [WINDOW_MAGIC, count, first, shown, this.viewStamp, anchor?.index ?? 0, flags]
    for (const [i, value] of header.entries()) view.setUint32(i * 4, value, true)
    for (let i = 0; i < count; i++) {
      const row = (first + i) * (this.filter === 'errors' ? 10 : 1)
      writeRow(view, WINDOW_HEADER_BYTES + i * ROW_BYTES, row, machine)
    }
    return buffer
  }

  private sendDrivers(): void {
    const known: [string, string, string][] = [
      ['\\Driver\\AFD', 'Ancillary Function Driver for Winsock', ''],
      ['\\Driver\\Echo', 'DriverMon’s echo driver', ''],
      [
        '\\Driver\\disk',
        'Disk Driver',
        'PatchGuard checks this driver object: hooking it may end in bugcheck 0x109.',
      ],
      ['\\Driver\\tcpip', 'TCP/IP Protocol Driver', ''],
      ['\\FileSystem\\Npfs', 'Named Pipe File System', ''],
    ]
    this.send({
      type: 'drivers',
      drivers: known.map(([name, displayName, warning]) => ({
        name,
        displayName,
        warning,
        hooked: this.machine.drivers.includes(name),
      })),
    })
  }

  private send(message: ServerMessage): void {
    if (this.socket.readyState === this.socket.OPEN) this.socket.send(JSON.stringify(message))
  }
}

function writeRow(view: DataView, at: number, row: number, machine: Machine): void {
  const kind = kindOf(row)
  const inFlight = machine.inFlight(row)
  const flags = (kind.fastIo ? RequestFlags.FastIo : 0) | (kind.pends ? RequestFlags.Pended : 0)
  view.setFloat64(at, row, true)
  view.setFloat64(at + 8, machine.arrival(row), true)
  view.setFloat64(at + 16, inFlight ? Number.NaN : latencyOf(row), true)
  view.setFloat64(at + 24, kind.output, true)
  const words = [
    1,
    4 * Math.floor(500 + 3000 * dice(processOf(row), 9)),
    9244 + (row % 40) * 4,
    flags,
    kind.code,
    kind.status,
    kind.input,
    kind.output,
    processOf(row),
    kind.major === 0 && !kind.fastIo ? 1 + (row % 3) : 0,
  ]
  for (const [i, value] of words.entries()) view.setUint32(at + 32 + i * 4, value, true)
  view.setUint8(at + 72, kind.major)
  view.setUint32(at + 76, inFlight ? RowState.InFlight : RowState.Done, true)
}
