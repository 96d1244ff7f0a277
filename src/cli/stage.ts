import { dashboard } from '../dashboard/index.ts';
import { OrtuneError } from '../errors.ts';
import { type TerminalOptions, TerminalReport } from '../report/terminal.ts';
import { tensorBoardRecorder } from '../tensorboard/index.ts';
import type { TrainingControl, TrainingEvent } from '../training/index.ts';

/** Signals that ask a program to stop, and what it then exits with by the shell's convention. */
const STOPPING = { SIGINT: 130, SIGTERM: 143 } as const;

const KEPT = ' What was trained is kept: once that is mended, the same command with --resume goes on.';

export interface StageReportOptions extends TerminalOptions {
  /** Folder for TensorBoard's files. */
  readonly tensorBoard?: string | undefined;
  /** Port of a page that shows the run. */
  readonly dashboard?: number | undefined;
}

/**
 * Runs a stage with a report on the terminal and wherever else it is asked for. Ctrl-C (or `kill`) stops it after the step
 * in progress, leaving older results as they are; a second one ends the process at once.
 */
export async function runStage(
  { tensorBoard, dashboard: port, ...options }: StageReportOptions,
  stage: (hooks: {
    onEvent(event: TrainingEvent, control?: TrainingControl): void;
    signal: AbortSignal;
  }) => Promise<unknown>,
): Promise<void> {
  const live = port === undefined ? undefined : await dashboard({ port });
  const recorder = tensorBoard === undefined ? undefined : tensorBoardRecorder(tensorBoard);
  const report = new TerminalReport(options);
  if (live) process.stderr.write(`Dashboard: ${live.url}\n`);
  const interrupt = new AbortController();
  const stop = (signal: NodeJS.Signals) => {
    release();
    interrupt.abort(new Interrupted(signal as keyof typeof STOPPING));
  };
  const release = () => {
    for (const signal of Object.keys(STOPPING)) process.removeListener(signal, stop);
  };
  for (const signal of Object.keys(STOPPING)) process.on(signal, stop);
  let failure: unknown;
  let kept = false;
  try {
    await stage({
      onEvent(event, control) {
        if (event.type === 'kept') kept = true;
        report.handle(event);
        live?.handle(event);
        recorder?.handle(event, control);
      },
      signal: interrupt.signal,
    });
  } catch (error) {
    failure = error;
    if (error instanceof Interrupted && kept) error.resumable();
    if (error instanceof OrtuneError && error.code === 'OUTPUT' && kept) error.message += KEPT;
    throw error;
  } finally {
    release();
    report.close();
    await live?.close(failure);
    // Its own failure goes before nothing: the run's error says more.
    await recorder?.close().catch((error: unknown) => {
      if (failure === undefined) throw error;
    });
  }
}

/** The user's own wish to stop: no defect, and no result. */
export class Interrupted extends Error {
  readonly exitCode: number;
  readonly #by: string;

  constructor(signal: keyof typeof STOPPING) {
    const by = signal === 'SIGINT' ? 'Ctrl-C' : signal;
    super(`stopped by ${by}; nothing was saved and older results are as they were`);
    this.#by = by;
    this.exitCode = STOPPING[signal];
  }

  /** Says that what was trained is not lost. */
  resumable(): void {
    this.message = `stopped by ${this.#by}; the same command with --resume goes on from here, older results are as they were`;
  }
}
