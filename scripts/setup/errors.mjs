/** An error meant for the person who runs setup: the message says what came, and what to do. Printed without a stack. */
export class SetupError extends Error {}

/** Ctrl-C or a termination signal came; `exitCode` is what a shell expects then. */
export class Interrupted extends SetupError {
  /** @param {'SIGINT' | 'SIGTERM'} signal */
  constructor(signal) {
    super(`stopped by ${signal}; run it again to go on`);
    this.exitCode = signal === 'SIGINT' ? 130 : 143;
  }
}

/** A command ended with an error; `reason` is the last line that it printed. */
export class CommandFailed extends SetupError {
  /** @param {string} message @param {string} reason */
  constructor(message, reason) {
    super(message);
    this.reason = reason;
  }
}
