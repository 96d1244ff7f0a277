import { busy } from './http-error.ts';

/** Lets so many in at a time; so many more wait, in the order they came; the rest is turned away at once. */
export class Admission {
  readonly #most: number;
  readonly #queue: number;
  readonly #waiting = new Set<() => void>();
  #inside = 0;

  constructor(most: number, queue: number) {
    this.#most = most;
    this.#queue = queue;
  }

  get inside(): number {
    return this.#inside;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * @param signal ends the wait, with its reason
   * @returns gives the place back; to be called once
   * @throws HttpError 503 when the queue is full
   */
  async enter(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#inside < this.#most) this.#inside++;
    else if (this.#waiting.size >= this.#queue) throw busy('too many requests at a time: try again in a moment');
    else await this.#turn(signal);
    return () => this.#leave();
  }

  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const gone = () => {
        this.#waiting.delete(admitted);
        reject(signal.reason);
      };
      const admitted = () => {
        signal.removeEventListener('abort', gone);
        resolve();
      };
      this.#waiting.add(admitted);
      signal.addEventListener('abort', gone, { once: true });
    });
  }

  /** A place is handed on, so that nobody slips in before those who wait. */
  #leave(): void {
    const [next] = this.#waiting;
    if (!next) {
      this.#inside--;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
