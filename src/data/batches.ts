/** Batches of pixels, prepared off the main thread while the step before them runs. */
import { Random } from '../random.ts';
import type { Sample } from './dataset.ts';
import { type Crop, decodeCrop, imageTransform } from './image.ts';
import { createLimiter, DECODERS } from './limiter.ts';

export interface Batch {
  /** RGB, uint8 [size, imageSize, imageSize, 3]. */
  readonly images: Uint8Array;
  /** int64 [size] */
  readonly labels: BigInt64Array;
  /** Places of the batch's pictures in the list of samples, [size]. */
  readonly indices: Uint32Array;
  /** Pictures in this batch; the last of a pass may be smaller. */
  readonly size: number;
  /** Milliseconds that the consumer had to wait for this batch. */
  readonly waitMs: number;
}

export interface BatchOptions {
  readonly batchSize: number;
  /** Side of the square that the network sees, in pixels. */
  readonly imageSize: number;
  readonly seed: number;
  /** Number of the pass: each has its own order and crops. */
  readonly pass: number;
  /** Random crop and horizontal flip; otherwise the centre. */
  readonly augment: boolean;
  /** Random order; otherwise that of the samples. */
  readonly shuffle: boolean;
  /** A last batch of fewer pictures is left out (BatchNorm in training mode has no variance of one). Default 1. */
  readonly minimumBatch?: number;
  /** Batches prepared ahead of the one in use. Default 2; so many batches and one more are in memory. */
  readonly prefetch?: number;
  readonly signal?: AbortSignal;
}

/** How many batches a pass over `length` samples has. */
export function batchCount(
  length: number,
  { batchSize, minimumBatch = 1 }: Pick<BatchOptions, 'batchSize' | 'minimumBatch'>,
): number {
  const whole = Math.floor(length / batchSize);
  return length % batchSize >= minimumBatch && length % batchSize > 0 ? whole + 1 : whole;
}

/**
 * One pass over the samples. What comes depends on the samples, seed and pass alone: not on threads, not on `prefetch`,
 * not on what was drawn before. Leaving the loop early stops the work.
 *
 * @throws OrtuneError `IMAGE_UNREADABLE` naming the file; the signal's reason when it is aborted
 */
export async function* batches(
  samples: readonly Sample[],
  options: BatchOptions,
): AsyncGenerator<Batch, void, undefined> {
  const { batchSize, seed, pass, shuffle, prefetch = 2 } = options;
  const order = shuffle
    ? new Random(seed, 'shuffle', pass).permutation(samples.length)
    : Uint32Array.from(samples, (_, index) => index);
  const count = batchCount(samples.length, options);
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([stop.signal, options.signal]) : stop.signal;
  const limit = createLimiter(DECODERS);
  const ahead: Promise<Omit<Batch, 'waitMs'>>[] = [];
  let started = 0;
  try {
    for (let served = 0; served < count; served++) {
      const asked = performance.now();
      while (started < count && ahead.length <= prefetch) {
        const batch = decodeBatch(
          samples,
          order.slice(started * batchSize, ++started * batchSize),
          options,
          limit,
          signal,
        );
        // Its error is thrown when its turn comes; until then nobody listens, which Node would take for a defect.
        batch.catch(() => {});
        ahead.push(batch);
      }
      const batch = await ahead.shift()!;
      options.signal?.throwIfAborted();
      yield { ...batch, waitMs: performance.now() - asked };
    }
  } finally {
    stop.abort();
    await Promise.allSettled(ahead);
  }
}

async function decodeBatch(
  samples: readonly Sample[],
  indices: Uint32Array,
  { imageSize, seed, pass, augment }: BatchOptions,
  limit: <T>(task: () => Promise<T>) => Promise<T>,
  signal: AbortSignal,
): Promise<Omit<Batch, 'waitMs'>> {
  const size = indices.length;
  const stride = imageSize * imageSize * 3;
  const images = new Uint8Array(size * stride);
  const labels = new BigInt64Array(size);
  const transform = imageTransform(imageSize);
  await Promise.all(
    Array.from(indices, (index, place) =>
      limit(async () => {
        signal.throwIfAborted();
        const { file, label } = samples[index]!;
        labels[place] = BigInt(label);
        const crop = augment ? drawCrop(new Random(seed, 'augment', pass, index)) : undefined;
        images.set(await decodeCrop(file, transform, crop), place * stride);
      }),
    ),
  );
  return { images, labels, indices, size };
}

function drawCrop(random: Random): Crop {
  return { x: random.uniform(), y: random.uniform(), flip: random.uniform() < 0.5 };
}
