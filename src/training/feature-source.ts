import { FEATURES, IMAGE, NO_LABEL } from '../../onnx/index.ts';
import {
  type BatchOptions,
  batches,
  type Dataset,
  type ImageTransform,
  mirrorImages,
  nameOf,
  passOrder,
  pictureCount,
  type Sample,
} from '../data/index.ts';
import type { Tensor } from '../runtime/index.ts';
import type { Backbone } from './backbone.ts';
import { type BatchShapeOptions, testBatches, trainingBatches } from './batch-shape.ts';
import {
  type BatchSource,
  type FeedBatch,
  type Feeds,
  labelTensor,
  requireLabels,
  type TestPart,
} from './batch-source.ts';
import type { Emit } from './events.ts';
import { BACKBONE_BATCH } from './memory-estimate.ts';
import { testSizesOf } from './picture-source.ts';

/** What a frozen backbone makes of a list of pictures: float32 [samples.length, width], and their labels. */
export interface FeatureTable {
  readonly values: Float32Array;
  /** The same of their mirror images, where these are wanted. */
  readonly mirrored?: Float32Array;
  readonly width: number;
  readonly labels: BigInt64Array;
  /** Names of the pictures. */
  readonly pictures: readonly string[];
}

export interface FeatureOptions extends BatchShapeOptions {
  /** Sizes that pictures are brought to, those of the backbone's input. */
  readonly testTransform: ImageTransform;
  /** Whether mirror images are computed too, and tested with the pictures themselves. */
  readonly testFlip: boolean;
  readonly seed: number;
  readonly shuffle: boolean;
  /** Part that is tested after each pass, beside the test part in the end. */
  readonly watch: TestPart;
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
): Promise<BatchSource & { readonly trainTable: FeatureTable }> {
  const parts = [...new Set<'train' | TestPart>(['train', options.watch, 'test'])];
  const total = parts.reduce((sum, part) => sum + dataset[part].length, 0);
  const tables = new Map<string, FeatureTable>();
  let before = 0;
  for (const part of parts) {
    const progress = (done: number) => options.emit({ type: 'progress', task: 'features', done: before + done, total });
    const samples = dataset[part];
    const pictures = samples.map((sample) => nameOf(dataset, sample));
    // Of all at once: the head solver takes them as they are.
    const labels = BigInt64Array.from(samples, ({ label }) => BigInt(label));
    requireLabels(labels, pictures, dataset.classes.length);
    tables.set(part, { ...(await computeFeatures(backbone, samples, options, progress)), labels, pictures });
    before += dataset[part].length;
  }
  const train = tables.get('train') as FeatureTable;
  const training = trainingBatches(dataset.train.length, options);
  return {
    train: (pass, first = 0) => {
      const order = passOrder(train.labels.length, { ...options, pass });
      return select(
        { ...train, mirrored: undefined },
        order.subarray(first * training.batchSize, pictureCount(order.length, training)),
        training,
      );
    },
    test(part) {
      const table = tables.get(part);
      if (!table) throw new Error(`the features of the part '${part}' were not computed`);
      const ordered = passOrder(table.labels.length, { shuffle: false, seed: 0, pass: 0 });
      return select(table, ordered, testBatches(ordered.length, options));
    },
    trainSize: pictureCount(train.labels.length, training),
    batchSize: training.batchSize,
    testSizes: testSizesOf(dataset),
    trainTable: train,
  };
}

async function computeFeatures(
  backbone: Backbone,
  samples: readonly Sample[],
  { testTransform, testFlip, seed, constantShape, signal }: FeatureOptions,
  onProgress: (done: number) => void,
): Promise<Pick<FeatureTable, 'values' | 'mirrored' | 'width'>> {
  const pictures = batches(samples, {
    batchSize: BACKBONE_BATCH,
    // Both splits run through the same model: a short one has as many rows to a batch as the other.
    fillLabel: constantShape ? BigInt(NO_LABEL) : undefined,
    ...testTransform,
    seed,
    pass: 0,
    augment: false,
    shuffle: false,
    ...(signal && { signal }),
  });
  const side = testTransform.imageSize;
  const run = async (images: Uint8Array, rows: number): Promise<Tensor> => {
    const outputs = await backbone.run({ [IMAGE]: { type: 'uint8', dims: [rows, side, side, 3], data: images } });
    return outputs[FEATURES] as Tensor;
  };
  let width = 0;
  let values = new Float32Array();
  let mirrored = new Float32Array();
  let done = 0;
  for await (const { images, labels: rows, size } of pictures) {
    const features = await run(images, rows.length);
    if (done === 0) {
      width = features.dims[1] as number;
      values = new Float32Array(samples.length * width);
      if (testFlip) mirrored = new Float32Array(values.length);
    }
    values.set((features.data as Float32Array).subarray(0, size * width), done * width);
    if (testFlip) {
      const other = await run(mirrorImages(images, side), rows.length);
      mirrored.set((other.data as Float32Array).subarray(0, size * width), done * width);
    }
    done += size;
    onProgress(done);
  }
  return { values, width, ...(testFlip && { mirrored }) };
}

async function* select(
  table: Omit<FeatureTable, 'mirrored'> & { readonly mirrored?: Float32Array | undefined },
  order: Uint32Array,
  { batchSize, fillLabel }: Pick<BatchOptions, 'batchSize' | 'fillLabel'>,
): AsyncGenerator<FeedBatch> {
  const { width, mirrored } = table;
  for (let start = 0; start < order.length; start += batchSize) {
    const rows = order.subarray(start, start + batchSize);
    const count = fillLabel === undefined ? rows.length : batchSize;
    const labels = new BigInt64Array(count).fill(fillLabel ?? 0n);
    for (const [place, row] of rows.entries()) labels[place] = table.labels[row]!;
    const feedsOf = (values: Float32Array): Feeds => {
      const data = new Float32Array(count * width);
      for (const [place, row] of rows.entries()) {
        data.set(values.subarray(row * width, (row + 1) * width), place * width);
      }
      return { [FEATURES]: { type: 'float32', dims: [count, width], data }, ...labelTensor(labels) };
    };
    yield {
      feeds: feedsOf(table.values),
      mirrored: mirrored && feedsOf(mirrored),
      labels,
      size: rows.length,
      pictures: Array.from(rows, (row) => table.pictures[row]!),
      waitMs: 0,
    };
  }
}
