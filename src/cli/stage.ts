import { TerminalReport } from '../report/terminal.ts';
import type { TrainingEvent } from '../training/index.ts';

/**
 * Runs a stage with a report on the terminal. Ctrl-C stops it after the step in progress, leaving older results as they
 * are; a second Ctrl-C ends the process at once.
 */
export async function runStage(
  verbose: boolean,
  stage: (hooks: { onEvent(event: TrainingEvent): void; signal: AbortSignal }) => Promise<unknown>,
): Promise<void> {
  const report = new TerminalReport({ verbose });
  const interrupt = new AbortController();
  process.once('SIGINT', () => interrupt.abort(new Interrupted()));
  try {
    await stage({ onEvent: report.handle, signal: interrupt.signal });
  } finally {
    report.close();
  }
}

/** The user's own wish to stop: no defect, and no result. */
export class Interrupted extends Error {
  override readonly message = 'stopped by Ctrl-C; nothing was saved and older results are as they were';
}
