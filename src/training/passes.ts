import { LABEL, LOGITS, LOSS } from '../../onnx/index.ts';
import { OrtuneError } from '../errors.ts';
import type { Tensor, TrainingSession } from '../runtime/index.ts';
import type { Emit } from './events.ts';
import { countCorrect, PictureMean } from './metrics.ts';

/** A batch as the training graph takes it: `label` int64 [size] among the feeds. */
export interface FeedBatch {
  readonly feeds: Readonly<Record<string, Tensor>>;
  readonly labels: BigInt64Array;
  readonly size: number;
}

/** Where a stage's batches come from. */
export interface BatchSource {
  /** Training batches of a pass, in its own order. */
  train(pass: number): AsyncIterable<FeedBatch>;
  /** The test split, in order. */
  test(): AsyncIterable<FeedBatch>;
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
  readonly emit: Emit;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Trains for some passes, testing after each.
 *
 * @throws OrtuneError `COST_NOT_FINITE`; the signal's reason when it is aborted
 */
export async function runPasses(
  session: TrainingSession,
  source: BatchSource,
  { passes, learningRate, emit, signal }: PassOptions,
): Promise<PassResult[]> {
  const history: PassResult[] = [];
  await session.setLearningRate(learningRate);
  for (let pass = 0; pass < passes; pass++) {
    const started = performance.now();
    const trained = await trainPass(session, source, pass, emit, signal);
    const tested = await testPass(session, source, pass, emit, signal);
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
  session: TrainingSession,
  source: BatchSource,
  pass: number,
  emit: Emit,
  signal?: AbortSignal,
) {
  const cost = new PictureMean();
  const accuracy = new PictureMean();
  let batch = 0;
  let done = 0;
  for await (const { feeds, labels, size } of source.train(pass)) {
    signal?.throwIfAborted();
    const result = figures(await session.trainStep(feeds), labels);
    requireFinite(result.cost, `pass ${pass}, batch ${batch}`);
    await session.optimizerStep();
    await session.lazyResetGrad();
    cost.add(result.cost, size);
    accuracy.add(result.accuracy, size);
    emit({ type: 'batch', pass, batch: batch++, ...result });
    done += size;
    emit({ type: 'progress', task: 'train', pass, done, total: source.trainSize });
  }
  return { cost: cost.value, accuracy: accuracy.value };
}

async function testPass(session: TrainingSession, source: BatchSource, pass: number, emit: Emit, signal?: AbortSignal) {
  const cost = new PictureMean();
  const accuracy = new PictureMean();
  let done = 0;
  for await (const { feeds, labels, size } of source.test()) {
    signal?.throwIfAborted();
    const result = figures(await session.evalStep(feeds), labels);
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

function figures(outputs: Readonly<Record<string, Tensor>>, labels: BigInt64Array) {
  const loss = outputs[LOSS]?.data as Float32Array;
  const logits = outputs[LOGITS]?.data as Float32Array;
  return { cost: loss[0] as number, accuracy: countCorrect(logits, labels) / labels.length };
}

/** The label's tensor. */
export function labelTensor(labels: BigInt64Array): Record<string, Tensor> {
  return { [LABEL]: { type: 'int64', dims: [labels.length], data: labels } };
}
