import { LOGITS, LOSS } from '../../onnx/index.ts';
import { Evaluation, type EvaluationResult } from '../metrics/index.ts';
import type { Tensors } from '../runtime/index.ts';
import type { BatchSource, FeedBatch, TestPart } from './batch-source.ts';
import type { Emit } from './events.ts';
import { requireFinite } from './finite.ts';
import { countCorrect } from './metrics.ts';
import type { Training } from './session.ts';

/** Means over the batches of a test, however small the last: what the PaddlePaddle tutorial prints. */
export interface BatchMean {
  readonly cost: number;
  readonly accuracy: number;
}

export interface TestResult {
  readonly evaluation: EvaluationResult;
  readonly batchMean: BatchMean;
}

export interface TestOptions {
  readonly part: TestPart;
  /** Class names by label. */
  readonly classes: readonly string[];
  readonly emit: Emit;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Tests what has been trained so far, every picture counting the same.
 *
 * @throws OrtuneError `COST_NOT_FINITE`; the signal's reason when it is aborted
 */
export async function testPass(
  { session }: Pick<Training, 'session'>,
  source: BatchSource,
  pass: number,
  { part, classes, emit, signal }: TestOptions,
): Promise<TestResult> {
  const evaluation = new Evaluation(classes);
  const sums = { cost: 0, accuracy: 0, batches: 0 };
  let done = 0;
  for await (const batch of source.test(part)) {
    signal?.throwIfAborted();
    const { feeds, mirrored, labels, size, pictures } = batch;
    const outputs = await session.evalStep({ ...feeds });
    const loss = outputs[LOSS]?.data[0] as number;
    // The last step of a pass may have spoilt the parameters: no training step is left to show it.
    requireFinite(loss, `test after pass ${pass}`, pictures);
    sums.cost += loss;
    sums.accuracy += countCorrect(outputs[LOGITS]?.data as Float32Array, labels) / size;
    sums.batches++;
    evaluation.add(scores(batch, outputs, mirrored && (await session.evalStep({ ...mirrored }))));
    done += size;
    emit({ type: 'progress', task: 'test', pass, done, total: source.testSizes[part] });
  }
  return {
    evaluation: evaluation.result(),
    batchMean: { cost: sums.cost / sums.batches, accuracy: sums.accuracy / sums.batches },
  };
}

/** What the pictures got: logits, or the mean of the probabilities of a picture and its mirror image. */
function scores({ labels, size, pictures }: FeedBatch, outputs: Tensors, mirrored: Tensors | undefined) {
  const logits = outputs[LOGITS]?.data as Float32Array;
  const classes = logits.length / labels.length;
  const rows = logits.subarray(0, size * classes);
  const common = { labels: labels.subarray(0, size), pictures };
  if (!mirrored) return { ...common, scores: rows, kind: 'logits' } as const;
  const [one, other] = [softmax(rows, classes), softmax(mirrored[LOGITS]?.data as Float32Array, classes)];
  return { ...common, scores: one.map((value, index) => (value + other[index]!) / 2), kind: 'probabilities' } as const;
}

function softmax(logits: Float32Array, classes: number): Float32Array {
  const probabilities = new Float32Array(logits.length);
  for (let start = 0; start < logits.length; start += classes) {
    const row = logits.subarray(start, start + classes);
    const top = row.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
    const exponentials = Float64Array.from(row, (value) => Math.exp(value - top));
    const sum = exponentials.reduce((total, value) => total + value, 0);
    for (const [index, value] of exponentials.entries()) probabilities[start + index] = value / sum;
  }
  return probabilities;
}
