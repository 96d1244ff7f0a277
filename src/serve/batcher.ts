import type { Classifier, ClassifierOutput } from '../inference/index.ts';

interface Waiting {
  readonly pixels: Uint8Array;
  readonly maps: boolean;
  readonly signal: AbortSignal;
  resolve(output: ClassifierOutput): void;
  reject(reason: unknown): void;
}

/** Told of each batch that was computed. */
export type OnBatch = (pictures: number, seconds: number) => void;

/**
 * Computes pictures of several requests together. Nothing waits for company: while the model computes, what comes in
 * gathers, and goes as the next batch. So a lone request has no delay, and batches grow with the load.
 */
export class Batcher {
  readonly #classifier: Classifier;
  readonly #most: number;
  readonly #onBatch: OnBatch;
  #waiting: Waiting[] = [];
  #running = false;

  constructor(classifier: Classifier, most: number, onBatch: OnBatch) {
    this.#classifier = classifier;
    this.#most = most;
    this.#onBatch = onBatch;
  }

  /** Pictures that wait for the model. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * The model's output for one picture.
   *
   * @param pixels RGB, uint8 [side, side, 3]
   * @param signal takes the picture back while it waits; rejects with its reason
   */
  infer(pixels: Uint8Array, maps: boolean, signal: AbortSignal): Promise<ClassifierOutput> {
    return new Promise((resolve, reject) => {
      const withdraw = () => {
        this.#waiting = this.#waiting.filter((one) => one !== waiting);
        reject(signal.reason);
      };
      const settled =
        <T>(settle: (value: T) => void) =>
        (value: T) => {
          signal.removeEventListener('abort', withdraw);
          settle(value);
        };
      const waiting: Waiting = { pixels, maps, signal, resolve: settled(resolve), reject: settled(reject) };
      if (signal.aborted) return reject(signal.reason);
      signal.addEventListener('abort', withdraw, { once: true });
      this.#waiting.push(waiting);
      if (!this.#running) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#running = true;
    // One turn of the event loop: pictures of one request, or whose decoding ended together, go together.
    await new Promise(setImmediate);
    while (this.#waiting.length > 0) await this.#runBatch(this.#waiting.splice(0, this.#most));
    this.#running = false;
  }

  async #runBatch(batch: readonly Waiting[]): Promise<void> {
    const started = performance.now();
    try {
      const images = Buffer.concat(batch.map(({ pixels }) => pixels));
      const maps = batch.some((one) => one.maps);
      const output = await this.#classifier.infer(images, batch.length, { maps });
      this.#onBatch(batch.length, (performance.now() - started) / 1000);
      for (const [index, one] of batch.entries()) one.resolve(share(output, index, batch.length, one.maps));
    } catch (error) {
      for (const one of batch) one.reject(error);
    }
  }
}

/** One picture's part of what was computed for a batch. */
function share(output: ClassifierOutput, index: number, size: number, withMaps: boolean): ClassifierOutput {
  const part = (all: Float32Array) => all.slice((index * all.length) / size, ((index + 1) * all.length) / size);
  const { probabilities, maps } = output;
  return { probabilities: part(probabilities), ...(withMaps && maps && { maps: part(maps) }) };
}
