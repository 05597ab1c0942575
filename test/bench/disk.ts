// disk.ts: a capture file as fast as the disk takes it: the recorder beside plain writing of the same bytes, by us and
// by dd. Every contestant's bytes are on the disk (fdatasync) before its time ends. Each file of ours is then read back
// and compared, byte for byte, with the records that were to be in it.

import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { loadBinding } from '../../addon/load.ts'
import type { Ticks } from '../../src/protocol/ids.ts'
import { openRecorder } from '../../src/session/recorder.ts'
import { RecordingFiles } from '../../src/session/recording-files.ts'
import { type Figure, interleave } from './figure.ts'
import { recordsOf } from './recorded.ts'
import { makeTraffic, TICKS_PER_SECOND } from './traffic.ts'

const BLOCK_BYTES = 1 << 20
const INFO = {
  abiVersion: 1,
  ticksPerSecond: TICKS_PER_SECOND,
  anchorTicks: 0 as Ticks,
  anchorUtcMs: 0,
  os: 'bench',
  application: 'DriverMon bench',
  source: 'sim' as const,
  series: 0,
  recordedOnly: '',
}

export async function benchDisk(quick: boolean): Promise<Figure[]> {
  const traffic = makeTraffic(100_000, 64)
  const times = quick ? 4 : 20
  const path = join(dirname(process.argv[1]), 'bench.pcapng')
  const expected = times * traffic.records
  let fileBytes = 0
  let waits = 0

  const onDisk = async () => {
    const file = await open(path, 'r+')
    await file.datasync()
    await file.close()
  }
  const seconds = async (action: () => Promise<void>) => {
    rmSync(path, { force: true })
    const begin = performance.now()
    await action()
    await onDisk()
    return (performance.now() - begin) / 1000
  }
  const { writePackets: native } = loadBinding().store
  const record = async () => {
    let goOn = () => {}
    let failure: Error | null = null
    const recorder = await openRecorder(new RecordingFiles(path, null, true), INFO, native, {
      onDrained: () => goOn(),
      onNextFile: () => {},
      onWarning: () => {},
      onError: (error) => {
        failure = error
      },
    })
    for (let i = 0; i < times; i++) {
      for (const batch of traffic.batches) {
        const drained = new Promise<void>((resolve) => {
          goOn = resolve
        })
        if (!recorder.append(batch)) {
          waits++
          await drained
        }
      }
    }
    await recorder.finish()
    if (failure) throw failure
  }
  const write = async () => {
    const file = await open(path, 'w')
    const block = Buffer.alloc(BLOCK_BYTES, 7)
    for (let left = fileBytes; left > 0; left -= BLOCK_BYTES)
      await file.write(block, 0, Math.min(left, BLOCK_BYTES))
    await file.close()
  }
  const dd = async () => {
    const count = Math.ceil(fileBytes / BLOCK_BYTES)
    spawnSync('dd', ['if=/dev/zero', `of=${path}`, `bs=${BLOCK_BYTES}`, `count=${count}`], {
      stdio: 'ignore',
    })
  }

  await seconds(record)
  fileBytes = (await stat(path)).size
  await compare(path, traffic.batches, times)
  const rate = (elapsed: number) => expected / elapsed / 1e6
  const [ours, ...yardsticks] = await interleave(3, [
    {
      name: 'ours',
      run: async () => {
        const elapsed = await seconds(record)
        await compare(path, traffic.batches, times)
        return rate(elapsed)
      },
    },
    {
      name: 'the same bytes, plain writes of 1 MiB',
      run: async () => rate(await seconds(write)),
    },
    {
      name: 'the same bytes, dd from /dev/zero',
      run: async () => rate(await seconds(dd)),
    },
  ])
  rmSync(path, { force: true })
  const megabytes = fileBytes / 1e6
  return [
    {
      name: 'capture file, until it is on the disk',
      unit: 'M records/s',
      better: 'higher',
      ours: ours.value,
      yardsticks,
      target: '≥ 1 M records/s',
      met: ours.value >= 1,
      note:
        `${megabytes.toFixed(0)} MB, ${(fileBytes / expected).toFixed(0)} bytes a record, ` +
        `${((megabytes * ours.value * 1e6) / expected).toFixed(0)} MB/s; ${waits} waits for the disk; ` +
        'each file was read back and held every record',
    },
  ]
}

/** Throws unless the file holds these records, `times` over, and nothing else. */
async function compare(path: string, batches: readonly Uint8Array[], times: number): Promise<void> {
  let batch = 0
  let at = 0
  for await (const records of recordsOf([path])) {
    for (let from = 0; from < records.length; ) {
      const expected = batches[batch % batches.length]
      const length = Math.min(expected.length - at, records.length - from)
      const same =
        Buffer.compare(expected.subarray(at, at + length), records.subarray(from, from + length)) === 0
      if (!same || batch === times * batches.length)
        throw new Error(`${path}: batch ${batch} is not what was recorded`)
      from += length
      at += length
      if (at < expected.length) continue
      batch++
      at = 0
    }
  }
  if (batch < times * batches.length) throw new Error(`${path}: the last records are missing`)
}
