import { IMAGE } from '../../onnx/index.ts';
import { batches, type Dataset, type Sample } from '../data/index.ts';
import { type BatchSource, type FeedBatch, labelTensor } from './passes.ts';

export interface PictureSourceOptions {
  readonly imageSize: number;
  readonly batchSize: number;
  readonly seed: number;
  readonly augment: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Batches of pictures, decoded anew for each pass. */
export function pictureSource(dataset: Dataset, options: PictureSourceOptions): BatchSource {
  const { imageSize, batchSize, seed, augment, signal } = options;
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
      // BatchNorm has no variance of a single picture where the map is down to one place.
      minimumBatch: training ? Math.min(2, samples.length) : 1,
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
    trainSize: dataset.train.length,
    testSize: dataset.test.length,
  };
}
