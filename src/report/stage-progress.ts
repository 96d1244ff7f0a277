import type { TrainingEvent } from '../training/index.ts';
import { percent } from './lines.ts';

type Of<Type extends TrainingEvent['type']> = Extract<TrainingEvent, { type: Type }>;

/** Weight of a batch in the running means that are shown: about the last twenty count. */
const SHARE = 0.05;

/** The figures of a stage as it trains, over all its passes. */
export class StageProgress {
  readonly #start: Of<'start'>;
  readonly #began: number;
  #passBegan: number;
  /** When a further pass will have begun: at the end of what there was last. */
  #nextBegan: number;
  #pass = 0;
  #done = 0;
  #waitMs = 0;
  #cost: number | undefined;
  #accuracy = 0;

  constructor(start: Of<'start'>, now = performance.now()) {
    this.#start = start;
    this.#began = now;
    this.#passBegan = now;
    this.#nextBegan = now;
  }

  /** Pictures of all passes. */
  get total(): number {
    return this.#start.passes * this.#start.trainSize;
  }

  /** Pictures so far. */
  get done(): number {
    return this.#pass * this.#start.trainSize + this.#done;
  }

  /** `3/12`, counted from 1. */
  get pass(): string {
    return `${this.#pass + 1}/${this.#start.passes}`;
  }

  add(event: Of<'batch'> | Of<'progress'> | Of<'pass'> | Of<'test'>, now = performance.now()): void {
    if (event.type === 'pass' || event.type === 'test') {
      this.#nextBegan = now;
    } else if (event.type === 'batch') {
      if (event.pass !== this.#pass) {
        this.#pass = event.pass;
        this.#done = 0;
        this.#passBegan = this.#nextBegan;
        this.#waitMs = 0;
      }
      this.#waitMs += event.waitMs;
      const share = this.#cost === undefined ? 1 : SHARE;
      this.#cost = (this.#cost ?? 0) * (1 - share) + event.cost * share;
      this.#accuracy = this.#accuracy * (1 - share) + event.accuracy * share;
    } else {
      this.#done = event.done;
    }
  }

  /** Tests' time is in what is left, which is in milliseconds, not in the rate. */
  numbers(now = performance.now()) {
    const elapsed = Math.max(now - this.#passBegan, 1);
    return {
      cost: this.#cost,
      accuracy: this.#accuracy,
      picturesPerSecond: (1000 * this.#done) / elapsed,
      dataWait: this.#waitMs / elapsed,
      left: this.done > 0 ? ((now - this.#began) * (this.total - this.done)) / this.done : undefined,
    };
  }

  /** `cost 0.512, 91.2 % right | 13.1 img/s, waits 0.3 %`. */
  figures(now = performance.now()): { readonly text: string; readonly left: string } {
    const { cost = 0, accuracy, picturesPerSecond: rate, dataWait, left } = this.numbers(now);
    return {
      text: `cost ${cost.toFixed(3)}, ${percent(accuracy)} | ${rate.toFixed(rate < 100 ? 1 : 0)} img/s, waits ${percent(dataWait)}`,
      left: left === undefined ? '-' : duration(left),
    };
  }
}

/** `1h05m`, `12m30s`, `42s`. */
export function duration(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  const two = (value: number) => String(value).padStart(2, '0');
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${two(seconds % 60)}s`;
  return `${Math.floor(seconds / 3600)}h${two(Math.floor((seconds % 3600) / 60))}m`;
}
