import { OrtuneError } from '../errors.ts';
import { ADVICE } from './finite.ts';

/** PyTorch's GradScaler has the same numbers. */
const FIRST = 2 ** 16;
const GROWTH = 2;
const BACKOFF = 0.5;
/** Updates without an overflow after which the scale grows. */
const GROWTH_INTERVAL = 2000;
/** At a scale of 1 gradients are as they are. What still overflows then, no scale can help. */
const LEAST = 1;

/**
 * Dynamic loss scale of mixed precision (Micikevicius et al., "Mixed precision training", ICLR 2018): as large as the
 * gradients bear, found by trying. All are powers of two, so that scaling rounds nothing.
 */
export class LossScale {
  #value: number;
  #updates: number;

  constructor(value = FIRST, updates = 0) {
    this.#value = value;
    this.#updates = updates;
  }

  get value(): number {
    return this.#value;
  }

  /** Scale and updates since it changed, of which it can be made again. */
  get parts(): [number, number] {
    return [this.#value, this.#updates];
  }

  /**
   * After each update that was made or, for an overflow, left out.
   * @throws OrtuneError `LOSS_SCALE` when gradients overflow at any scale
   */
  settle(overflowed: boolean): void {
    if (overflowed) {
      if (this.#value <= LEAST) {
        throw new OrtuneError(
          'LOSS_SCALE',
          `expected gradients that fit in half precision, but they overflow even at a loss scale of ${this.#value}. ` +
            `${ADVICE}, or --precision fp32.`,
        );
      }
      this.#value *= BACKOFF;
      this.#updates = 0;
    } else if (++this.#updates === GROWTH_INTERVAL) {
      this.#value *= GROWTH;
      this.#updates = 0;
    }
  }
}
