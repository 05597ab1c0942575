// ids.ts: branded numbers, so that a row cannot be passed where a driver id is meant, nor ticks for milliseconds.

declare const brand: unique symbol
type Brand<T, Name extends string> = T & { readonly [brand]: Name }

/** QPC ticks as a double: exact up to 2^53 (28 years at 10 MHz). */
export type Ticks = Brand<number, 'Ticks'>

/** A number that the driver gives to a hooked driver; never reused within one load. */
export type DriverId = Brand<number, 'DriverId'>

/** A row's number since the capture began. It never changes; evicted rows leave their numbers unused. */
export type RowId = Brand<number, 'RowId'>

/** Majors first, then fast-I/O routines: `0..FUNCTION_COUNT - 1` (record.h). */
export type FunctionIndex = Brand<number, 'FunctionIndex'>

/** An NTSTATUS as an unsigned 32-bit number. */
export type NtStatus = Brand<number, 'NtStatus'>
