import { IMAGE, LABEL } from '../../onnx/index.ts';
import { type BatchOptions, batches, openDataset, type Sample } from '../../src/data/index.ts';
import { OrtuneError } from '../../src/errors.ts';
import { Random } from '../../src/random.ts';
import type { Tensor } from '../../src/runtime/index.ts';

export interface PictureOptions {
  /** A data set, or `undefined` for synthetic pictures. */
  readonly data?: string;
  readonly steps: number;
  readonly imageSize: number;
  readonly batchSize: number;
}

export interface Pictures {
  readonly classes: number;
  /** As many as there are steps, the same each time. */
  readonly batches: AsyncIterable<Readonly<Record<string, Tensor>>>;
}

export const SYNTHETIC_CLASSES = 102;
/** Synthetic batches before they repeat, so that the network can learn something. */
const DISTINCT = 4;
/** Side of a square of one colour. White noise would look the same in every picture once it is averaged. */
const TILE = 16;
const SEED = 0;

/** @throws OrtuneError `GPU_CHECK_DATA` when the data set has less than one batch; as `openDataset` */
export async function openPictures(options: PictureOptions): Promise<Pictures> {
  if (options.data === undefined) return { classes: SYNTHETIC_CLASSES, batches: synthetic(options) };
  const { train, classes } = await openDataset(options.data, { seed: SEED });
  if (train.length < options.batchSize) {
    throw new OrtuneError(
      'GPU_CHECK_DATA',
      `--data ${options.data}: expected ${options.batchSize} training pictures or more, found ${train.length}. ` +
        'Choose a smaller --batch-size, or more pictures.',
    );
  }
  return { classes: classes.length, batches: decoded(train, options) };
}

async function* synthetic({ steps, imageSize, batchSize }: PictureOptions) {
  for (let step = 0; step < steps; step++) yield syntheticBatch(step % DISTINCT, imageSize, batchSize);
}

function syntheticBatch(index: number, imageSize: number, batchSize: number): Record<string, Tensor> {
  const random = new Random(SEED, 'gpu-check', index);
  const labels = BigInt64Array.from({ length: batchSize }, () => BigInt(random.integer(SYNTHETIC_CLASSES)));
  const images = new Uint8Array(batchSize * imageSize * imageSize * 3);
  const tiles = Math.ceil(imageSize / TILE);
  for (let picture = 0; picture < batchSize; picture++) {
    const colours = Uint8Array.from({ length: tiles * tiles * 3 }, () => random.integer(256));
    for (let y = 0; y < imageSize; y++) {
      for (let x = 0; x < imageSize; x++) {
        const tile = (Math.floor(y / TILE) * tiles + Math.floor(x / TILE)) * 3;
        images.set(colours.subarray(tile, tile + 3), ((picture * imageSize + y) * imageSize + x) * 3);
      }
    }
  }
  return feedsOf(images, labels, imageSize);
}

/** The trainer's own way: decoded in the background, cropped and mirrored at random, pass after pass. */
async function* decoded(train: readonly Sample[], { steps, imageSize, batchSize }: PictureOptions) {
  const options: Omit<BatchOptions, 'pass'> = {
    batchSize,
    imageSize,
    seed: SEED,
    augment: true,
    shuffle: true,
    minimumBatch: batchSize,
  };
  for (let step = 0, pass = 0; step < steps; pass++) {
    for await (const { images, labels } of batches(train, { ...options, pass })) {
      yield feedsOf(images, labels, imageSize);
      if (++step === steps) return;
    }
  }
}

function feedsOf(images: Uint8Array, labels: BigInt64Array, imageSize: number): Record<string, Tensor> {
  const dims = [labels.length, imageSize, imageSize, 3];
  return {
    [IMAGE]: { type: 'uint8', dims, data: images },
    [LABEL]: { type: 'int64', dims: [labels.length], data: labels },
  };
}
