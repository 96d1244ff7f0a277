import { join } from 'node:path';
import type { Dataset } from '../data/index.ts';
import { OrtuneError } from '../errors.ts';
import type { TrainingEvent } from '../training/index.ts';
import { EventFile } from './event-file.ts';
import { bucketsOf } from './histogram.ts';
import { type Augmentation, augmentedPictures, furthestOff } from './pictures.ts';
import type { ValueMessage } from './proto.ts';
import { histogram, picture, scalar } from './summary.ts';

/** Where the values of trained parameters are to be had while a run trains. */
export interface ParameterSource {
  /** Copies of them as they are between two updates, by name. */
  parameters(): Promise<ReadonlyMap<string, Float32Array>>;
}

/** Writes what happens in runs as TensorBoard's files. */
export interface Recorder {
  /** What happens in a run. Without a source of parameters there are no histograms of them. Never throws. */
  handle(event: TrainingEvent, control?: Partial<ParameterSource>): void;
  /** Writes what is left; call it when a run has ended, however it did. @throws OrtuneError `OUTPUT` and what else went wrong */
  close(): Promise<void>;
}

/**
 * Records runs as TensorBoard shows them: in a folder for each stage, named by when it began, below `folder`.
 *
 * Scalars at each step: `loss/train`, `accuracy/train`, `learning_rate`; after each pass: `loss/train_pass`, `loss/test` (or
 * `loss/valid`), the same of `accuracy`, `speed/pictures_per_second`, `speed/data_wait` (share of the time). Histograms
 * after each pass: `parameters/<name>`. Pictures: `pictures/augmented` at the start, `pictures/furthest_off` at the end.
 */
export function tensorBoardRecorder(folder: string): Recorder {
  let stage: StageRecord | undefined;
  let dataset: Dataset | undefined;
  const ended: Promise<void>[] = [];
  const end = () => {
    const closing = stage?.close();
    stage = undefined;
    if (!closing) return;
    // `close` tells of its error; until then nobody listens, which Node would take for a defect.
    closing.catch(() => {});
    ended.push(closing);
  };
  return {
    handle(event, control = {}) {
      if (event.type === 'dataset') dataset = event.dataset;
      if (event.type === 'start') {
        end();
        stage = new StageRecord(join(folder, `${stamp(new Date())}-${event.stage}`));
        if (dataset) stage.showAugmented(dataset, event);
      }
      stage?.record(event, control);
      if (event.type !== 'saved') return;
      if (dataset) stage?.showFurthestOff(dataset, event.folder);
      end();
    },
    async close() {
      end();
      await Promise.all(ended);
    },
  };
}

/** Local time, so that folders stand in the order of their beginnings: `2026-11-28-14-05-09`. */
const stamp = (time: Date) => time.toLocaleString('sv-SE').replace(/\D/g, '-');

/** What is recorded of one stage. */
class StageRecord {
  readonly #file: Promise<EventFile>;
  /** Histograms and pictures under way, one after the other. */
  #work: Promise<void> = Promise.resolve();
  #failed: unknown;
  /** Of the last training step. */
  #step = 0;

  constructor(folder: string) {
    this.#file = EventFile.open(folder);
    this.#file.catch(() => {});
  }

  record(event: TrainingEvent, control: Partial<ParameterSource>): void {
    switch (event.type) {
      case 'batch':
        this.#step = event.step;
        this.#append([
          scalar('loss/train', event.cost),
          scalar('accuracy/train', event.accuracy),
          scalar('learning_rate', event.learningRate),
        ]);
        break;
      case 'pass':
        this.#append([
          scalar('loss/train_pass', event.cost),
          scalar('accuracy/train_pass', event.accuracy),
          scalar('speed/pictures_per_second', event.picturesPerSecond),
          scalar('speed/data_wait', event.dataWait),
        ]);
        if (control.parameters) this.#showParameters(control.parameters());
        break;
      case 'test':
        this.#append([scalar(`loss/${event.part}`, event.cost), scalar(`accuracy/${event.part}`, event.accuracy)]);
        break;
    }
  }

  showAugmented(dataset: Dataset, options: Augmentation): void {
    this.#later(0, async () => {
      const shown = await augmentedPictures(dataset, options);
      return shown ? [picture('pictures/augmented', shown)] : [];
    });
  }

  showFurthestOff(dataset: Dataset, folder: string): void {
    this.#later(this.#step, async () => {
      const shown = await furthestOff(dataset, folder);
      return shown ? [picture('pictures/furthest_off', shown)] : [];
    });
  }

  /** @throws OrtuneError `OUTPUT` and what else went wrong */
  async close(): Promise<void> {
    await this.#work;
    await (await this.#file).close();
    if (this.#failed !== undefined) throw this.#failed;
  }

  #showParameters(parameters: ReturnType<ParameterSource['parameters']>): void {
    // It may be refused before its turn to be looked at comes.
    parameters.catch(() => {});
    this.#later(this.#step, async () => {
      const shown: ValueMessage[] = [];
      for (const [name, values] of await parameters)
        shown.push(histogram(`parameters/${name}`, await bucketsOf(values)));
      return shown;
    });
  }

  #append(values: readonly ValueMessage[], step = this.#step): void {
    this.#file.then(
      (file) => file.append(step, values),
      // `close` tells of it.
      () => {},
    );
  }

  #later(step: number, make: () => Promise<readonly ValueMessage[]>): void {
    this.#work = this.#work.then(async () => {
      try {
        const values = await make();
        if (values.length > 0) this.#append(values, step);
      } catch (error) {
        // A run that ends, however it does, has no more parameters to give.
        if (!(error instanceof OrtuneError && error.code === 'RUN_ENDED')) this.#failed ??= error;
      }
    });
  }
}
