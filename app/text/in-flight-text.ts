// in-flight-text.ts: a request that has not ended, in words.

import { ioctlName } from '../../src/formats/ioctl.ts'
import { carriesControlCode, functionName } from '../../src/formats/irp-names.ts'
import { formatHex } from '../../src/formats/values.ts'
import type { InFlightList } from '../../src/protocol/wire.ts'

type Request = InFlightList['requests'][number]

function codeOf(request: Request): string {
  if (!carriesControlCode(request.function, request.minor)) return ''
  return ioctlName(request.code) || formatHex(request.code, 8)
}

/** What tells it best: its control code, else its function. */
export function inFlightName(request: Request): string {
  return codeOf(request).replace(/^(IOCTL|FSCTL)_/, '') || functionName(request.function)
}

/** All that is known, in lines. */
export function inFlightTitle(request: Request): string {
  const { processId, threadId, processName, driverName, held } = request
  return [
    `${functionName(request.function)} ${codeOf(request)}`.trim(),
    `to ${driverName}`,
    `process ${processName} ${processId}, thread ${threadId}`,
    ...(held ? ['not recorded yet: its end decides'] : []),
  ].join('\n')
}
