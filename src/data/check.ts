/** Finds broken pictures before a run starts, when nothing is lost yet. */
import { OrtuneError } from '../errors.ts';
import { type Dataset, requireTrainable, type Sample } from './dataset.ts';
import { findDefect } from './image.ts';
import { createLimiter, DECODERS } from './limiter.ts';
import { printable } from './picture-name.ts';

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
  const reasons = await lookThrough(samples, {
    ...options,
    look: findDefect,
    isBad: (reason) => reason !== undefined,
  });
  return samples.flatMap(({ file }, index) => {
    const reason = reasons[index];
    return reason === undefined ? [] : [{ file, reason }];
  });
}

/**
 * Looks at pictures, several at a time; and once more, one at a time, where something was wrong: the decoder keeps the words
 * of its errors in one place for all threads, so a reason may have been another picture's.
 *
 * @returns what `look` found, in the order of the samples
 * @throws as `look`; the signal's reason when it is aborted
 */
export async function lookThrough<T>(
  samples: readonly Sample[],
  { look, isBad, onProgress, signal }: LookOptions<T>,
): Promise<T[]> {
  const limit = createLimiter(DECODERS);
  let done = 0;
  const found = await Promise.all(
    samples.map((sample) =>
      limit(async () => {
        signal?.throwIfAborted();
        const one = await look(sample);
        onProgress?.(++done, samples.length);
        return one;
      }),
    ),
  );
  for (const [index, sample] of samples.entries()) {
    if (!isBad(found[index] as T)) continue;
    signal?.throwIfAborted();
    found[index] = await look(sample);
  }
  return found;
}

interface LookOptions<T> {
  look(sample: Sample): Promise<T>;
  isBad(found: T): boolean;
  onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The error that stops a run: the broken pictures, each with its reason (the first hundred; `bad` has them all). */
export function badImagesError(bad: readonly BadImage[], total: number): OrtuneError {
  const lines = bad.slice(0, 100).map(({ file, reason }) => `\n  ${printable(file)}: ${reason}`);
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
