import { LOGITS, LOSS } from '../../onnx/index.ts';
import { averageDecay, type Schedule, schedule } from '../schedules/index.ts';
import type { BatchSource, FeedBatch } from './batch-source.ts';
import type { StepRecord } from './events.ts';
import { countCorrect } from './metrics.ts';
import type { PassRecord, PassState } from './pass-state.ts';
import type { PassOptions } from './passes.ts';
import type { Training } from './session.ts';
import { requireFinite } from './test-pass.ts';

/** The learning rate and the averages' share, from update to update. */
export class Updates {
  readonly #stepper: Training['stepper'];
  readonly #options: PassOptions;
  readonly #schedule: Schedule;
  readonly #total: number;
  #done: number;
  /** Of the update in progress, or the last one. */
  learningRate: number;
  /** Whether batches of an update have been trained on that is not made yet. */
  open = false;

  /** @param from where training goes on */
  constructor(
    { stepper }: Training,
    { trainSize, batchSize }: BatchSource,
    options: PassOptions,
    from?: Pick<PassRecord, 'updates' | 'learningRate'>,
  ) {
    this.#done = from?.updates ?? 0;
    this.learningRate = from?.learningRate ?? 0;
    this.#stepper = stepper;
    this.#options = options;
    this.#schedule = schedule(options.schedule);
    this.#total = options.passes * Math.ceil(trainSize / (batchSize * options.accumulate));
  }

  /** Before an update's first batch. */
  async begin(): Promise<void> {
    const { learningRate, requests, ema } = this.#options;
    this.learningRate = (requests.learningRate ?? learningRate) * this.#schedule(this.#done, this.#total);
    await this.#stepper.setLearningRate(this.learningRate);
    if (ema) this.#stepper.setAverageShare(1 - averageDecay(this.#done, ema));
    this.#done++;
  }

  record(): Pick<PassRecord, 'updates' | 'learningRate'> {
    return { updates: this.#done, learningRate: this.learningRate };
  }
}

interface PassParts {
  readonly updates: Updates;
  readonly steps: StepRecord[];
  readonly betweenUpdates: (passEnded: boolean) => Promise<void>;
}

/** Trains the rest of a pass. */
export async function trainPass(
  { stepper }: Training,
  source: BatchSource,
  state: PassState,
  { updates, steps, betweenUpdates }: PassParts,
  { accumulate, weightOf = () => 1, requests, emit, signal }: PassOptions,
) {
  const { pass, cost, accuracy } = state;
  for await (const update of grouped(source.train(pass, state.batches), accumulate)) {
    signal?.throwIfAborted();
    await updates.begin();
    updates.open = true;
    const weights = update.map(({ labels }) => labels.reduce((sum, label) => sum + weightOf(Number(label)), 0));
    const whole = weights.reduce((sum, weight) => sum + weight, 0);
    for (const [part, { feeds, labels, size, waitMs }] of update.entries()) {
      state.waitedMs += waitMs;
      const weight = weights[part] as number;
      // A batch without any weight has no mean; its update may have some.
      const share = whole > 0 ? weight / whole : 1 / update.length;
      const { outputs, skipped } = await stepper.step({ ...feeds }, { share, last: part === update.length - 1 });
      const loss = outputs[LOSS]?.data[0] as number;
      requireFinite(loss, `pass ${pass}, batch ${state.batches}`);
      const right = countCorrect(outputs[LOGITS]?.data as Float32Array, labels) / size;
      cost.add(loss, weight);
      accuracy.add(right, size);
      if (skipped) emit({ type: 'overflow', pass, batch: state.batches });
      const record = {
        step: steps.length,
        pass,
        batch: state.batches++,
        learningRate: updates.learningRate,
        cost: loss,
        accuracy: right,
      };
      steps.push(record);
      emit({ type: 'batch', waitMs, ...record });
      state.done += size;
      emit({ type: 'progress', task: 'train', pass, done: state.done, total: source.trainSize });
    }
    updates.open = false;
    await betweenUpdates(false);
    if (requests.stopping) break;
  }
  const took = state.trainedMs;
  const dataWait = state.waitedMs / took;
  const picturesPerSecond = (1000 * state.done) / took;
  emit({ type: 'pass', pass, cost: cost.value, accuracy: accuracy.value, picturesPerSecond, dataWait });
  return { learningRate: updates.learningRate, trainCost: cost.value, trainAccuracy: accuracy.value, dataWait };
}

/** The batches of each update: what a batch counts in it depends on the others. The last of a pass may have fewer. */
async function* grouped(batches: AsyncIterable<FeedBatch>, size: number): AsyncGenerator<FeedBatch[]> {
  let group: FeedBatch[] = [];
  for await (const batch of batches) {
    group.push(batch);
    if (group.length < size) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}
