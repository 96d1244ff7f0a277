import { OrtuneError } from '../errors.ts';

export interface RateFinderOptions {
  /** Rates of the first and the last step, above 0. */
  readonly from: number;
  readonly to: number;
  readonly steps: number;
}

/** fastai's own. */
export const RATE_FINDER_DEFAULTS = { from: 1e-7, to: 10, steps: 100 } as const satisfies RateFinderOptions;

/** Weight of the past in the smoothed loss, and how far above its best the loss may rise; both fastai's. */
const SMOOTHING = 0.98;
const DIVERGED = 4;

export interface RatePoint {
  readonly rate: number;
  /** The step's own, before its update. */
  readonly loss: number;
  /** Mean of the steps so far, each weighing 0.98 of the next. */
  readonly smoothed: number;
}

/** Learning rates that a search suggests. */
export interface RateSuggestion {
  /** Where the smoothed loss falls fastest against the logarithm of the rate. */
  readonly steepest: number;
  /** A tenth of the rate with the lowest smoothed loss. */
  readonly minimumTenth: number;
}

/**
 * The learning-rate range test (Smith, "Cyclical learning rates for training neural networks", WACV 2017) as fastai runs
 * it: the rate grows exponentially from step to step until the loss diverges. It trains nothing itself:
 *
 *     for (const finder = new RateFinder(options); !finder.done; ) finder.add(await lossOfStep(finder.rate));
 */
export class RateFinder {
  readonly #options: RateFinderOptions;
  readonly #points: RatePoint[] = [];
  #sum = 0;
  #weight = 0;
  #best = Number.POSITIVE_INFINITY;
  #diverged = false;

  /** @throws OrtuneError `OPTION` */
  constructor(options: RateFinderOptions = RATE_FINDER_DEFAULTS) {
    const { from, to, steps } = options;
    if (!(from > 0 && to > from && to < Number.POSITIVE_INFINITY)) {
      throw new OrtuneError('OPTION', `expected rates that grow from above 0, received ${from} to ${to}`);
    }
    if (!Number.isSafeInteger(steps) || steps < 2) {
      throw new OrtuneError('OPTION', `steps: expected a whole number from 2 up, received ${steps}`);
    }
    this.#options = options;
  }

  /** The rate of the step to come. */
  get rate(): number {
    const { from, to, steps } = this.#options;
    return from * (to / from) ** (this.#points.length / (steps - 1));
  }

  /** All steps are through, or the loss diverged. */
  get done(): boolean {
    return this.#diverged || this.#points.length === this.#options.steps;
  }

  /** Whether the loss rose to four times its best, or was no number any more: that step is not among the points. */
  get diverged(): boolean {
    return this.#diverged;
  }

  get points(): readonly RatePoint[] {
    return this.#points;
  }

  /** Takes in the loss of the step at {@link rate}. */
  add(loss: number): void {
    this.#sum = SMOOTHING * this.#sum + (1 - SMOOTHING) * loss;
    this.#weight = SMOOTHING * this.#weight + (1 - SMOOTHING);
    const smoothed = this.#sum / this.#weight;
    if (!Number.isFinite(loss) || smoothed > DIVERGED * this.#best) {
      this.#diverged = true;
      return;
    }
    this.#best = Math.min(this.#best, smoothed);
    this.#points.push({ rate: this.rate, loss, smoothed });
  }
}

/**
 * Rates to train with, from a range test.
 *
 * @returns `undefined` when the loss never fell
 */
export function suggestRate(points: readonly RatePoint[]): RateSuggestion | undefined {
  let lowest = 0;
  for (const [index, { smoothed }] of points.entries()) {
    if (smoothed < points[lowest]!.smoothed) lowest = index;
  }
  if (lowest === 0) return undefined;
  let steepest = 1;
  // Beyond the minimum there is nothing to look for.
  for (let index = 1; index <= lowest; index++) {
    if (slope(points, index) < slope(points, steepest)) steepest = index;
  }
  return { steepest: points[steepest]!.rate, minimumTenth: points[lowest]!.rate / 10 };
}

/** Change of the smoothed loss per power of ten up to point `index`, over the two steps around it where there are two. */
function slope(points: readonly RatePoint[], index: number): number {
  const before = points[index - 1] as RatePoint;
  const after = points[Math.min(index + 1, points.length - 1)] as RatePoint;
  return (after.smoothed - before.smoothed) / Math.log10(after.rate / before.rate);
}
