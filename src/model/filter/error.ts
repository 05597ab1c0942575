// error.ts: a filter that cannot be understood, and where. Offsets are into the filter's text, end exclusive.

export class FilterError extends Error {
  override readonly name = 'FilterError'
  constructor(
    message: string,
    readonly start: number,
    readonly end: number,
  ) {
    super(message)
  }
}
