// Capture files: what was written is what is read, however the file is cut into pieces; damage is refused with its
// place; and Wireshark's own tools read the file.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import type { CaptureInfo } from '../../src/formats/capture-info.ts'
import { Block, BYTE_ORDER_MAGIC, Option } from '../../src/formats/pcapng-blocks.ts'
import { PcapngError, PcapngReader } from '../../src/formats/pcapng-reader.ts'
import type { FileLimit } from '../../src/formats/pcapng-writer.ts'
import type { Ticks } from '../../src/protocol/ids.ts'
import { RecordHeader, RecordType } from '../../src/protocol/layout.ts'
import { encodeProcess, forEachRecord, RecordError } from '../../src/protocol/records.ts'
import { captureFile } from '../support/capture-file.ts'
import { traffic } from '../support/captures.ts'
import { concat, end, hooked, loss, start } from '../support/records.ts'

const info: CaptureInfo = {
  abiVersion: 1,
  ticksPerSecond: 10_000_000,
  anchorTicks: 5_000_000_000 as Ticks,
  anchorUtcMs: Date.UTC(2026, 10, 22, 14, 3, 7) + 0.5,
  os: 'Simulated kernel',
  application: 'DriverMon 0.1.0',
  source: 'sim',
  series: 0,
  recordedOnly: '',
}

function fileOf(records: readonly Uint8Array[], perBatch = 3): Uint8Array {
  const { writer, bytes } = captureFile(info)
  writer.begin()
  for (let i = 0; i < records.length; i += perBatch) writer.write(concat(records.slice(i, i + perBatch)))
  writer.end()
  return bytes()
}

/** The files of a recording that goes on in another one at each limit. */
function seriesOf(records: readonly Uint8Array[], limit: FileLimit): Uint8Array[] {
  const { writer, bytes } = captureFile(info)
  const batch = concat(records)
  const files: Uint8Array[] = []
  for (let at = 0; at < batch.length; ) {
    writer.begin(files.length + 1)
    at = writer.write(batch, at, limit)
    writer.end()
    files.push(bytes())
  }
  return files
}

function split(records: Uint8Array): Uint8Array[] {
  const each: Uint8Array[] = []
  forEachRecord(records, (words, at) => each.push(records.subarray(at * 4, at * 4 + words[at])))
  return each
}

const typeOf = (record: Uint8Array) => record[RecordHeader.type]

/** By interface: the records that the file's statistics tell, and the packets that are there. */
function statisticsOf(file: Uint8Array): { received: number[]; packets: number[]; dropped: number } {
  const words = new Uint32Array(file.buffer, file.byteOffset, file.byteLength >> 2)
  const received: number[] = []
  const packets: number[] = []
  let dropped = 0
  for (let at = 0; at < words.length; at += words[at + 1] >> 2) {
    if (words[at] === Block.InterfaceDescription) packets.push(0)
    else if (words[at] === Block.EnhancedPacket) packets[words[at + 2]]++
    else if (words[at] === Block.InterfaceStatistics) {
      expect(words[at + 5] & 0xffff).toBe(Option.IsbReceived)
      received[words[at + 2]] = words[at + 6]
      if ((words[at + 8] & 0xffff) === Option.IsbDropped) dropped = words[at + 9]
    }
  }
  return { received, packets, dropped }
}

function headBytes(): number {
  const { writer, bytes } = captureFile(info)
  writer.begin()
  return bytes().length
}

function read(
  file: Uint8Array,
  pieces: readonly number[] = [],
): { records: Uint8Array; torn: number; info: CaptureInfo | null } {
  const reader = new PcapngReader()
  const records: Uint8Array[] = []
  let at = 0
  for (let i = 0; at < file.length; i++) {
    const next = at + (pieces.length === 0 ? file.length : pieces[i % pieces.length])
    records.push(reader.push(file.slice(at, next)))
    at = next
  }
  return { records: concat(records), torn: reader.end().tornBytes, info: reader.info }
}

const names = [
  hooked(1, '\\Driver\\AFD', 5_000_000_000),
  hooked(2, '\\FileSystem\\Npfs', 5_000_000_001),
  encodeProcess({ at: 5_000_000_002 as Ticks, processId: 8, parentProcessId: 4, event: 0, name: 'a.exe' }),
]

describe('a capture file', () => {
  test('gives back what was written, in pieces of any size', () => {
    fc.assert(
      fc.property(
        traffic,
        fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 4 }),
        (drawn, pieces) => {
          const records = [...names, ...drawn.records, loss([1], [2], 3)]
          const file = fileOf(records)
          const back = read(file, pieces)
          expect(back.info).toEqual(info)
          expect(back.torn).toBe(0)
          expect(Buffer.from(back.records).equals(Buffer.from(concat(records)))).toBe(true)
        },
      ),
      { numRuns: 60 },
    )
  })

  test('cut anywhere, loses its last block only', () => {
    const records = [
      ...names,
      start({ id: 1, at: 5_000_000_010, payload: new Uint8Array(20) }),
      end({ id: 1 }),
    ]
    const file = fileOf(records, 1)
    const head = headBytes()
    const whole = concat(records)
    for (let cut = 0; cut < file.length; cut++) {
      if (cut < head) {
        // The second block of the head describes interface 0; a section header alone is a (still empty) capture.
        const length = new DataView(file.buffer).getUint32(4, true)
        if (cut < length) {
          expect(() => read(file.slice(0, cut))).toThrow(PcapngError)
          continue
        }
      }
      const { records: found, torn } = read(file.slice(0, cut))
      expect(Buffer.compare(found, whole.subarray(0, found.length))).toBe(0)
      const restored = read(concat([file.slice(0, cut - torn)]))
      expect(restored.torn).toBe(0)
      expect(restored.records.length).toBe(found.length)
    }
  })

  test('that is damaged is refused, or read: never an endless loop, never another error', () => {
    const file = fileOf([...names, start({ id: 1, payload: new Uint8Array(20) }), end({ id: 1 })])
    const damage = fc.array(fc.tuple(fc.nat(file.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(damage, (changes) => {
        const bytes = file.slice()
        for (const [at, value] of changes) bytes[at] = value
        try {
          read(bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(PcapngError)
          expect((error as PcapngError).offset).toBeLessThanOrEqual(file.length)
        }
      }),
      { numRuns: 500 },
    )
  })

  test('a malformed batch leaves no trace in it', () => {
    const { writer, bytes } = captureFile(info)
    writer.begin()
    const bad = start({ id: 2, driverId: 9 })
    bad[0] = 7
    expect(() => writer.write(concat([start({ id: 1, driverId: 9 }), bad]))).toThrow(RecordError)
    writer.write(end({ id: 1, driverId: 9 }))
    expect(read(bytes()).records).toEqual(end({ id: 1, driverId: 9 }))
  })

  test('of a series is complete in itself, keeps to its limit, and lacks nothing', () => {
    fc.assert(
      fc.property(traffic, fc.integer({ min: 600, max: 4000 }), fc.nat(2000), (drawn, bytes, ticks) => {
        const records = [...names, ...drawn.records, loss([1], [2], 3)]
        const limit = { bytes, ticks: ticks || Number.POSITIVE_INFINITY }
        const own: Uint8Array[] = []
        for (const [i, file] of seriesOf(records, limit).entries()) {
          const found = read(file)
          expect(found.info).toEqual({ ...info, series: i + 1 })
          const all = split(found.records)
          // The names that the files before have told.
          const repeated = Math.min(own.length, names.length)
          expect(all.slice(0, repeated).map(typeOf)).toEqual(names.slice(0, repeated).map(typeOf))
          expect(file.length <= bytes || all.length === repeated + 1).toBe(true)
          own.push(...all.slice(repeated))
        }
        expect(Buffer.compare(concat(own), concat(records))).toBe(0)
      }),
      { numRuns: 60 },
    )
  })

  test('tells in each file of a series how many records each interface has in it', () => {
    // More drivers than the innermost loop looks up.
    const drivers = Array.from({ length: 300 }, (_, i) => i + 1)
    const records = [
      ...drivers.flatMap((driverId) => [
        hooked(driverId, `\\Driver\\${driverId}`, 5_000_000_000 + driverId),
        start({ id: driverId, driverId, at: 5_000_000_000 + driverId }),
      ]),
      loss([1], [2], 3),
      ...drivers.map((driverId) => end({ id: driverId, driverId, at: 5_000_010_000 + driverId })),
    ]
    const files = seriesOf(records, { bytes: 60_000, ticks: Number.POSITIVE_INFINITY })
    expect(files.length).toBeGreaterThan(2)
    const told = files.map(statisticsOf)
    for (const { received, packets } of told) expect(received).toEqual(packets)
    expect(told.reduce((sum, { dropped }) => sum + dropped, 0)).toBe(6)
  })

  test('of a series forgets a process that has ended', () => {
    const { writer, bytes } = captureFile(info)
    const gone = encodeProcess({ at: 5 as Ticks, processId: 8, parentProcessId: 4, event: 2, name: '' })
    writer.begin(1)
    writer.write(concat([...names, loss([5], [])]))
    writer.begin(2)
    writer.write(gone)
    bytes()
    writer.begin(3)
    writer.end()
    const { records } = read(bytes())
    expect(split(records).map(typeOf)).toEqual([RecordType.DriverHooked, RecordType.DriverHooked])
  })

  test.each([
    ['text', new TextEncoder().encode('hello, world'), /no pcapng file/],
    ['gzip', Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0), /compressed with gzip/],
    ['nothing', new Uint8Array(0), /ends before/],
  ])('%s is no capture', (_what, bytes, message) => {
    expect(() => read(bytes)).toThrow(message)
  })

  test('one of a big-endian machine is named as such, and a damaged byte order as damage', () => {
    const head = new DataView(new ArrayBuffer(28))
    for (const [i, word] of [Block.SectionHeader, 28, BYTE_ORDER_MAGIC, 0x10000, -1, -1, 28].entries()) {
      head.setUint32(4 * i, word)
    }
    const file = new Uint8Array(head.buffer)
    expect(() => read(file)).toThrow('the file is big-endian; DriverMon writes little-endian (at byte 0)')
    expect(() => read(file, [5])).toThrow('the file is big-endian')
    head.setUint32(8, 0)
    expect(() => read(file)).toThrow('the section header’s byte-order magic is damaged')
  })

  test('somebody else’s pcapng is told from ours', () => {
    const file = fileOf(names)
    const text = new TextDecoder('latin1').decode(file)
    file[text.indexOf('DriverMon capture')] = 0x64
    expect(() => read(file)).toThrow(/no capture of DriverMon/)
  })

  test('a damaged block is named by its place in the file', () => {
    const file = fileOf(names)
    const place = headBytes()
    new DataView(file.buffer).setUint32(place + 4, 30, true)
    try {
      read(file, [100])
      expect.unreachable()
    } catch (error) {
      expect(error).toBeInstanceOf(PcapngError)
      expect((error as PcapngError).offset).toBe(place)
    }
  })
})

function has(tool: string): boolean {
  return spawnSync(tool, ['--version']).status === 0
}

const folder = mkdtempSync(join(tmpdir(), 'drivermon-pcapng-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe('Wireshark’s tools', () => {
  const path = join(folder, 'capture.pcapng')
  const records = [
    ...names,
    start({ id: 1, at: 5_000_000_000 + 12_345_678, payload: new TextEncoder().encode('ping') }),
    end({ id: 1, at: 5_000_000_000 + 12_345_679, arrival: 5_000_012_345, status: 0xc0000120 }),
    start({ id: 2, at: 4_999_999_999, driverId: 2 }),
    loss([0, 0], [6], 1),
  ]
  writeFileSync(path, fileOf(records))

  test.skipIf(!has('capinfos'))('capinfos: interfaces, system, comment, drops', () => {
    const { stdout, stderr, status } = spawnSync('capinfos', [path], { encoding: 'utf8' })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toMatch(/Number of packets:\s+7/)
    expect(stdout).toMatch(/Number of interfaces in file: 3/)
    expect(stdout).toMatch(/Name = \\Driver\\AFD/)
    expect(stdout).toMatch(/Name = \\FileSystem\\Npfs/)
    expect(stdout).toMatch(/Capture oper-sys:\s+Simulated kernel/)
    expect(stdout).toMatch(/Capture application:\s+DriverMon 0\.1\.0/)
    expect(stdout).toMatch(/DriverMon capture: abi=1 ticksPerSecond=10000000/)
    expect(stdout).toMatch(/Number of stat entries = 1/)
  })

  test.skipIf(!has('tshark'))('tshark: times to 100 ns, interfaces, the record as it was', () => {
    const fields = ['frame.time_epoch', 'frame.interface_name', 'exported_pdu.prot_name', 'frame.len']
    const args = ['-r', path, '-T', 'fields', ...fields.flatMap((field) => ['-e', field])]
    const { stdout, status } = spawnSync('tshark', args, {
      encoding: 'utf8',
      env: { ...process.env, TZ: 'UTC' },
    })
    expect(status).toBe(0)
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t'))
    expect(lines.map((line) => line[1])).toEqual([
      '\\Driver\\AFD',
      '\\FileSystem\\Npfs',
      'DriverMon',
      '\\Driver\\AFD',
      '\\Driver\\AFD',
      '\\FileSystem\\Npfs',
      '\\Driver\\AFD',
    ])
    const second = Date.UTC(2026, 10, 22, 14, 3, 7) / 1000
    // The anchor, half a millisecond past the second, and 1.2345678 s on.
    expect(lines[0][0]).toBe(`${second}.000500000`)
    expect(lines[3][0]).toBe(`${second + 1}.235067800`)
    expect(lines[5][0]).toBe(`${second}.000499900`)
    expect(lines[3][3]).toBe(String(16 + 112 + 8))
  })
})
