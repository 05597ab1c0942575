// session-error.ts: what is thrown where something was asked that does not go now.

/** The message says why, and what to do. */
export class SessionError extends Error {
  override readonly name = 'SessionError'
}
