import { join } from 'node:path';
import cliProgress from 'cli-progress';
import type { TrainingEvent } from '../training/index.ts';
import { formatReport } from '../weights/index.ts';

const TASKS = {
  archive: 'Reading the archive',
  check: 'Checking pictures',
  features: 'Computing features',
  rates: 'Trying rates',
  train: 'Training',
  test: 'Testing',
} as const;

/** The tutorial prints every hundredth batch, the first included. */
const BATCHES_PER_LINE = 100;

export interface TerminalOptions {
  /** Names of weights too, not only their counts. */
  readonly verbose?: boolean;
  /** Tells of each weight that was loaded, from here, as the tutorial does, instead of counting them. */
  readonly loadedFrom?: string | undefined;
}

/**
 * Shows a run: lines on standard output (the tutorial's own for batches and tests), and on a terminal a bar with
 * pictures per second and the time left on standard error.
 */
export class TerminalReport {
  readonly #verbose: boolean;
  readonly #loadedFrom: string | undefined;
  readonly #bars: cliProgress.MultiBar | undefined;
  #bar: cliProgress.SingleBar | undefined;
  #task = '';
  /** Where the task stood when it was first heard of, and when that was. */
  #first = { done: 0, time: 0 };

  constructor({ verbose = false, loadedFrom }: TerminalOptions = {}) {
    this.#verbose = verbose;
    this.#loadedFrom = loadedFrom;
    if (!process.stderr.isTTY) return;
    const format = '{task} {bar} {value}/{total} | {rate} img/s | {eta_formatted} left';
    this.#bars = new cliProgress.MultiBar(
      {
        format,
        // With the words and figures around it within 80 columns.
        barsize: 20,
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
    switch (event.type) {
      case 'dataset': {
        const { kind, split, classes, train, test, warnings } = event.dataset;
        this.line(
          `Data: ${kind}, split ${split}: ${classes.length} classes, ${train.length} to train, ${test.length} to test`,
        );
        for (const warning of warnings) this.line(`Note: ${warning}`);
        break;
      }
      case 'note':
        this.line(`Note: ${event.text}`);
        break;
      case 'bad-images':
        for (const { file, reason } of event.images) this.line(`Left out: ${file}: ${reason}`);
        this.line(`${event.images.length} broken pictures left out`);
        break;
      case 'weights':
        if (this.#loadedFrom === undefined) this.line(formatReport(event.report, { verbose: this.#verbose }));
        else for (const name of event.report.loaded) this.line(`Load model: ${join(this.#loadedFrom, name)}`);
        break;
      case 'device':
        this.line(`Device: ${event.device}, ${event.threads} threads${kernelsOf(event)} (${event.reason})`);
        break;
      case 'progress':
        this.#progress(event);
        break;
      case 'batch':
        if (event.batch % BATCHES_PER_LINE === 0) {
          this.line(`Pass:${event.pass}, Batch:${event.batch}, ${costAndAccuracy(event)}`);
        }
        break;
      case 'pass':
        this.line(
          `Pass:${event.pass}: ${event.picturesPerSecond.toFixed(1)} img/s, ${(100 * event.dataWait).toFixed(1)} % waiting for pictures`,
        );
        break;
      case 'overflow':
        this.line(`Pass:${event.pass}, Batch:${event.batch}: gradients overflowed, update left out`);
        break;
      case 'test': {
        const name = event.part === 'test' ? 'Test' : 'Valid';
        this.line(`${name}:${event.pass}, ${costAndAccuracy(event.batchMean ?? event)}`);
        if (event.batchMean)
          this.line(`${name}:${event.pass}, each picture counting the same: ${costAndAccuracy(event)}`);
        break;
      }
      case 'head-fit':
        this.line(
          `Head ${event.tried}, regularisation ${event.regularisation.toPrecision(3)}, on pictures held out: ${costAndAccuracy(event)}`,
        );
        break;
      case 'stopped':
        this.line(`Stopped after pass ${event.pass}: none was better than pass ${event.best}`);
        break;
      case 'saved':
        this.close();
        this.line(`Saved: ${event.folder} (${event.seconds.toFixed(1)} s)`);
        break;
    }
  };

  line(text: string): void {
    // A line written past the bars would be torn apart by their next redraw.
    if (this.#bar && process.stdout.isTTY) this.#bars?.log(`${text}\n`);
    else process.stdout.write(`${text}\n`);
  }

  /** Removes the bar; call it when a run ends, however it does. */
  close(): void {
    // Lines wait for the next redraw; stopping alone would lose them.
    if (this.#bar) this.#bars?.update();
    this.#bars?.stop();
    this.#bar = undefined;
    this.#task = '';
  }

  #progress({ task, pass, done, total }: Extract<TrainingEvent, { type: 'progress' }>): void {
    if (!this.#bars) return;
    const name = pass === undefined ? TASKS[task] : `${TASKS[task]}, pass ${pass}`;
    if (name !== this.#task) {
      if (this.#bar) this.#bars.remove(this.#bar);
      this.#bar = this.#bars.create(total, done, { task: name, rate: '-' });
      this.#task = name;
      this.#first = { done, time: performance.now() };
      return;
    }
    const seconds = (performance.now() - this.#first.time) / 1000;
    if (seconds > 0) this.#bar?.update(done, { rate: ((done - this.#first.done) / seconds).toFixed(0) });
  }
}

const costAndAccuracy = ({ cost, accuracy }: { cost: number; accuracy: number }) =>
  `Cost:${cost.toFixed(5)}, Accuracy:${accuracy.toFixed(5)}`;

/** What trains beside ONNX Runtime's own kernels. */
function kernelsOf({ kernels, layers }: TrainingEvent & { type: 'device' }): string {
  const updates = kernels === 'native' ? ', native updates' : '';
  return layers ? `${updates}, convolutions by oneDNN ${layers.version} (${layers.instructionSet})` : updates;
}
