// function-colours.ts: the colour of a function: the same in chart, legend, lists and grid.
//
// Twelve hues (custom properties --f0 … --f11 of the style sheet); --f12 is "all others". What is usual for a driver
// to be asked has a hue of its own; rarer functions share one with something far away from them.

import type { FunctionIndex } from '../../src/protocol/ids.ts'
import { MAJOR_FUNCTION_COUNT } from '../../src/protocol/layout.ts'

export const OTHERS_COLOUR = 12

// By IRP_MJ_* number.
const MAJOR_COLOURS = [
  2, // CREATE
  8, // CREATE_NAMED_PIPE
  4, // CLOSE
  5, // READ
  6, // WRITE
  7, // QUERY_INFORMATION
  9, // SET_INFORMATION
  10, // QUERY_EA
  11, // SET_EA
  8, // FLUSH_BUFFERS
  10, // QUERY_VOLUME_INFORMATION
  11, // SET_VOLUME_INFORMATION
  9, // DIRECTORY_CONTROL
  8, // FILE_SYSTEM_CONTROL
  1, // DEVICE_CONTROL
  11, // INTERNAL_DEVICE_CONTROL
  9, // SHUTDOWN
  10, // LOCK_CONTROL
  3, // CLEANUP
  2, // CREATE_MAILSLOT
  7, // QUERY_SECURITY
  9, // SET_SECURITY
  6, // POWER
  10, // SYSTEM_CONTROL
  5, // DEVICE_CHANGE
  7, // QUERY_QUOTA
  9, // SET_QUOTA
  8, // PNP
]

// By FastIoFunction number.
const FAST_IO_COLOURS = [10, 9, 11, 7, 7, 10, 10, 10, 10, 0, 3, 7, 9, 9, 11, 11, 9, 11, 9, 11, 2]

export function functionColour(fn: FunctionIndex | null): number {
  if (fn === null) return OTHERS_COLOUR
  return (
    (fn < MAJOR_FUNCTION_COUNT ? MAJOR_COLOURS[fn] : FAST_IO_COLOURS[fn - MAJOR_FUNCTION_COUNT]) ??
    OTHERS_COLOUR
  )
}
