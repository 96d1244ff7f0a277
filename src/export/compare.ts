import { AS_TESTED, batches, type Dataset } from '../data/index.ts';
import { Classifier } from '../inference/index.ts';
import { Evaluation, type EvaluationResult } from '../metrics/index.ts';
import { argmax } from '../training/metrics.ts';

export interface Comparison {
  readonly before: EvaluationResult;
  readonly after: EvaluationResult;
  /** Share of the pictures that both give the same class. */
  readonly sameClass: number;
  /** The first model's time on all batches by the second's. */
  readonly speedup: number;
}

export interface CompareOptions {
  readonly dataset: Dataset;
  readonly batchSize: number;
  readonly threads: number | undefined;
  readonly onProgress: (done: number, total: number) => void;
  readonly signal: AbortSignal | undefined;
}

/**
 * How two served models of the same classes and picture size do on a data set's test part, batch by batch in turns, so that
 * whatever else the machine does falls on both.
 *
 * @throws OrtuneError as `Classifier.load`; `IMAGE_UNREADABLE`; the signal's reason when it is aborted
 */
export async function compare(before: string, after: string, options: CompareOptions): Promise<Comparison> {
  const { dataset, batchSize, threads, onProgress, signal } = options;
  await using first = await Classifier.load(before, { threads });
  await using second = await Classifier.load(after, { threads });
  const { classes, transform } = first;
  const sides = [first, second].map((classifier) => ({ classifier, evaluation: new Evaluation(classes), ms: 0 }));
  const blank = new Uint8Array(transform.imageSize ** 2 * 3);
  // A model's first run allocates its memory.
  for (const { classifier } of sides) await classifier.infer(blank, 1);

  const samples = dataset.test;
  let [done, same] = [0, 0];
  onProgress(done, samples.length);
  const pictures = { ...transform, batchSize, ...AS_TESTED };
  for await (const { images, labels, size } of batches(samples, { ...pictures, ...(signal && { signal }) })) {
    const found: number[][] = [];
    for (const side of sides) {
      const started = performance.now();
      const { probabilities: scores } = await side.classifier.infer(images, size);
      side.ms += performance.now() - started;
      side.evaluation.add({ scores, kind: 'probabilities', labels });
      found.push(Array.from({ length: size }, (_, row) => argmax(scores, row * classes.length, classes.length)));
    }
    same += found[0]!.filter((label, row) => label === found[1]![row]).length;
    done += size;
    onProgress(done, samples.length);
  }
  const [old, reduced] = sides as [(typeof sides)[number], (typeof sides)[number]];
  return {
    before: old.evaluation.result(),
    after: reduced.evaluation.result(),
    sameClass: same / samples.length,
    speedup: old.ms / reduced.ms,
  };
}
