import type { ServerResponse } from 'node:http';

/** Who may look at once. */
const MOST = 32;

/**
 * Browsers that look at the page, each by a stream of server-sent events. One that does not keep up misses frames: it is
 * sent nothing while something waits for it, and then what there is last.
 */
export class Viewers {
  readonly #viewers = new Set<{ readonly response: ServerResponse; shown: string }>();
  readonly #frame: () => string;
  #timer: NodeJS.Timeout | undefined;

  /** @param frame makes what is to be shown, as JSON; called only while somebody looks */
  constructor(frame: () => string) {
    this.#frame = frame;
  }

  get full(): boolean {
    return this.#viewers.size >= MOST;
  }

  /** @param interval of frames in milliseconds */
  add(response: ServerResponse, interval: number): void {
    const viewer = { response, shown: '' };
    this.#viewers.add(viewer);
    response.on('close', () => {
      this.#viewers.delete(viewer);
      if (this.#viewers.size === 0) this.#rest();
    });
    this.#timer ??= setInterval(() => this.#show(), interval).unref();
    this.#show();
  }

  /** Shows the last frame and says that no other will come. */
  end(): void {
    this.#show();
    for (const { response } of this.#viewers) response.end('event: end\ndata:\n\n');
    this.#rest();
  }

  #rest(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #show(): void {
    if (this.#viewers.size === 0) return;
    const frame = this.#frame();
    for (const viewer of this.#viewers) {
      if (viewer.shown === frame || viewer.response.writableLength > 0) continue;
      viewer.response.write(`data: ${frame}\n\n`);
      viewer.shown = frame;
    }
  }
}
