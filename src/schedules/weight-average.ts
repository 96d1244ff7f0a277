import { OrtuneError } from '../errors.ts';

export interface AverageOptions {
  /** Share of the average that an update keeps, e.g. 0.999: it then spans about the last thousand updates. */
  readonly decay: number;
  /**
   * Whether the decay grows to that, so that the first, poor weights are soon forgotten: after t updates it is at most
   * 1 - (1 + t)^(-2/3), timm's ModelEmaV3 with its own gamma and power.
   */
  readonly warmUp?: boolean;
}

/**
 * The decay of an update.
 *
 * @param update counted from 0: the first one takes the weights as they are, as in PyTorch and timm
 */
export function averageDecay(update: number, { decay, warmUp = false }: AverageOptions): number {
  if (update <= 0) return 0;
  return warmUp ? Math.min(decay, 1 - (1 + update) ** (-2 / 3)) : decay;
}

/**
 * An exponential moving average of weights (Polyak averaging; PyTorch's AveragedModel with an EMA), which often tests
 * better than the weights themselves while the rate is high.
 */
export class WeightAverage {
  readonly #options: AverageOptions;
  readonly #values = new Map<string, Float32Array>();
  #updates = 0;

  /** @throws OrtuneError `OPTION` for a decay outside 0 to 1 */
  constructor(options: AverageOptions) {
    const { decay } = options;
    if (!(decay >= 0 && decay < 1)) {
      throw new OrtuneError('OPTION', `decay: expected a number from 0 up to, but not, 1, received ${decay}`);
    }
    this.#options = options;
  }

  /** Weights averaged so far, by name; empty before the first update. They are the average's own: copy to keep. */
  get values(): ReadonlyMap<string, Float32Array> {
    return this.#values;
  }

  get updates(): number {
    return this.#updates;
  }

  /**
   * Takes the weights after an update in.
   *
   * @param weights always of the same names and lengths
   * @throws Error when they are not
   */
  update(weights: ReadonlyMap<string, Float32Array>): void {
    const decay = averageDecay(this.#updates, this.#options);
    for (const name of this.#values.keys()) {
      if (!weights.has(name)) throw new Error(`${name} was averaged so far, and is missing now`);
    }
    for (const [name, now] of weights) {
      const average = this.#values.get(name);
      if (!average) {
        if (this.#updates > 0) throw new Error(`${name} was not there at the first update`);
        this.#values.set(name, now.slice());
        continue;
      }
      if (average.length !== now.length) {
        throw new Error(`${name} has ${now.length} elements, the average ${average.length}`);
      }
      for (let index = 0; index < average.length; index++) {
        average[index] = decay * average[index]! + (1 - decay) * now[index]!;
      }
    }
    this.#updates++;
  }
}
