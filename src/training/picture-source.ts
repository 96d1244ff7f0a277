import { type BatchNormMode, IMAGE } from '../../onnx/index.ts';
import { batches, type Dataset, type Sample } from '../data/index.ts';
import { type BatchSource, type FeedBatch, labelTensor } from './passes.ts';

export interface PictureSourceOptions {
  readonly imageSize: number;
  readonly batchSize: number;
  readonly seed: number;
  readonly augment: boolean;
  readonly batchNorm: BatchNormMode;
  readonly signal?: AbortSignal | undefined;
}

/** Batches of pictures, decoded anew for each pass. */
export function pictureSource(dataset: Dataset, options: PictureSourceOptions): BatchSource {
  const { imageSize, batchSize, seed, augment, batchNorm, signal } = options;
  // Live BatchNorm has no variance of a single picture where the map is down to one place.
  const minimumBatch = batchNorm === 'live' ? 2 : 1;
  const leftOver = dataset.train.length % batchSize;
  const read = async function* (
    samples: readonly Sample[],
    pass: number,
    training: boolean,
  ): AsyncGenerator<FeedBatch> {
    const pictures = batches(samples, {
      batchSize,
      imageSize,
      seed,
      pass,
      augment: training && augment,
      shuffle: training,
      minimumBatch: training ? minimumBatch : 1,
      ...(signal && { signal }),
    });
    for await (const { images, labels, size } of pictures) {
      const dims = [size, imageSize, imageSize, 3];
      yield { feeds: { [IMAGE]: { type: 'uint8', dims, data: images }, ...labelTensor(labels) }, labels, size };
    }
  };
  return {
    train: (pass) => read(dataset.train, pass, true),
    test: () => read(dataset.test, 0, false),
    trainSize: dataset.train.length - (leftOver < minimumBatch ? leftOver : 0),
    testSize: dataset.test.length,
  };
}
