/** Finds broken pictures before a run starts, when nothing is lost yet. */
import { OrtuneError } from '../errors.ts';
import { type Dataset, requireTrainable, type Sample } from './dataset.ts';
import { findDefect } from './image.ts';
import { createLimiter, DECODERS } from './limiter.ts';
import { readSample } from './sample.ts';

/** A picture that cannot be decoded, and why. */
export interface BadImage {
  readonly file: string;
  readonly reason: string;
}

/**
 * Reads every picture through once.
 *
 * @returns the broken ones, in the order of the samples
 * @throws the signal's reason when it is aborted
 */
export async function checkImages(
  samples: readonly Sample[],
  options: { onProgress?(done: number, total: number): void; signal?: AbortSignal } = {},
): Promise<BadImage[]> {
  const { onProgress, signal } = options;
  const limit = createLimiter(DECODERS);
  let done = 0;
  const reasons = await Promise.all(
    samples.map((sample) =>
      limit(async () => {
        signal?.throwIfAborted();
        const reason = await findDefect(sample.range ? await readSample(sample) : sample.file);
        onProgress?.(++done, samples.length);
        return reason;
      }),
    ),
  );
  return samples.flatMap(({ file }, index) => {
    const reason = reasons[index];
    return reason === undefined ? [] : [{ file, reason }];
  });
}

/** The error that stops a run: the broken pictures, each with its reason (the first hundred; `bad` has them all). */
export function badImagesError(bad: readonly BadImage[], total: number): OrtuneError {
  const lines = bad.slice(0, 100).map(({ file, reason }) => `\n  ${file}: ${reason}`);
  if (bad.length > 100) lines.push(`\n  and ${bad.length - 100} more`);
  return new OrtuneError(
    'IMAGE_UNREADABLE',
    `${bad.length} of ${total} pictures cannot be decoded:${lines.join('')}\nReplace them, or leave them out with --on-bad-image skip.`,
  );
}

/**
 * The data set without its broken pictures; labels and classes stay as they are.
 *
 * @throws OrtuneError `DATASET_CLASSES` or `DATASET_SPLIT` when a class has nothing left to train on, or nothing is left to test on
 */
export function withoutBadImages(dataset: Dataset, bad: readonly BadImage[]): Dataset {
  const files = new Set(bad.map(({ file }) => file));
  const keep = (samples: readonly Sample[]) => samples.filter(({ file }) => !files.has(file));
  const rest = { ...dataset, train: keep(dataset.train), valid: keep(dataset.valid), test: keep(dataset.test) };
  requireTrainable(rest, `in ${dataset.root} without its ${bad.length} broken pictures`);
  return rest;
}
