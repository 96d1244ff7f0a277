/**
 * Runs a trial in a process of its own: a library that crashes, or a GPU left in a state of error, takes that one trial
 * along and no other. Started as a program, it gets the trial as a message and answers with one.
 */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { runTrial, type TrialResult, type TrialSpec } from './trial.ts';

/** A trial's result, or why there is none. */
export type TrialOutcome = { readonly result: TrialResult } | { readonly failure: string };

const program = fileURLToPath(import.meta.url);

export function runTrialApart(spec: TrialSpec): Promise<TrialOutcome> {
  return new Promise((resolve) => {
    const child = fork(program, {
      execArgv: ['--import', import.meta.resolve('tsx')],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    let outcome: TrialOutcome | undefined;
    child.on('message', (message) => {
      outcome = message as TrialOutcome;
    });
    child.on('error', (error) => resolve({ failure: `its process could not be started: ${error.message}` }));
    child.on('close', (code, signal) => {
      resolve(outcome ?? { failure: `its process ended by ${signal ?? `exit code ${code}`}, without a result` });
    });
    child.send(spec);
  });
}

if (process.argv[1] === program) {
  process.once('message', async (spec) => {
    const outcome: TrialOutcome = await runTrial(spec as TrialSpec).then(
      (result) => ({ result }),
      (error: unknown) => ({ failure: error instanceof Error ? error.message : String(error) }),
    );
    process.send?.(outcome, () => process.disconnect());
  });
}
