/**
 * An error meant for the person who runs ortune: the message says what was expected, what came, where, and what to do.
 * The commands print the message alone and exit with 1; anything else that is thrown is a defect and keeps its stack.
 */
export class OrtuneError extends Error {
  override readonly name = 'OrtuneError';
  /** Stable identifier for programs, e.g. `'WEIGHTS_MISSING'`. */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
