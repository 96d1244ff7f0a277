import { FEATURES, IMAGE } from '../../onnx/index.ts';
import { batches, type Dataset, type Sample } from '../data/index.ts';
import type { InferenceWorker } from '../inference/worker-session.ts';
import { Random } from '../random.ts';
import type { Tensor } from '../runtime/index.ts';
import type { Emit } from './events.ts';
import { type BatchSource, type FeedBatch, labelTensor } from './passes.ts';

/** What a frozen backbone makes of a list of pictures: float32 [samples.length, width], and their labels. */
interface FeatureTable {
  readonly values: Float32Array;
  readonly width: number;
  readonly labels: BigInt64Array;
}

export interface FeatureOptions {
  readonly imageSize: number;
  readonly batchSize: number;
  readonly seed: number;
  readonly emit: Emit;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Batches of features. A frozen backbone gives the same features of a picture's centre crop in every pass, so they are
 * computed once; a pass then is a matter of the head alone.
 */
export async function featureSource(
  backbone: InferenceWorker,
  dataset: Dataset,
  options: FeatureOptions,
): Promise<BatchSource> {
  const total = dataset.train.length + dataset.test.length;
  const progress = (done: number) => options.emit({ type: 'progress', task: 'features', done, total });
  const train = await computeFeatures(backbone, dataset.train, options, progress);
  const test = await computeFeatures(backbone, dataset.test, options, (done) => progress(dataset.train.length + done));
  const { batchSize, seed } = options;
  const ordered = Uint32Array.from(test.labels, (_, index) => index);
  return {
    train: (pass) => select(train, new Random(seed, 'shuffle', pass).permutation(train.labels.length), batchSize),
    test: () => select(test, ordered, batchSize),
    trainSize: train.labels.length,
    testSize: test.labels.length,
  };
}

async function computeFeatures(
  backbone: InferenceWorker,
  samples: readonly Sample[],
  { imageSize, seed, signal }: FeatureOptions,
  onProgress: (done: number) => void,
): Promise<FeatureTable> {
  const labels = BigInt64Array.from(samples, ({ label }) => BigInt(label));
  const pictures = batches(samples, {
    batchSize: 16,
    imageSize,
    seed,
    pass: 0,
    augment: false,
    shuffle: false,
    ...(signal && { signal }),
  });
  let values = new Float32Array();
  let width = 0;
  let done = 0;
  for await (const { images, size } of pictures) {
    const dims = [size, imageSize, imageSize, 3];
    const outputs = await backbone.run({ [IMAGE]: { type: 'uint8', dims, data: images } });
    const features = outputs[FEATURES] as Tensor;
    if (done === 0) {
      width = features.dims[1] as number;
      values = new Float32Array(samples.length * width);
    }
    values.set(features.data as Float32Array, done * width);
    done += size;
    onProgress(done);
  }
  return { values, width, labels };
}

async function* select(table: FeatureTable, order: Uint32Array, batchSize: number): AsyncGenerator<FeedBatch> {
  const { values, width } = table;
  for (let start = 0; start < order.length; start += batchSize) {
    const rows = order.subarray(start, start + batchSize);
    const data = new Float32Array(rows.length * width);
    for (const [place, row] of rows.entries()) data.set(values.subarray(row * width, (row + 1) * width), place * width);
    const labels = BigInt64Array.from(rows, (row) => table.labels[row]!);
    const feeds = {
      [FEATURES]: { type: 'float32', dims: [rows.length, width], data } as const,
      ...labelTensor(labels),
    };
    yield { feeds, labels, size: rows.length };
  }
}
