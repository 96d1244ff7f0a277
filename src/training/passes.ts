import { LOGITS, LOSS } from '../../onnx/index.ts';
import type { EvaluationResult } from '../metrics/index.ts';
import {
  type AverageOptions,
  advance,
  averageDecay,
  NO_PROGRESS,
  type Schedule,
  type ScheduleOptions,
  schedule,
} from '../schedules/index.ts';
import type { BatchSource, FeedBatch, TestPart } from './batch-source.ts';
import type { Emit, StepRecord } from './events.ts';
import { countCorrect, WeightedMean } from './metrics.ts';
import type { Requests } from './run.ts';
import type { Training } from './session.ts';
import { requireFinite, testPass } from './test-pass.ts';

/** How a stage's passes go, as a user says it. */
export interface PassSettings {
  readonly passes: number;
  /** At the schedule's peak. */
  readonly learningRate: number;
  readonly schedule: ScheduleOptions;
  /** Whether each pass is followed by a test; `end`: only the result is tested. */
  readonly test: boolean | 'end';
  /** The part that passes are tested on and compared by. The result is tested on the test part in any case. */
  readonly watch: TestPart;
  /** `batches` also gives the mean over the test's batches, as the PaddlePaddle tutorial does. */
  readonly testMean: 'pictures' | 'batches';
  /** Which pass the result is: the last, or the one that tested best. */
  readonly keep: 'last' | 'best';
  /** What passes are compared by. */
  readonly metric: 'top1' | 'meanPerClass' | 'cost';
  /** Ends the run after so many passes in a row without a gain. */
  readonly earlyStopping?: { readonly patience: number; readonly minimumGain?: number };
}

export interface PassOptions extends PassSettings {
  /** Batches of one update. */
  readonly accumulate: number;
  /** What a picture of a class counts in the mean of the loss; 1 by default. */
  readonly weightOf?: ((label: number) => number) | undefined;
  /** Running averages of the parameters; the plan must have them too. */
  readonly ema?: AverageOptions | undefined;
  readonly classes: readonly string[];
  /** What the stage's result is made of, as it is now: parameters by name. */
  readonly values: () => Promise<Map<string, Uint8Array>>;
  /** What is asked of the run while it trains. */
  readonly requests: Requests;
  /** Saves what there is after some update, as a result of its own. */
  readonly save: (folder: string, result: PassesResult) => Promise<void>;
  readonly emit: Emit;
  readonly signal?: AbortSignal | undefined;
}

/** One pass's figures, each picture counting the same; those of the test are there where there was one. */
export interface PassResult {
  readonly pass: number;
  /** Of its last update. */
  readonly learningRate: number;
  readonly trainCost: number;
  readonly trainAccuracy: number;
  readonly testCost?: number;
  readonly testAccuracy?: number;
  readonly testTop5?: number;
  readonly testMeanPerClass?: number;
  /** Seconds for training and testing. */
  readonly seconds: number;
  /** Share of the training time that steps had to wait for pictures. */
  readonly dataWait: number;
}

export interface PassesResult {
  readonly history: readonly PassResult[];
  /** Every training step. */
  readonly steps: readonly StepRecord[];
  /** Number of the pass whose values these are. */
  readonly kept: number;
  readonly values: ReadonlyMap<string, Uint8Array>;
  /** Its test, on the part that was watched. */
  readonly evaluation: EvaluationResult | undefined;
}

/**
 * Trains for some passes, testing after each.
 *
 * @throws OrtuneError `COST_NOT_FINITE`, `LOSS_SCALE`; the signal's reason when it is aborted
 */
export async function runPasses(training: Training, source: BatchSource, options: PassOptions): Promise<PassesResult> {
  const { passes, keep, metric, earlyStopping, values, requests, emit, signal } = options;
  const history: PassResult[] = [];
  const steps: StepRecord[] = [];
  const updates = new Updates(training, source, options);
  const rule = { ...earlyStopping, mode: metric === 'cost' ? 'min' : 'max' } as const;
  let progress = NO_PROGRESS;
  let best: Omit<PassesResult, 'history' | 'steps'> | undefined;
  const present = async (evaluation?: EvaluationResult) => ({
    kept: steps.at(-1)?.pass ?? 0,
    values: await values(),
    evaluation,
  });
  const save = async (folder: string) => options.save(folder, { history, steps, ...(await present()) });
  const betweenUpdates = () => requests.settle({ save, values });
  let evaluation: EvaluationResult | undefined;
  for (let pass = 0; pass < passes; pass++) {
    const started = performance.now();
    const trained = await trainPass(training, source, pass, { updates, steps, betweenUpdates }, options);
    evaluation = options.test === true ? await testAndTell(training, source, pass, options.watch, options) : undefined;
    history.push({
      pass,
      ...trained,
      ...(evaluation && figuresOf(evaluation)),
      seconds: (performance.now() - started) / 1000,
    });
    await betweenUpdates();
    const step = evaluation && advance(progress, rule, pass, evaluation[metric] ?? Number.NaN);
    if (step) progress = step.progress;
    if (keep === 'best' && step?.improved) best = { kept: pass, values: await values(), evaluation };
    if (requests.stopping) {
      emit({ type: 'stopped', pass });
      break;
    }
    if (step?.stop && pass + 1 < passes) {
      emit({ type: 'stopped', pass, best: progress.best?.pass ?? pass });
      break;
    }
  }
  signal?.throwIfAborted();
  return { history, steps, ...(best ?? (await present(evaluation))) };
}

/** A test that is told of. */
export async function testAndTell(
  training: Pick<Training, 'session'>,
  source: BatchSource,
  pass: number,
  part: TestPart,
  options: Pick<PassOptions, 'testMean' | 'classes' | 'emit' | 'signal'>,
): Promise<EvaluationResult> {
  const { evaluation, batchMean } = await testPass(training, source, pass, { ...options, part });
  const { cost, top1 } = evaluation;
  options.emit({
    type: 'test',
    pass,
    part,
    cost: cost ?? Number.NaN,
    accuracy: top1 ?? Number.NaN,
    ...(options.testMean === 'batches' && { batchMean }),
  });
  return evaluation;
}

/** An evaluation's figures as a row of the history has them. */
export const figuresOf = ({ cost, top1, top5, meanPerClass }: EvaluationResult) => ({
  ...(cost !== null && { testCost: cost }),
  ...(top1 !== null && { testAccuracy: top1 }),
  ...(top5 !== null && { testTop5: top5 }),
  ...(meanPerClass !== null && { testMeanPerClass: meanPerClass }),
});

/** The learning rate and the averages' share, from update to update. */
class Updates {
  readonly #stepper: Training['stepper'];
  readonly #options: PassOptions;
  readonly #schedule: Schedule;
  readonly #total: number;
  #done = 0;
  /** Of the update in progress. */
  learningRate = 0;

  constructor({ stepper }: Training, { trainSize, batchSize }: BatchSource, options: PassOptions) {
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
}

async function trainPass(
  { stepper }: Training,
  source: BatchSource,
  pass: number,
  { updates, steps, betweenUpdates }: { updates: Updates; steps: StepRecord[]; betweenUpdates: () => Promise<void> },
  { accumulate, weightOf = () => 1, requests, emit, signal }: PassOptions,
) {
  const started = performance.now();
  const cost = new WeightedMean();
  const accuracy = new WeightedMean();
  let batch = 0;
  let done = 0;
  let waited = 0;
  for await (const update of grouped(source.train(pass), accumulate)) {
    await updates.begin();
    const weights = update.map(({ labels }) => labels.reduce((sum, label) => sum + weightOf(Number(label)), 0));
    const whole = weights.reduce((sum, weight) => sum + weight, 0);
    for (const [part, { feeds, labels, size, waitMs }] of update.entries()) {
      signal?.throwIfAborted();
      waited += waitMs;
      const weight = weights[part] as number;
      // A batch without any weight has no mean; its update may have some.
      const share = whole > 0 ? weight / whole : 1 / update.length;
      const { outputs, skipped } = await stepper.step({ ...feeds }, { share, last: part === update.length - 1 });
      const loss = outputs[LOSS]?.data[0] as number;
      requireFinite(loss, `pass ${pass}, batch ${batch}`);
      const right = countCorrect(outputs[LOGITS]?.data as Float32Array, labels) / size;
      cost.add(loss, weight);
      accuracy.add(right, size);
      if (skipped) emit({ type: 'overflow', pass, batch });
      const record = {
        step: steps.length,
        pass,
        batch: batch++,
        learningRate: updates.learningRate,
        cost: loss,
        accuracy: right,
      };
      steps.push(record);
      emit({ type: 'batch', waitMs, ...record });
      done += size;
      emit({ type: 'progress', task: 'train', pass, done, total: source.trainSize });
    }
    await betweenUpdates();
    if (requests.stopping) break;
  }
  const took = performance.now() - started;
  const dataWait = waited / took;
  const picturesPerSecond = (1000 * done) / took;
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
