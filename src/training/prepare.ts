import { type Model, networkOf, type ResNetOptions } from '../../onnx/index.ts';
import { badImagesOf, type DataReport } from '../check-data/index.ts';
import { badImagesError, checkImages, type Dataset, openDataset, withoutBadImages } from '../data/index.ts';
import { OrtuneError } from '../errors.ts';
import { readModelFile } from '../inference/index.ts';
import { isSystemError } from '../output-error.ts';
import type { Emit } from './events.ts';

/** A network read from a file, with what it was built from. */
export interface NetworkFile {
  readonly model: Model;
  readonly network: ResNetOptions;
}

/** Reads a network that `build-graph` or stage one wrote. @throws OrtuneError `GRAPH_NOT_FOUND`, `MODEL_INVALID`, `ONNX_INVALID` */
export async function readNetwork(file: string, remedy: string): Promise<NetworkFile> {
  const { model } = await readModelFile(file).catch((error: unknown) => {
    if (!isSystemError(error)) throw error;
    throw new OrtuneError(
      'GRAPH_NOT_FOUND',
      `expected a network at ${file}, but it cannot be read (${error.code}). ${remedy}`,
    );
  });
  const network = networkOf(model);
  if (!network) {
    throw new OrtuneError(
      'ONNX_INVALID',
      `${file}: expected a network built by ortune, found another ONNX model. ${remedy}`,
    );
  }
  return { model, network };
}

export interface DataOptions {
  readonly data: string;
  readonly split?: string | undefined;
  readonly seed: number;
  /** The network's classes: how many, or their names in order. */
  readonly expectedClasses: number | readonly string[];
  readonly emit: Emit;
  readonly signal?: AbortSignal | undefined;
}

/** Opens the data set. @throws OrtuneError `CLASSES`, and as `openDataset` */
export async function openData({ data, split, seed, expectedClasses, emit, signal }: DataOptions): Promise<Dataset> {
  const dataset = await openDataset(data, {
    seed,
    ...(split !== undefined && { split }),
    onProgress: (done, total) => emit({ type: 'progress', task: 'archive', done, total }),
    signal,
  });
  checkClasses(dataset, expectedClasses, data);
  emit({ type: 'dataset', dataset });
  return dataset;
}

/** @throws OrtuneError `CLASSES` when the data set is not of the classes that the network was made for */
function checkClasses({ classes }: Dataset, expected: number | readonly string[], data: string): void {
  const count = typeof expected === 'number' ? expected : expected.length;
  if (classes.length !== count) {
    throw new OrtuneError(
      'CLASSES',
      `${data} has ${classes.length} classes, but the network was built for ${count}. ` +
        `Build one with npx ortune build-graph --classes ${classes.length}, or choose other data.`,
    );
  }
  if (typeof expected === 'number') return;
  const at = classes.findIndex((name, index) => name !== expected[index]);
  if (at >= 0) {
    throw new OrtuneError(
      'CLASSES',
      `${data}: expected stage one's classes; class ${at} is "${classes[at]}", stage one had "${expected[at]}" there. ` +
        'Use the data that stage one was trained on, or run npx ortune pretrain on this.',
    );
  }
}

/** @throws OrtuneError `OPTION` when the part that passes are to be tested on has no pictures */
export function requireWatched({ split, valid }: Dataset, watch: 'test' | 'valid'): void {
  if (watch === 'test' || valid.length > 0) return;
  throw new OrtuneError(
    'OPTION',
    `--watch valid: expected a validation part, but the split ${split} has none. Take one that does, such as --split ratio:0.7/0.15/0.15.`,
  );
}

export interface CheckOptions {
  readonly onBadImage: 'stop' | 'skip';
  readonly emit: Emit;
  readonly signal?: AbortSignal | undefined;
  /** Where all pictures have been read through already. */
  readonly dataReport?: DataReport | undefined;
}

/**
 * Reads every picture through, so that none breaks a run half way. That takes a while with many: what is quick to check
 * should be checked before.
 *
 * @returns the data set, without broken pictures where they are to be skipped
 * @throws OrtuneError `IMAGE_UNREADABLE` naming all that are broken
 */
export async function checkPictures(
  dataset: Dataset,
  { onBadImage, emit, signal, dataReport }: CheckOptions,
): Promise<Dataset> {
  const samples = [...dataset.train, ...dataset.valid, ...dataset.test];
  const bad =
    (dataReport && badImagesOf(dataReport)) ??
    (await checkImages(samples, {
      onProgress: (done, total) => emit({ type: 'progress', task: 'check', done, total }),
      ...(signal && { signal }),
    }));
  if (bad.length === 0) return dataset;
  if (onBadImage === 'stop') throw badImagesError(bad, samples.length);
  emit({ type: 'bad-images', images: bad });
  return withoutBadImages(dataset, bad);
}
