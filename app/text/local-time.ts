// local-time.ts: times of day as a clock on the wall showed them at that moment: in July by July's offset from UTC,
// whatever month it is now.

import { type Clock, formatTime } from '../../src/formats/values.ts'

export function formatLocalTime(ticks: number, clock: Clock): string {
  const utcMs = clock.anchorUtcMs + ((ticks - clock.anchorTicks) / clock.ticksPerSecond) * 1e3
  return formatTime(ticks, clock, -new Date(utcMs).getTimezoneOffset())
}
