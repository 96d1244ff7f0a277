import cliProgress from 'cli-progress';
import type { TrainingEvent } from '../training/index.ts';
import { jsonLine } from './json-lines.ts';
import { type LineOptions, linesOf, percent } from './lines.ts';
import { duration, StageProgress } from './stage-progress.ts';

const TASKS = {
  archive: 'Reading the archive',
  calibrate: 'Taking ranges',
  check: 'Checking pictures',
  download: 'Fetching',
  duplicates: 'Comparing pictures',
  features: 'Computing features',
  rates: 'Trying rates',
  train: 'Training',
  test: 'Testing',
} as const;

export interface TerminalOptions extends LineOptions {
  /** `json`: every event as a line of JSON; `quiet`: nothing. */
  readonly output?: 'text' | 'json' | 'quiet';
}

/**
 * Shows a run. Lines go to standard output: the tutorial's own for batches and tests, or, on a terminal, one for each pass.
 * A terminal on standard error has a bar: for a stage that trains over all its passes, with the figures of the moment.
 */
export class TerminalReport {
  readonly #options: TerminalOptions;
  readonly #bars: cliProgress.MultiBar | undefined;
  #bar: cliProgress.SingleBar | undefined;
  #task = '';
  /** Where the task stood when it was first heard of, and when that was. */
  #first = { done: 0, time: 0 };
  #stage: StageProgress | undefined;
  /** A pass whose line waits for its test. */
  #pass: { readonly text: string; readonly speed: string; readonly began: number } | undefined;
  #passBegan = performance.now();

  constructor(options: TerminalOptions = {}) {
    this.#options = options;
    if (!process.stderr.isTTY || (options.output ?? 'text') !== 'text') return;
    this.#bars = new cliProgress.MultiBar(
      {
        format: '{task} {bar} {figures} | {left} left',
        // With the words and figures around it within 80 columns.
        barsize: 10,
        clearOnComplete: true,
        // Lines are written where the bar was.
        forceRedraw: true,
        // Would take SIGTERM for itself and leave the program running.
        gracefulExit: false,
        stream: process.stderr,
      },
      cliProgress.Presets.shades_classic,
    );
  }

  readonly handle = (event: TrainingEvent): void => {
    const { output = 'text' } = this.#options;
    if (output === 'quiet') return;
    if (output === 'json') {
      process.stdout.write(jsonLine(event));
      return;
    }
    this.#follow(event);
    if (process.stdout.isTTY && this.#stage && this.#tellPass(event)) return;
    if (event.type === 'saved' || event.type === 'phase') this.close();
    for (const line of linesOf(event, this.#options)) this.line(line);
  };

  line(text: string): void {
    // A line written past the bars would be torn apart by their next redraw.
    if (!this.#bar || !process.stdout.isTTY) {
      process.stdout.write(`${text}\n`);
      return;
    }
    // What is wider than the terminal would be cut off.
    const width = process.stderr.columns ?? 80;
    for (let start = 0; start === 0 || start < text.length; start += width) {
      this.#bars?.log(`${text.slice(start, start + width)}\n`);
    }
  }

  /** Removes the bar; call it when a run ends, however it does. */
  close(): void {
    this.#endPass();
    // Lines wait for the next redraw; stopping alone would lose them.
    if (this.#bar) this.#bars?.update();
    this.#bars?.stop();
    this.#bar = undefined;
    this.#task = '';
    this.#stage = undefined;
  }

  #follow(event: TrainingEvent): void {
    if (event.type === 'start') {
      this.#stage = new StageProgress(event);
      this.#passBegan = performance.now();
    }
    if (event.type === 'batch' || event.type === 'pass' || event.type === 'test') this.#stage?.add(event);
    if (event.type === 'progress') this.#progress(event);
  }

  #progress(event: Extract<TrainingEvent, { type: 'progress' }>): void {
    const { task, pass, done, total } = event;
    if (task === 'train') this.#stage?.add(event);
    if (!this.#bars) return;
    if (task === 'train' && this.#stage) {
      const { text, left } = this.#stage.figures();
      this.#show('stage', `Pass ${this.#stage.pass}`, this.#stage, { figures: text, left });
      return;
    }
    const name = pass === undefined ? TASKS[task] : `${TASKS[task]}, pass ${pass + 1}`;
    if (this.#task !== name) this.#first = { done, time: performance.now() };
    const elapsed = performance.now() - this.#first.time;
    const perMs = elapsed > 0 ? (done - this.#first.done) / elapsed : 0;
    const unit = task === 'rates' ? 'steps/s' : task === 'archive' || task === 'download' ? 'B/s' : 'img/s';
    this.#show(
      name,
      name,
      { done, total },
      {
        figures: `${done}/${total} | ${perMs > 0 ? `${(1000 * perMs).toFixed(0)} ${unit}` : '-'}`,
        left: perMs > 0 ? duration((total - done) / perMs) : '-',
      },
    );
  }

  /** One bar at a time: a task's own takes the place of the one before. */
  #show(key: string, task: string, { done, total }: { done: number; total: number }, figures: object): void {
    if (key === this.#task) {
      this.#bar?.update(done, { task, ...figures });
      return;
    }
    if (this.#bar) this.#bars?.remove(this.#bar);
    this.#bar = this.#bars?.create(total, done, { task, ...figures });
    this.#task = key;
  }

  /** @returns whether the event is told by the line of its pass */
  #tellPass(event: TrainingEvent): boolean {
    if (event.type === 'batch') {
      this.#endPass();
      return true;
    }
    if (event.type === 'pass') {
      const { pass, cost, accuracy, picturesPerSecond } = event;
      const text = `Pass ${pass + 1}: cost ${cost.toFixed(4)}, ${percent(accuracy)}`;
      this.#pass = { text, speed: `${picturesPerSecond.toFixed(1)} img/s`, began: this.#passBegan };
      return true;
    }
    if (event.type !== 'test' || !this.#pass) return false;
    const name = event.part === 'test' ? 'test' : 'validation';
    const text = `${this.#pass.text}; ${name} cost ${event.cost.toFixed(4)}, ${percent(event.accuracy)}`;
    this.#pass = { ...this.#pass, text };
    this.#endPass();
    return true;
  }

  #endPass(): void {
    if (!this.#pass) return;
    const { text, speed, began } = this.#pass;
    this.#pass = undefined;
    const now = performance.now();
    this.#passBegan = now;
    this.line(`${text}; ${speed}; ${duration(now - began)}`);
  }
}
