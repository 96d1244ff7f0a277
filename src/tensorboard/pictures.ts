import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { drawContactSheet } from '../augment/contact-sheet.ts';
import { checkAugmentation, readSquare } from '../augment/index.ts';
import { drawPreview } from '../augment/preview.ts';
import { DecodedCache } from '../data/decoded-cache.ts';
import { type Dataset, imageTransform, nameOf } from '../data/index.ts';
import type { EvaluationResult } from '../metrics/index.ts';
import { Random } from '../random.ts';
import type { TrainingEvent } from '../training/index.ts';
import type { ShownPicture } from './summary.ts';

const SIDE = 128;
const AUGMENTED = 6;
const PASSES = 6;
const WORST = 12;

/** What is done to training pictures, and the seed that it is drawn by. */
export type Augmentation = Pick<Extract<TrainingEvent, { type: 'start' }>, 'augment' | 'seed'>;

/** Some training pictures as they are tested and as they are trained on, where anything is done to them. */
export async function augmentedPictures(
  dataset: Dataset,
  { augment, seed }: Augmentation,
): Promise<ShownPicture | undefined> {
  if (augment === false || dataset.train.length === 0) return undefined;
  const augmentation = checkAugmentation(augment === true ? {} : augment);
  const chosen = [...new Random(seed, 'preview').permutation(dataset.train.length).subarray(0, AUGMENTED)];
  return measured(await drawPreview(dataset, { augmentation, chosen, passes: PASSES, imageSize: SIDE, seed }));
}

/** The pictures that a saved result was furthest off on in its test, where it had one. */
export async function furthestOff(dataset: Dataset, folder: string): Promise<ShownPicture | undefined> {
  const text = await readFile(join(folder, 'metrics.json'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const { topLosses } = JSON.parse(text) as EvaluationResult;
  const samples = new Map(dataset.test.map((sample) => [nameOf(dataset, sample), sample]));
  await using cache = new DecodedCache({ memoryBytes: 0 });
  const rows: { label: string; squares: Uint8Array[] }[] = [];
  for (const { picture, label, predicted, confidence } of topLosses.slice(0, WORST)) {
    const sample = samples.get(String(picture));
    if (!sample) continue;
    const square = await readSquare(sample, { cache, transform: imageTransform(SIDE) });
    rows.push({
      label: `${label}, taken for ${predicted} (${(100 * confidence).toFixed(0)}\u00a0%)`,
      squares: [square],
    });
  }
  if (rows.length === 0) return undefined;
  return measured(await drawContactSheet({ columns: [''], rows, imageSize: SIDE }));
}

async function measured(file: Uint8Array): Promise<ShownPicture> {
  const { width, height } = await sharp(file).metadata();
  return { file, width, height };
}
