import { FEATURES, IMAGE, NO_LABEL } from '../../onnx/index.ts';
import { type BatchOptions, batches, type Dataset, pictureCount, type Sample } from '../data/index.ts';
import { Random } from '../random.ts';
import type { Tensor } from '../runtime/index.ts';
import type { Backbone } from './backbone.ts';
import { type BatchShapeOptions, testBatches, trainingBatches } from './batch-shape.ts';
import type { Emit } from './events.ts';
import { type BatchSource, type FeedBatch, labelTensor } from './passes.ts';

/** What a frozen backbone makes of a list of pictures: float32 [samples.length, width], and their labels. */
interface FeatureTable {
  readonly values: Float32Array;
  readonly width: number;
  readonly labels: BigInt64Array;
}

/** Pictures that the backbone takes at a time. */
const BACKBONE_BATCH = 16;

export interface FeatureOptions extends BatchShapeOptions {
  readonly imageSize: number;
  readonly seed: number;
  readonly emit: Emit;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Batches of features. A frozen backbone gives the same features of a picture's centre crop in every pass, so they are
 * computed once; a pass then is a matter of the head alone.
 */
export async function featureSource(
  backbone: Backbone,
  dataset: Dataset,
  options: FeatureOptions,
): Promise<BatchSource> {
  const total = dataset.train.length + dataset.test.length;
  const progress = (done: number) => options.emit({ type: 'progress', task: 'features', done, total });
  const train = await computeFeatures(backbone, dataset.train, options, progress);
  const test = await computeFeatures(backbone, dataset.test, options, (done) => progress(dataset.train.length + done));
  const training = trainingBatches(dataset.train.length, options);
  const testing = testBatches(dataset.test.length, options);
  const ordered = Uint32Array.from(test.labels, (_, index) => index);
  return {
    train: (pass) => {
      const order = new Random(options.seed, 'shuffle', pass).permutation(train.labels.length);
      return select(train, order.subarray(0, pictureCount(order.length, training)), training);
    },
    test: () => select(test, ordered, testing),
    trainSize: pictureCount(train.labels.length, training),
    testSize: test.labels.length,
  };
}

async function computeFeatures(
  backbone: Backbone,
  samples: readonly Sample[],
  { imageSize, seed, constantShape, signal }: FeatureOptions,
  onProgress: (done: number) => void,
): Promise<FeatureTable> {
  const labels = BigInt64Array.from(samples, ({ label }) => BigInt(label));
  const pictures = batches(samples, {
    batchSize: BACKBONE_BATCH,
    // Both splits run through the same model: a short one has as many rows to a batch as the other.
    fillLabel: constantShape ? BigInt(NO_LABEL) : undefined,
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
  for await (const { images, labels: rows, size } of pictures) {
    const dims = [rows.length, imageSize, imageSize, 3];
    const outputs = await backbone.run({ [IMAGE]: { type: 'uint8', dims, data: images } });
    const features = outputs[FEATURES] as Tensor;
    if (done === 0) {
      width = features.dims[1] as number;
      values = new Float32Array(samples.length * width);
    }
    values.set((features.data as Float32Array).subarray(0, size * width), done * width);
    done += size;
    onProgress(done);
  }
  return { values, width, labels };
}

async function* select(
  table: FeatureTable,
  order: Uint32Array,
  { batchSize, fillLabel }: Pick<BatchOptions, 'batchSize' | 'fillLabel'>,
): AsyncGenerator<FeedBatch> {
  const { values, width } = table;
  for (let start = 0; start < order.length; start += batchSize) {
    const rows = order.subarray(start, start + batchSize);
    const count = fillLabel === undefined ? rows.length : batchSize;
    const data = new Float32Array(count * width);
    const labels = new BigInt64Array(count).fill(fillLabel ?? 0n);
    for (const [place, row] of rows.entries()) {
      data.set(values.subarray(row * width, (row + 1) * width), place * width);
      labels[place] = table.labels[row]!;
    }
    const feeds = { [FEATURES]: { type: 'float32', dims: [count, width], data } as const, ...labelTensor(labels) };
    yield { feeds, labels, size: rows.length };
  }
}
