import { NO_LABEL } from '../../onnx/index.ts';
import type { BatchOptions } from '../data/index.ts';

/** How a stage cuts its pictures into batches. */
export interface BatchShapeOptions {
  readonly batchSize: number;
  /** Whether every batch of a pass must have as many rows as the others. */
  readonly constantShape: boolean;
}

/**
 * Batches of a training pass over `length` pictures. Where their shape is constant, a smaller last one is left out: rows
 * that merely fill it up would move the statistics of live BatchNorm. Too few pictures for one batch are one all the same.
 *
 * @param least the fewest pictures that can be trained on
 */
export function trainingBatches(
  length: number,
  { batchSize, constantShape }: BatchShapeOptions,
  least = 1,
): Pick<BatchOptions, 'batchSize'> & { readonly minimumBatch: number } {
  if (!constantShape) return { batchSize, minimumBatch: least };
  const size = Math.min(batchSize, length);
  return { batchSize: size, minimumBatch: Math.max(size, least) };
}

/** Batches of a test pass over `length` pictures. Where their shape is constant, a smaller last one is filled up. */
export function testBatches(
  length: number,
  { batchSize, constantShape }: BatchShapeOptions,
): Pick<BatchOptions, 'batchSize' | 'fillLabel'> {
  if (!constantShape) return { batchSize };
  return { batchSize: Math.min(batchSize, length), fillLabel: BigInt(NO_LABEL) };
}
