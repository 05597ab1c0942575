// text-error.ts: what is thrown for a text of the user's that means nothing where it stands.

/** The message begins in lower case and says what would be understood. */
export class TextError extends Error {
  override readonly name = 'TextError'

  /** The message as a sentence. */
  get sentence(): string {
    return `${this.message[0]!.toUpperCase()}${this.message.slice(1)}.`
  }
}
