import { LABEL } from '../../onnx/index.ts';
import { printable } from '../data/index.ts';
import { OrtuneError } from '../errors.ts';
import type { Tensor } from '../runtime/index.ts';

export type Feeds = Readonly<Record<string, Tensor>>;

/** A batch as the training graph takes it: `label` among the feeds, int64 [rows] or, for mixed pictures, float32 [rows, classes]. */
export interface FeedBatch {
  readonly feeds: Feeds;
  /** The same batch mirrored, where a test wants it. */
  readonly mirrored?: Feeds | undefined;
  /** Class of each row; `NO_LABEL` for rows that merely fill a test batch up. */
  readonly labels: BigInt64Array;
  /** Rows that are pictures. They come first. */
  readonly size: number;
  /** Names of the pictures, [size]. */
  readonly pictures: readonly string[];
  /** Milliseconds that the step had to wait for it. */
  readonly waitMs: number;
}

/** The parts of a data set that are tested on, never trained. */
export type TestPart = 'test' | 'valid';

/** Where a stage's batches come from. */
export interface BatchSource {
  /** Training batches of a pass, in its own order, from one of them on. */
  train(pass: number, first?: number): AsyncIterable<FeedBatch>;
  /** A part that is tested, in order. */
  test(part: TestPart): AsyncIterable<FeedBatch>;
  /** Pictures that come in a pass over the training split. */
  readonly trainSize: number;
  /** Pictures of a training batch, but for a smaller last one. */
  readonly batchSize: number;
  /** Pictures of each part that is tested. */
  readonly testSizes: Readonly<Record<TestPart, number>>;
}

/** The label's tensor. */
export function labelTensor(labels: BigInt64Array): Record<string, Tensor> {
  return { [LABEL]: { type: 'int64', dims: [labels.length], data: labels } };
}

/**
 * Before labels are fed: a kernel reads whatever lies where the class of such a label would be.
 *
 * @param pictures those of the first labels; the others fill the batch up
 * @throws OrtuneError `LABEL` naming the first picture whose label is no class
 */
export function requireLabels(labels: BigInt64Array, pictures: readonly string[], classes: number): void {
  for (const [row, picture] of pictures.entries()) {
    const label = labels[row]!;
    if (label >= 0n && label < classes) continue;
    throw new OrtuneError(
      'LABEL',
      `${printable(picture)}: expected a label from 0 to ${classes - 1}, as there are ${classes} classes, received ${label}.`,
    );
  }
}
