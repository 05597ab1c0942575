// capture-info.ts: what a capture file says about itself before its first record.

import type { Ticks } from '../protocol/ids.ts'

export interface CaptureInfo {
  /** Of the ABI that its records follow. */
  abiVersion: number
  ticksPerSecond: number
  anchorTicks: Ticks
  /** Milliseconds since 1970, UTC, at `anchorTicks`. */
  anchorUtcMs: number
  /** For people: `Windows 11 (10.0.26100)`, `Simulated kernel`. */
  os: string
  /** For people: `DriverMon 0.1.0`. */
  application: string
  /** `device`, or `sim`: shown wherever the capture is. */
  source: 'device' | 'sim'
  /** The file's number in a recording that was spread over several, from 1; 0 = it is the only one. */
  series: number
  /** Which requests were recorded when the file began, in words, if not all; '' = all. */
  recordedOnly: string
}
