import { readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { AS_TESTED, batches, type Dataset, mirrorImages, nameOf, openDataset } from '../data/index.ts';
import { OrtuneError } from '../errors.ts';
import { Evaluation, type EvaluationResult } from '../metrics/index.ts';
import { Classifier } from './classifier.ts';

/** Which model is evaluated on which pictures. */
export interface EvaluateOptions {
  /** Folder that `finetune` wrote, or its `.onnx` file. */
  readonly model: string;
  /** Folder or CSV file of the data set. */
  readonly data: string;
  /** By default the one that the model was trained with, if it is this data, else the data's own. */
  readonly split?: string;
  /** Seed of the split; by default the model's, as the split. */
  readonly seed?: number;
  /** Default `test`. */
  readonly part?: DataPart;
  /** Takes the mean of the probabilities of each picture and its mirror image: better, at twice the time. */
  readonly flip?: boolean;
  /** Pictures computed at a time. Default 32. */
  readonly batchSize?: number;
  readonly threads?: number;
  /** Told how many pictures are done. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** A part of a split. */
export type DataPart = 'train' | 'valid' | 'test';

/** What was evaluated, and how it did: `metrics.json`. */
export interface ModelEvaluation extends EvaluationResult {
  readonly data: {
    readonly root: string;
    readonly split: string;
    readonly part: DataPart;
    readonly flip: boolean;
  };
}

/**
 * How well a served model does on pictures whose classes are known, through onnxruntime-node.
 *
 * @throws OrtuneError `CLASSES` when the data has other classes than the model, by name or order; `DATASET_SPLIT` when the
 *   part has no pictures; `IMAGE_UNREADABLE`; as `Classifier.load` and `openDataset`
 */
export async function evaluate(options: EvaluateOptions): Promise<ModelEvaluation> {
  const { model, data, part = 'test', flip = false, batchSize = 32, threads, onProgress, signal } = options;
  const own = options.split === undefined ? await ownPartition(model, data) : {};
  const split = options.split ?? own.split;
  const dataset = await openDataset(data, {
    ...(split !== undefined && { split }),
    seed: options.seed ?? own.seed ?? 0,
    signal,
  });
  const samples = dataset[part];
  if (samples.length === 0) {
    throw new OrtuneError(
      'DATASET_SPLIT',
      `${data} (split ${dataset.split}): expected pictures to evaluate, but its part "${part}" has none. Choose another --part or --split.`,
    );
  }
  await using classifier = await Classifier.load(model, { threads });
  checkClasses(dataset, classifier.classes, options);
  const evaluation = new Evaluation(classifier.classes);
  let done = 0;
  onProgress?.(done, samples.length);
  const pictures = { ...classifier.transform, batchSize, ...AS_TESTED };
  for await (const { images, labels, indices, size } of batches(samples, { ...pictures, ...(signal && { signal }) })) {
    const { probabilities: scores } = await classifier.infer(images, size);
    if (flip) {
      const { probabilities: other } = await classifier.infer(
        mirrorImages(images, classifier.transform.imageSize),
        size,
      );
      for (let place = 0; place < scores.length; place++) scores[place] = (scores[place]! + other[place]!) / 2;
    }
    const names = Array.from(indices, (index) => nameOf(dataset, samples[index]!));
    evaluation.add({ scores, kind: 'probabilities', labels, pictures: names });
    done += size;
    onProgress?.(done, samples.length);
  }
  return { data: { root: dataset.root, split: dataset.split, part, flip }, ...evaluation.result() };
}

/**
 * The split and seed in the `run.json` beside the model, if it was trained on this data: with another seed's split it would
 * be tested on pictures that it has learnt.
 */
async function ownPartition(model: string, data: string): ReturnType<typeof trainedOn> {
  return trainedOn((await stat(model).catch(() => undefined))?.isDirectory() ? model : dirname(model), data);
}

/**
 * What the `run.json` of a model's folder says that it was trained on.
 *
 * @param data the question is about this data alone, where given
 * @throws OrtuneError `RESULT_INVALID` when it is damaged
 */
export async function trainedOn(
  folder: string,
  data?: string,
): Promise<{ root?: string | undefined; split?: string | undefined; seed?: number | undefined }> {
  const file = join(folder, 'run.json');
  const text = await readFile(file, 'utf8').catch(() => '{}');
  let run: { dataset?: { root?: unknown; split?: unknown; seed?: unknown }; options?: { seed?: unknown } } | null;
  try {
    run = JSON.parse(text);
  } catch (error) {
    // Guessed, the split would be another, with pictures that the model has learnt.
    throw new OrtuneError('RESULT_INVALID', `${file} cannot be read: ${(error as Error).message}.`, { cause: error });
  }
  const { root, split, seed = run?.options?.seed } = run?.dataset ?? {};
  if (typeof root !== 'string') return {};
  if (data !== undefined && root !== resolve(data) && root !== dirname(resolve(data))) return {};
  return {
    root,
    split: typeof split === 'string' ? split : undefined,
    seed: typeof seed === 'number' ? seed : undefined,
  };
}

/** @throws OrtuneError `CLASSES` where data have other classes than a model, by name or order */
export function checkClasses(
  { classes }: Pick<Dataset, 'classes'>,
  expected: readonly string[],
  { data, model }: Pick<EvaluateOptions, 'data' | 'model'>,
): void {
  const fail = (found: string) => {
    throw new OrtuneError(
      'CLASSES',
      `${data}: expected the classes of ${model}, in their order, ${found}. Take data with the same class names.`,
    );
  };
  if (classes.length !== expected.length) fail(`${expected.length} of them, found ${classes.length}`);
  const at = classes.findIndex((name, index) => name !== expected[index]);
  if (at >= 0) fail(`but class ${at} is "${classes[at]}" where the model has "${expected[at]}"`);
}
