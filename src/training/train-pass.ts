import { LOGITS, LOSS } from '../../onnx/index.ts';
import { OrtuneError } from '../errors.ts';
import { averageDecay, type Schedule, schedule } from '../schedules/index.ts';
import type { BatchSource, FeedBatch } from './batch-source.ts';
import type { StepRecord } from './events.ts';
import { requireFinite, strayError } from './finite.ts';
import { countCorrect } from './metrics.ts';
import type { PassRecord, PassState } from './pass-state.ts';
import type { PassOptions } from './passes.ts';
import type { Training } from './session.ts';

/** The learning rate and the averages' share, from update to update. */
export class Updates {
  readonly #stepper: Training['stepper'];
  readonly #options: PassOptions;
  readonly #schedule: Schedule;
  readonly #total: number;
  /** What the learning rate is divided by. */
  readonly #divisor: number;
  #done: number;
  /** Of the update in progress, or the last one. */
  learningRate: number;
  /** Whether batches of an update have been trained on that is not made yet. */
  open = false;

  /**
   * @param from where training goes on
   * @param rollbacks returns to earlier states, each of which takes the rate to a tenth
   */
  constructor(
    { stepper }: Training,
    { trainSize, batchSize }: BatchSource,
    options: PassOptions,
    from?: Pick<PassRecord, 'updates' | 'learningRate'>,
    rollbacks = 0,
  ) {
    this.#done = from?.updates ?? 0;
    this.learningRate = from?.learningRate ?? 0;
    this.#stepper = stepper;
    this.#options = options;
    this.#schedule = schedule(options.schedule);
    this.#divisor = 10 ** rollbacks;
    this.#total = options.passes * Math.ceil(trainSize / (batchSize * options.accumulate));
  }

  /** Before an update's first batch. */
  async begin(): Promise<void> {
    const { learningRate, requests, ema } = this.#options;
    const peak = (requests.learningRate ?? learningRate) / this.#divisor;
    this.learningRate = peak * this.#schedule(this.#done, this.#total);
    await this.#stepper.setLearningRate(this.learningRate);
    if (ema) this.#stepper.setAverageShare(1 - averageDecay(this.#done, ema));
    this.#done++;
  }

  /** Updates that the present parameters have had. */
  get made(): number {
    return this.#done - Number(this.open);
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

/**
 * Trains the rest of a pass.
 *
 * @throws OrtuneError `COST_NOT_FINITE`, `LOSS_SCALE`; the signal's reason
 */
export async function trainPass(
  training: Training,
  source: BatchSource,
  state: PassState,
  { updates, steps, betweenUpdates }: PassParts,
  { accumulate, weightOf = () => 1, requests, emit, signal }: PassOptions,
) {
  const { pass, cost, accuracy } = state;
  const { stepper } = training;
  const place = (step: number, batch: number) =>
    `pass ${pass}, batch ${batch} (step ${step}, learning rate ${Number(updates.learningRate.toPrecision(6))})`;
  for await (const update of grouped(source.train(pass, state.batches), accumulate)) {
    signal?.throwIfAborted();
    await updates.begin();
    updates.open = true;
    const weights = update.map(({ labels }) => labels.reduce((sum, label) => sum + weightOf(Number(label)), 0));
    const whole = weights.reduce((sum, weight) => sum + weight, 0);
    for (const [part, { feeds, labels, size, pictures, waitMs }] of update.entries()) {
      state.waitedMs += waitMs;
      const weight = weights[part] as number;
      // A batch without any weight has no mean; its update may have some.
      const share = whole > 0 ? weight / whole : 1 / update.length;
      const step = stepper.step({ ...feeds }, { share, last: part === update.length - 1 });
      const { outputs, skipped } = await step.catch((error: unknown) => {
        throw placed(error, place(steps.length, state.batches));
      });
      const loss = outputs[LOSS]?.data[0] as number;
      requireFinite(loss, place(steps.length, state.batches), pictures);
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
    const stray = await training.findStray('last');
    if (stray) {
      const named = update.flatMap(({ pictures }) => pictures);
      throw strayError(`after ${place(steps.length - 1, state.batches - 1)}`, stray, named);
    }
    await betweenUpdates(false);
    if (requests.stopping) break;
  }
  const took = state.trainedMs;
  const dataWait = state.waitedMs / took;
  const picturesPerSecond = (1000 * state.done) / took;
  emit({ type: 'pass', pass, cost: cost.value, accuracy: accuracy.value, picturesPerSecond, dataWait });
  return { learningRate: updates.learningRate, trainCost: cost.value, trainAccuracy: accuracy.value, dataWait };
}

/** The loss scale knows of no batches. */
function placed(error: unknown, where: string): unknown {
  if (!(error instanceof OrtuneError && error.code === 'LOSS_SCALE')) return error;
  return new OrtuneError(error.code, `${where}: ${error.message}`, { cause: error });
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
