import { type TerminalOptions, TerminalReport } from '../report/terminal.ts';
import type { TrainingEvent } from '../training/index.ts';

/** Signals that ask a program to stop, and what it then exits with by the shell's convention. */
const STOPPING = { SIGINT: 130, SIGTERM: 143 } as const;

/**
 * Runs a stage with a report on the terminal. Ctrl-C (or `kill`) stops it after the step in progress, leaving older
 * results as they are; a second one ends the process at once.
 */
export async function runStage(
  options: TerminalOptions,
  stage: (hooks: { onEvent(event: TrainingEvent): void; signal: AbortSignal }) => Promise<unknown>,
): Promise<void> {
  const report = new TerminalReport(options);
  const interrupt = new AbortController();
  const stop = (signal: NodeJS.Signals) => {
    release();
    interrupt.abort(new Interrupted(signal as keyof typeof STOPPING));
  };
  const release = () => {
    for (const signal of Object.keys(STOPPING)) process.removeListener(signal, stop);
  };
  for (const signal of Object.keys(STOPPING)) process.on(signal, stop);
  try {
    await stage({ onEvent: report.handle, signal: interrupt.signal });
  } finally {
    release();
    report.close();
  }
}

/** The user's own wish to stop: no defect, and no result. */
export class Interrupted extends Error {
  readonly exitCode: number;

  constructor(signal: keyof typeof STOPPING) {
    const by = signal === 'SIGINT' ? 'Ctrl-C' : signal;
    super(`stopped by ${by}; nothing was saved and older results are as they were`);
    this.exitCode = STOPPING[signal];
  }
}
