import type { DataReport } from '../check-data/index.ts';
import { OrtuneError } from '../errors.ts';
import type { Emit, TrainingEvent } from './events.ts';

/** What can be asked of a run while it trains. Every wish is met between two updates. */
export interface TrainingControl {
  /** Ends training after the update in progress. What was trained until then is tested and saved, as at any other end. */
  stop(): void;
  /**
   * Goes on with another learning rate, at the schedule's peak; a tenth of it for each return to an earlier state
   * (`onNan`).
   *
   * @throws OrtuneError `OPTION` for what is no number above 0
   */
  setLearningRate(rate: number): void;
  /**
   * Saves what has been trained so far as a result of its own.
   *
   * @param folder as a stage's `out`
   * @throws OrtuneError `OUTPUT`; `RUN_ENDED` when training ended before it could be done
   */
  save(folder: string): Promise<void>;
  /**
   * Copies of what is trained, as it is now.
   *
   * @returns values by parameter, row-major
   * @throws OrtuneError `RUN_ENDED`
   */
  parameters(): Promise<ReadonlyMap<string, Float32Array>>;
}

/** Hears of all that happens in a run, and may ask something of it. What it throws ends the run. */
export type TrainingListener = (event: TrainingEvent, control: TrainingControl) => void;

/** How a run is watched and cut off. */
export interface RunOptions {
  readonly onEvent?: TrainingListener;
  /** Ends the run at the next step, with the signal's reason for its error; nothing is saved. */
  readonly signal?: AbortSignal;
}

/**
 * A run in progress: a promise of its result that can be watched and steered.
 *
 * `for await (const event of run)` gives its events from the first on, if begun at once, and throws what ends the run;
 * leaving the loop does not end the run.
 */
export interface Run<Result> extends Promise<Result>, AsyncIterable<TrainingEvent>, TrainingControl {}

/** What a run's work has from outside. */
export interface RunContext {
  readonly emit: Emit;
  readonly signal: AbortSignal | undefined;
  readonly requests: Requests;
  /** What a look at the data found, where all pictures have been read through already. */
  readonly dataReport?: DataReport;
}

/** What there is between two updates. */
interface Present {
  save(folder: string): Promise<void>;
  values(): Promise<ReadonlyMap<string, Uint8Array>>;
}

interface Wish {
  meet(present: Present): Promise<void>;
  refuse(): void;
}

/** Wishes that a run has not met yet. */
export class Requests implements TrainingControl {
  readonly #waiting: Wish[] = [];
  #ended = false;
  #rate: number | undefined;
  #stopping = false;

  get stopping(): boolean {
    return this.#stopping;
  }

  /** The learning rate that was asked for. */
  get learningRate(): number | undefined {
    return this.#rate;
  }

  stop(): void {
    this.#stopping = true;
  }

  setLearningRate(rate: number): void {
    if (!(rate > 0 && rate < Number.POSITIVE_INFINITY)) {
      throw new OrtuneError('OPTION', `setLearningRate: expected a number above 0, received ${rate}`);
    }
    this.#rate = rate;
  }

  save(folder: string): Promise<void> {
    return this.#ask(`save ${folder}`, ({ save }) => save(folder));
  }

  parameters(): Promise<ReadonlyMap<string, Float32Array>> {
    return this.#ask('parameters', async ({ values }) => {
      const floats = ([name, { buffer, byteOffset, byteLength }]: [string, Uint8Array]) =>
        [name, new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength))] as const;
      return new Map([...(await values())].map(floats));
    });
  }

  /** Between two updates: does what was asked for. What fails is its asker's concern, not the run's. */
  async settle(present: Present): Promise<void> {
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) await next.meet(present);
  }

  #ask<Result>(what: string, answer: (present: Present) => Promise<Result>): Promise<Result> {
    if (this.#ended) return Promise.reject(ended(what));
    return new Promise((resolve, reject) => {
      this.#waiting.push({
        meet: (present) => answer(present).then(resolve, reject),
        refuse: () => reject(ended(what)),
      });
    });
  }

  /** Training is over. */
  end(): void {
    this.#ended = true;
    for (const { refuse } of this.#waiting.splice(0)) refuse();
  }
}

const ended = (what: string) =>
  new OrtuneError(
    'RUN_ENDED',
    `${what}: expected a run that trains, but it has ended; its result is in its own folder.`,
  );

/** Begins some work as a run. */
export function startRun<Result>(
  { onEvent, signal }: { onEvent: TrainingListener | undefined; signal: AbortSignal | undefined },
  work: (context: RunContext) => Promise<Result>,
): Run<Result> {
  const requests = new Requests();
  const control: TrainingControl = {
    stop: () => requests.stop(),
    setLearningRate: (rate) => requests.setLearningRate(rate),
    save: (folder) => requests.save(folder),
    parameters: () => requests.parameters(),
  };
  const watchers = new Set<Watcher>();
  const emit: Emit = (event) => {
    for (const watcher of watchers) watcher.add(event);
    onEvent?.(event, control);
  };
  // Later, so that whoever begins to watch at once misses nothing.
  const result = Promise.resolve().then(() => work({ emit, signal, requests }));
  const settled = result.finally(() => requests.end());
  const watch = (): AsyncIterator<TrainingEvent> => {
    const watcher = new Watcher(() => watchers.delete(watcher));
    watchers.add(watcher);
    settled.then(
      () => watcher.end(),
      (error: unknown) => watcher.end(error),
    );
    return watcher;
  };
  return Object.assign(settled, control, { [Symbol.asyncIterator]: watch });
}

/** The events that somebody has yet to take, in order. */
class Watcher implements AsyncIterator<TrainingEvent> {
  readonly #events: TrainingEvent[] = [];
  readonly #leave: () => void;
  #end: { readonly error: unknown } | undefined;
  #wake: () => void = () => {};

  constructor(leave: () => void) {
    this.#leave = leave;
  }

  add(event: TrainingEvent): void {
    this.#events.push(event);
    this.#wake();
  }

  end(error?: unknown): void {
    this.#end = { error };
    this.#leave();
    this.#wake();
  }

  async next(): Promise<IteratorResult<TrainingEvent>> {
    while (this.#events.length === 0 && !this.#end) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const value = this.#events.shift();
    if (value) return { done: false, value };
    const { error } = this.#end as { error: unknown };
    if (error !== undefined) {
      this.#end = { error: undefined };
      throw error;
    }
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<TrainingEvent>> {
    this.end();
    this.#events.length = 0;
    return { done: true, value: undefined };
  }
}
