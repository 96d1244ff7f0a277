import { LABEL, LOGITS, LOSS } from '../../onnx/index.ts';
import { OrtuneError } from '../errors.ts';
import type { Tensor } from '../runtime/index.ts';
import type { Emit } from './events.ts';
import { countCorrect, PictureMean } from './metrics.ts';
import type { Training } from './session.ts';

/** A batch as the training graph takes it: `label` int64 [rows] among the feeds. */
export interface FeedBatch {
  readonly feeds: Readonly<Record<string, Tensor>>;
  /** Of each row; `NO_LABEL` for rows that merely fill a test batch up. */
  readonly labels: BigInt64Array;
  /** Rows that are pictures. */
  readonly size: number;
}

/** Where a stage's batches come from. */
export interface BatchSource {
  /** Training batches of a pass, in its own order. */
  train(pass: number): AsyncIterable<FeedBatch>;
  /** The test split, in order. */
  test(): AsyncIterable<FeedBatch>;
  /** Pictures that come in a pass over the training split. */
  readonly trainSize: number;
  readonly testSize: number;
}

/** One pass's figures, each picture counting the same. */
export interface PassResult {
  readonly pass: number;
  readonly trainCost: number;
  readonly trainAccuracy: number;
  readonly testCost: number;
  readonly testAccuracy: number;
  /** Seconds for training and testing. */
  readonly seconds: number;
}

export interface PassOptions {
  readonly passes: number;
  readonly learningRate: number;
  /** Batches of one update. */
  readonly accumulate: number;
  readonly emit: Emit;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Trains for some passes, testing after each.
 *
 * @throws OrtuneError `COST_NOT_FINITE`; the signal's reason when it is aborted
 */
export async function runPasses(training: Training, source: BatchSource, options: PassOptions): Promise<PassResult[]> {
  const { passes, learningRate, emit, signal } = options;
  const history: PassResult[] = [];
  await training.stepper.setLearningRate(learningRate);
  for (let pass = 0; pass < passes; pass++) {
    const started = performance.now();
    const trained = await trainPass(training, source, pass, options);
    const tested = await testPass(training, source, pass, options);
    emit({ type: 'test', pass, ...tested });
    history.push({
      pass,
      trainCost: trained.cost,
      trainAccuracy: trained.accuracy,
      testCost: tested.cost,
      testAccuracy: tested.accuracy,
      seconds: (performance.now() - started) / 1000,
    });
  }
  signal?.throwIfAborted();
  return history;
}

async function trainPass(
  { stepper }: Training,
  source: BatchSource,
  pass: number,
  { accumulate, emit, signal }: PassOptions,
) {
  const cost = new PictureMean();
  const accuracy = new PictureMean();
  let batch = 0;
  let done = 0;
  /** Pictures of the update in progress: in all, and still to come. */
  let inUpdate = 0;
  let missing = 0;
  for await (const { feeds, labels, size } of source.train(pass)) {
    signal?.throwIfAborted();
    // All batches but a pass's last have one size, so the update's pictures are known at its first batch.
    if (missing === 0) missing = inUpdate = Math.min(accumulate * size, source.trainSize - done);
    missing -= size;
    const { outputs, skipped } = await stepper.step({ ...feeds }, { share: size / inUpdate, last: missing === 0 });
    const result = figures(outputs, labels);
    requireFinite(result.cost, `pass ${pass}, batch ${batch}`);
    cost.add(result.cost, size);
    accuracy.add(result.accuracy, size);
    if (skipped) emit({ type: 'overflow', pass, batch });
    emit({ type: 'batch', pass, batch: batch++, ...result });
    done += size;
    emit({ type: 'progress', task: 'train', pass, done, total: source.trainSize });
  }
  return { cost: cost.value, accuracy: accuracy.value };
}

async function testPass({ session }: Training, source: BatchSource, pass: number, { emit, signal }: PassOptions) {
  const cost = new PictureMean();
  const accuracy = new PictureMean();
  let done = 0;
  for await (const { feeds, labels, size } of source.test()) {
    signal?.throwIfAborted();
    const result = figures(await session.evalStep(feeds), labels, size);
    // The last step of a pass may have spoilt the parameters: no training step is left to show it.
    requireFinite(result.cost, `test after pass ${pass}`);
    cost.add(result.cost, size);
    accuracy.add(result.accuracy, size);
    done += size;
    emit({ type: 'progress', task: 'test', pass, done, total: source.testSize });
  }
  return { cost: cost.value, accuracy: accuracy.value };
}

function requireFinite(cost: number, where: string): void {
  if (Number.isFinite(cost)) return;
  throw new OrtuneError(
    'COST_NOT_FINITE',
    `${where}: expected a finite cost, received ${cost}. Nothing was saved; try a lower --lr.`,
  );
}

function figures(outputs: Readonly<Record<string, Tensor>>, labels: BigInt64Array, size = labels.length) {
  const loss = outputs[LOSS]?.data as Float32Array;
  const logits = outputs[LOGITS]?.data as Float32Array;
  return { cost: loss[0] as number, accuracy: countCorrect(logits, labels) / size };
}

/** The label's tensor. */
export function labelTensor(labels: BigInt64Array): Record<string, Tensor> {
  return { [LABEL]: { type: 'int64', dims: [labels.length], data: labels } };
}
