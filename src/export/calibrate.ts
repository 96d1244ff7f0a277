import { IMAGE, leastOf, meansOf, mostOf, type TensorStatistics } from '../../onnx/index.ts';
import { AS_TESTED, batches, type ImageTransform, type Sample } from '../data/index.ts';
import { OrtuneError } from '../errors.ts';
import { InferenceWorker } from '../inference/index.ts';

export interface CalibrateOptions {
  /** Tensors whose statistics are wanted. */
  readonly tensors: readonly string[];
  readonly samples: readonly Sample[];
  readonly transform: ImageTransform;
  readonly threads: number | undefined;
  readonly onProgress: (done: number, total: number) => void;
  readonly signal: AbortSignal | undefined;
}

/** Pictures computed at a time. */
const BATCH = 8;

/**
 * Statistics of each tensor over some pictures, seen as in testing.
 *
 * @param model the bytes of one that gives them (see `withStatistics`)
 * @throws OrtuneError `EXPORT_MODEL` when they are not finite; `IMAGE_UNREADABLE`, `MODEL_RUN`; the signal's reason when it
 *   is aborted
 */
export async function calibrate(model: Uint8Array, options: CalibrateOptions): Promise<Map<string, TensorStatistics>> {
  const { tensors, samples, transform, threads, onProgress, signal } = options;
  const { imageSize } = transform;
  await using worker = await InferenceWorker.create([model], { threads });
  const found = new Map(tensors.map((name) => [name, { least: 0, most: 0, sums: [] as number[] }]));
  let done = 0;
  onProgress(done, samples.length);
  const pictures = { ...transform, batchSize: BATCH, ...AS_TESTED };
  for await (const { images, size } of batches(samples, { ...pictures, ...(signal && { signal }) })) {
    const dims = [size, imageSize, imageSize, 3];
    const outputs = await worker.run({ [IMAGE]: { type: 'uint8', dims, data: images } });
    const numbers = (name: string) => outputs[name]?.data as Float32Array;
    for (const [tensor, one] of found) {
      one.least = Math.min(one.least, ...numbers(leastOf(tensor)));
      one.most = Math.max(one.most, ...numbers(mostOf(tensor)));
      const means = numbers(meansOf(tensor));
      const channels = means.length / size;
      for (const [at, mean] of means.entries()) one.sums[at % channels] = (one.sums[at % channels] ?? 0) + mean;
      if (Number.isFinite(one.most - one.least)) continue;
      throw new OrtuneError('EXPORT_MODEL', `expected finite numbers, but ${tensor} has others: train the model anew.`);
    }
    done += size;
    onProgress(done, samples.length);
  }
  return new Map(
    [...found].map(([name, { least, most, sums }]) => {
      return [name, { least, most, means: Float64Array.from(sums, (sum) => sum / done) }];
    }),
  );
}
