import { IMAGE } from '../../onnx/index.ts';
import { type BatchOptions, batches, type Dataset, pictureCount, type Sample } from '../data/index.ts';
import { type BatchShapeOptions, testBatches, trainingBatches } from './batch-shape.ts';
import { type BatchSource, type FeedBatch, labelTensor } from './passes.ts';

export interface PictureSourceOptions extends BatchShapeOptions {
  readonly imageSize: number;
  readonly seed: number;
  readonly augment: boolean;
  /** Whether some BatchNorm works on the batch's own statistics. */
  readonly liveBatchNorm: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Batches of pictures, decoded anew for each pass. */
export function pictureSource({ train, test }: Dataset, options: PictureSourceOptions): BatchSource {
  const { imageSize, seed, augment, liveBatchNorm, signal } = options;
  // Live BatchNorm has no variance of a single picture where the map is down to one place.
  const training = trainingBatches(train.length, options, liveBatchNorm ? 2 : 1);
  const testing = testBatches(test.length, options);
  const common = { imageSize, seed, ...(signal && { signal }) };
  return {
    train: (pass) => read(train, { ...common, ...training, pass, augment, shuffle: true }),
    test: () => read(test, { ...common, ...testing, pass: 0, augment: false, shuffle: false }),
    trainSize: pictureCount(train.length, training),
    testSize: test.length,
  };
}

async function* read(samples: readonly Sample[], options: BatchOptions): AsyncGenerator<FeedBatch> {
  const { imageSize } = options;
  for await (const { images, labels, size } of batches(samples, options)) {
    const dims = [labels.length, imageSize, imageSize, 3];
    yield { feeds: { [IMAGE]: { type: 'uint8', dims, data: images }, ...labelTensor(labels) }, labels, size };
  }
}
