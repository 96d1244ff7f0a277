import { Worker } from 'node:worker_threads';
import { OrtuneError } from '../errors.ts';
import { workerEntry } from '../inference/typescript-worker.ts';
import { locateServing } from '../runtime/locate.ts';

/** Features of a frozen backbone with their labels, from which the head is found. */
export interface HeadProblem {
  /** float32 [rows, width], row by row. */
  readonly features: Float32Array;
  readonly width: number;
  /** Index of each row's class, [rows]. */
  readonly labels: Int32Array;
  readonly classes: number;
  /**
   * Rows that belong together, such as a picture's and its mirror image's, by the number of the first of them, [rows]: they
   * are held out together. Each row is its own by default.
   */
  readonly groups?: Int32Array;
  /** scikit-learn's 1 / C, on features divided by the root of their mean variance; chosen on held-out rows by default. */
  readonly regularisation?: number;
  /** Parts that the rows are dealt into, and how many of them take their turn at being held out. Default 5 and 1. */
  readonly folds?: number;
  readonly rounds?: number;
  /** Seed of the parts. */
  readonly seed?: number;
  /** Share of the gradient's norm at zero weights that remains in the end. Default 3e-4. */
  readonly tolerance?: number;
  /** Of the products; as many as the machine has by default. */
  readonly threads?: number;
}

export interface SolveOptions extends HeadProblem {
  readonly signal?: AbortSignal;
  /** Called after each regularisation that was tried. */
  readonly onProgress?: (fit: HeadFit) => void;
}

/** One regularisation that was tried, and how it did on rows held out. */
export interface HeadFit {
  readonly regularisation: number;
  /** Mean cross-entropy, and share of right answers. */
  readonly cost: number;
  readonly accuracy: number;
  readonly iterations: number;
}

export interface HeadSolution {
  /** float32 [width, classes], row by row, for features as they are: `fc_0.w_0`. */
  readonly weights: Float32Array;
  /** [classes]: `fc_0.b_0`. */
  readonly bias: Float32Array;
  readonly regularisation: number;
  /** What was tried, from strong to weak; empty when the regularisation was given. */
  readonly history: readonly HeadFit[];
  readonly trainCost: number;
  readonly trainAccuracy: number;
  readonly iterations: number;
  /** Whether the tolerance was reached. Else rounding ended the search before, which costs no accuracy. */
  readonly converged: boolean;
}

/** What the worker is given, and what it answers. */
export interface SolveSetup {
  readonly problem: HeadProblem;
  /** Not 0: stop. */
  readonly stop: Int32Array<SharedArrayBuffer>;
}
export type SolveReply =
  | { readonly fit: HeadFit }
  | { readonly solution: HeadSolution }
  | { readonly stopped: true }
  | { readonly failed: Error };

/**
 * The best head on given features: multinomial logistic regression with L2 regularisation, a convex problem with one
 * minimum, found by L-BFGS. How strong the regularisation is decides how well the head does on other pictures, and is chosen
 * on a part of the rows that is held out, stratified by class; the head is then fitted to all rows.
 *
 * Runs on a thread of its own. Same input, same result, with the same number of threads.
 *
 * @throws OrtuneError `HEAD_FEATURES` when they are not finite or don't fit the labels; the signal's reason when it is aborted
 */
export async function solveHead({ signal, onProgress, ...problem }: SolveOptions): Promise<HeadSolution> {
  checkProblem(problem);
  signal?.throwIfAborted();
  const stop = new Int32Array(new SharedArrayBuffer(4));
  locateServing(); // Where it is missing, the thread would end without saying what to do.
  const worker = new Worker(workerEntry(import.meta.url, './worker'), {
    workerData: { problem, stop } satisfies SolveSetup,
  });
  // Not `terminate()`: onnxruntime-node takes the whole process down when its thread is torn from under a run.
  const abort = () => Atomics.store(stop, 0, 1);
  signal?.addEventListener('abort', abort);
  try {
    const reply = await new Promise<SolveReply>((resolve, reject) => {
      worker.on('message', (message: SolveReply) => {
        if ('fit' in message) onProgress?.(message.fit);
        else resolve(message);
      });
      worker.on('error', reject);
      worker.on('exit', (code) => reject(new Error(`the head solver's thread ended with ${code}`)));
    });
    signal?.throwIfAborted();
    if ('failed' in reply) throw reply.failed;
    if (!('solution' in reply)) throw new Error('the head solver stopped unasked');
    return reply.solution;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

function checkProblem({ features, width, labels, classes, groups, regularisation, folds, rounds }: HeadProblem): void {
  const fail = (message: string) => {
    throw new OrtuneError('HEAD_FEATURES', `features of the head: ${message}`);
  };
  if (labels.length === 0 || features.length !== labels.length * width) {
    fail(`expected [${labels.length}, ${width}] for as many labels, received ${features.length} numbers`);
  }
  if (groups && groups.length !== labels.length) fail(`expected ${labels.length} groups, received ${groups.length}`);
  const stray = labels.find((label) => label < 0 || label >= classes);
  if (stray !== undefined) fail(`expected labels from 0 to ${classes - 1}, received ${stray}`);
  const broken = features.findIndex((value) => !Number.isFinite(value));
  if (broken >= 0) {
    fail(`expected finite numbers, but row ${Math.floor(broken / width)} has ${features[broken]}; check the weights`);
  }
  if (regularisation !== undefined && !(regularisation > 0 && regularisation < Number.POSITIVE_INFINITY)) {
    fail(`expected a regularisation above 0, received ${regularisation}`);
  }
  const [parts, turns] = [folds ?? 5, rounds ?? 1];
  if (!(Number.isSafeInteger(parts) && Number.isSafeInteger(turns) && parts >= 2 && turns >= 1 && turns <= parts)) {
    fail(`expected 2 folds or more and as many rounds or fewer, received ${folds} and ${rounds}`);
  }
}
