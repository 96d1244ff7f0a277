import { IMAGE, LABEL } from '../../onnx/index.ts';
import { type AugmentationOptions, checkAugmentation, type Mix, softLabels } from '../augment/index.ts';
import {
  type Batch,
  type BatchOptions,
  batches,
  type Dataset,
  DecodedCache,
  type ImageTransform,
  mirrorImages,
  nameOf,
  pictureCount,
} from '../data/index.ts';
import type { Tensor } from '../runtime/index.ts';
import { type BatchShapeOptions, testBatches, trainingBatches } from './batch-shape.ts';
import {
  type BatchSource,
  type FeedBatch,
  type Feeds,
  labelTensor,
  requireLabels,
  type TestPart,
} from './batch-source.ts';

export interface PictureSourceOptions extends BatchShapeOptions {
  /** Side of the square that is trained on, in pixels. */
  readonly imageSize: number;
  /** Sizes that are tested at. */
  readonly testTransform: ImageTransform;
  /** Also tests the mirror image of each picture. */
  readonly testFlip: boolean;
  readonly seed: number;
  readonly augment: boolean | AugmentationOptions;
  readonly shuffle: boolean;
  /** Whether some BatchNorm works on the batch's own statistics. */
  readonly liveBatchNorm: boolean;
  /** Folder for decoded pictures that memory has no room for. */
  readonly cacheFolder?: string | undefined;
  /** Bytes of decoded pictures that memory has room for; by default as {@link DecodedCache}. */
  readonly cacheBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Whether an augmentation mixes pictures, so that their labels are probabilities. */
export function mixes(augment: boolean | AugmentationOptions): boolean {
  if (typeof augment === 'boolean') return false;
  const { mixup, cutmix } = checkAugmentation(augment);
  return mixup > 0 || cutmix > 0;
}

/** Batches of pictures, decoded once: later passes only crop. Disposing of it forgets them. */
export function pictureSource(dataset: Dataset, options: PictureSourceOptions): BatchSource & AsyncDisposable {
  const { train } = dataset;
  const { imageSize, testTransform, testFlip, seed, shuffle, liveBatchNorm, signal } = options;
  const augment = typeof options.augment === 'boolean' ? options.augment : checkAugmentation(options.augment);
  // Live BatchNorm has no variance of a single picture where the map is down to one place.
  const training = trainingBatches(train.length, options, liveBatchNorm ? 2 : 1);
  const { cacheFolder: folder, cacheBytes: memoryBytes } = options;
  const cache = new DecodedCache({ folder, ...(memoryBytes !== undefined && { memoryBytes }) });
  const common = { seed, cache, ...(signal && { signal }) };
  const soft = mixes(augment);
  return {
    async *train(pass, first) {
      const pictures = { ...common, ...training, imageSize, pass, augment, shuffle, first };
      for await (const batch of batches(train, pictures)) yield feedBatch(dataset, 'train', batch, imageSize, soft);
    },
    async *test(part) {
      const samples = dataset[part];
      const testing = testBatches(samples.length, options);
      const pictures: BatchOptions = {
        ...common,
        ...testing,
        ...testTransform,
        pass: 0,
        augment: false,
        shuffle: false,
      };
      for await (const batch of batches(samples, pictures)) {
        const fed = feedBatch(dataset, part, batch, testTransform.imageSize, false);
        yield { ...fed, mirrored: testFlip ? mirrored(fed.feeds) : undefined };
      }
    },
    trainSize: pictureCount(train.length, training),
    batchSize: training.batchSize,
    testSizes: testSizesOf(dataset),
    [Symbol.asyncDispose]: () => cache[Symbol.asyncDispose](),
  };
}

function feedBatch(
  dataset: Dataset,
  part: 'train' | TestPart,
  { images, labels, indices, size, mix, waitMs }: Batch,
  side: number,
  soft: boolean,
): FeedBatch {
  const classes = dataset.classes.length;
  const pictures = Array.from(indices, (index) => nameOf(dataset, dataset[part][index]!));
  requireLabels(labels, pictures, classes);
  const feeds: Feeds = {
    [IMAGE]: { type: 'uint8', dims: [labels.length, side, side, 3], data: images },
    ...(soft ? softLabelTensor(labels, classes, mix) : labelTensor(labels)),
  };
  return { feeds, labels, size, pictures, waitMs };
}

function softLabelTensor(labels: BigInt64Array, classes: number, mix: Mix | undefined): Record<string, Tensor> {
  return { [LABEL]: { type: 'float32', dims: [labels.length, classes], data: softLabels(labels, classes, mix) } };
}

function mirrored(feeds: Feeds): Feeds {
  const { dims, data } = feeds[IMAGE] as Tensor & { data: Uint8Array };
  return { ...feeds, [IMAGE]: { type: 'uint8', dims, data: mirrorImages(data, dims[2] as number) } };
}

export const testSizesOf = ({ test, valid }: Dataset) => ({ test: test.length, valid: valid.length });
