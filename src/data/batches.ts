/** Batches of pixels, prepared while the step before them runs: decoded off the main thread, augmented in between. */
import {
  AUGMENTATION_DEFAULTS,
  type Augmentation,
  drawMix,
  type Mix,
  mixImages,
  readSquare,
} from '../augment/index.ts';
import { Random } from '../random.ts';
import type { Sample } from './dataset.ts';
import { DecodedCache } from './decoded-cache.ts';
import { imageTransform } from './image.ts';
import { createLimiter, DECODERS } from './limiter.ts';

export interface Batch {
  /** RGB, uint8 [rows, imageSize, imageSize, 3]: a row for each picture, and those that fill the batch up. */
  readonly images: Uint8Array;
  /** int64 [rows] */
  readonly labels: BigInt64Array;
  /** Places of the batch's pictures in the list of samples, [size]. */
  readonly indices: Uint32Array;
  /** Pictures in this batch; the last of a pass may have fewer. They are the first rows. */
  readonly size: number;
  /** How the pictures were mixed among themselves, for their soft labels. */
  readonly mix: Mix | undefined;
  /** Milliseconds that the consumer had to wait for this batch. */
  readonly waitMs: number;
}

export interface BatchOptions {
  readonly batchSize: number;
  /** Side of the square that the network sees, in pixels. */
  readonly imageSize: number;
  /** Length of the short side that this is cut from; that of `imageTransform` by default. */
  readonly resizeSize?: number | undefined;
  readonly seed: number;
  /** Number of the pass: each has its own order and crops. */
  readonly pass: number;
  /** What is done to the pictures; `true`: random crop and horizontal flip, `false`: the centre, as in testing. */
  readonly augment: boolean | Augmentation;
  /** Keeps decoded pictures for later passes. Without it they are decoded anew. */
  readonly cache?: DecodedCache | undefined;
  /** Random order; otherwise that of the samples. */
  readonly shuffle: boolean;
  /** Batches left out at the beginning: those that were served before. Default 0. */
  readonly first?: number | undefined;
  /** A last batch of fewer pictures is left out (BatchNorm in training mode has no variance of one). Default 1. */
  readonly minimumBatch?: number;
  /** Fills a last batch of fewer pictures up to `batchSize` rows: with black ones of this label. */
  readonly fillLabel?: bigint | undefined;
  /** Batches prepared ahead of the one in use. Default 2; so many batches and one more are in memory. */
  readonly prefetch?: number;
  readonly signal?: AbortSignal;
}

/** As pictures are tested: in their own order, nothing done to them at random. */
export const AS_TESTED = { seed: 0, pass: 0, augment: false, shuffle: false } as const;

/** How many batches a pass over `length` samples has. */
export function batchCount(
  length: number,
  { batchSize, minimumBatch = 1 }: Pick<BatchOptions, 'batchSize' | 'minimumBatch'>,
): number {
  const whole = Math.floor(length / batchSize);
  return length % batchSize >= minimumBatch && length % batchSize > 0 ? whole + 1 : whole;
}

/** How many pictures of `length` samples come in a pass. */
export function pictureCount(length: number, options: Pick<BatchOptions, 'batchSize' | 'minimumBatch'>): number {
  return Math.min(length, batchCount(length, options) * options.batchSize);
}

/** The order of a pass over `length` samples: random, or their own. */
export function passOrder(
  length: number,
  { shuffle, seed, pass }: Pick<BatchOptions, 'shuffle' | 'seed' | 'pass'>,
): Uint32Array {
  if (shuffle) return new Random(seed, 'shuffle', pass).permutation(length);
  return Uint32Array.from({ length }, (_, index) => index);
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
  const { batchSize, seed, pass, shuffle, first = 0, prefetch = 2 } = options;
  const order = passOrder(samples.length, { shuffle, seed, pass });
  const count = batchCount(samples.length, options);
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([stop.signal, options.signal]) : stop.signal;
  const limit = createLimiter(DECODERS);
  const cache = options.cache ?? new DecodedCache({ memoryBytes: 0 });
  const ahead: Promise<Omit<Batch, 'waitMs'>>[] = [];
  let started = first;
  try {
    for (let served = first; served < count; served++) {
      const asked = performance.now();
      while (started < count && ahead.length <= prefetch) {
        const batch = readBatch(samples, order.slice(started * batchSize, (started + 1) * batchSize), {
          ...options,
          number: started++,
          cache,
          limit,
          signal,
        });
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

interface ReadOptions extends BatchOptions {
  /** Number of the batch in its pass. */
  readonly number: number;
  readonly cache: DecodedCache;
  readonly limit: <T>(task: () => Promise<T>) => Promise<T>;
  readonly signal: AbortSignal;
}

async function readBatch(
  samples: readonly Sample[],
  indices: Uint32Array,
  { batchSize, imageSize, resizeSize, seed, pass, augment, fillLabel, number, cache, limit, signal }: ReadOptions,
): Promise<Omit<Batch, 'waitMs'>> {
  const size = indices.length;
  const rows = fillLabel === undefined ? size : batchSize;
  const stride = imageSize * imageSize * 3;
  const images = new Uint8Array(rows * stride);
  const labels = new BigInt64Array(rows).fill(fillLabel ?? 0n);
  const transform = { ...imageTransform(imageSize), ...(resizeSize !== undefined && { resizeSize }) };
  const augmentation = augment === true ? AUGMENTATION_DEFAULTS : augment || undefined;
  await Promise.all(
    Array.from(indices, (index, place) =>
      limit(async () => {
        signal.throwIfAborted();
        const { file, label, range } = samples[index]!;
        labels[place] = BigInt(label);
        const training = augmentation && { augmentation, draw: { seed, pass, index } };
        const sample = { file, ...(range && { range }) };
        images.set(await readSquare(sample, { cache, transform, training }), place * stride);
      }),
    ),
  );
  const mix = augmentation && drawMix(augmentation, { seed, pass, batch: number }, imageSize);
  // Rows that only fill the batch up stay black.
  if (mix) mixImages(images.subarray(0, size * stride), imageSize, mix);
  return { images, labels, indices, size, mix };
}
