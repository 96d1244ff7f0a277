import { dirname } from 'node:path';
import { type Dataset, openDataset } from '../data/index.ts';
import { OrtuneError } from '../errors.ts';
import { checkClasses, trainedOn } from '../inference/evaluate.ts';

export interface DataChoice {
  /** Model's file. */
  readonly file: string;
  /** Folder or CSV file of the pictures; what `run.json` beside the model names by default. */
  readonly data: string | undefined;
  readonly split: string | undefined;
  readonly seed: number | undefined;
  readonly signal: AbortSignal | undefined;
}

/** The data that a model was trained on, with the parts that it was trained and tested on, and the seed of these. */
export interface TrainingData {
  readonly dataset: Dataset;
  readonly seed: number;
}

/**
 * @param classes of the model, in order
 * @returns `undefined` when no data are named, or those that `run.json` names are not there any more
 * @throws OrtuneError `CLASSES` when the data have other classes; as `openDataset` for data that were named
 */
export async function findTrainingData(
  { file, data, split, seed, signal }: DataChoice,
  classes: readonly string[],
): Promise<TrainingData | undefined> {
  const own = await trainedOn(dirname(file), data);
  const path = data ?? own.root;
  if (path === undefined) return undefined;
  const chosen = { split: split ?? own.split, seed: seed ?? own.seed ?? 0 };
  const options = { seed: chosen.seed, signal, ...(chosen.split !== undefined && { split: chosen.split }) };
  const dataset = await openDataset(path, options).catch((error: unknown) => {
    if (data === undefined && error instanceof OrtuneError && error.code === 'DATASET_NOT_FOUND') return undefined;
    throw error;
  });
  if (!dataset) return undefined;
  checkClasses(dataset, classes, { data: path, model: file });
  return { dataset, seed: chosen.seed };
}
