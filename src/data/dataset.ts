/**
 * A data set on disk, as lists of pictures with labels. Everything that can be wrong with names, labels and splits is
 * found here, before a picture is decoded; the user's folder is only read.
 */
import { stat } from 'node:fs/promises';
import { dirname, extname, join, resolve } from 'node:path';
import { OrtuneError } from '../errors.ts';
import { readCsv } from './csv.ts';
import { isFlowers102, readFlowers102 } from './flowers102.ts';
import { readFolder } from './folder.ts';
import { type Listing, some } from './listing.ts';
import { chooseSplit } from './split.ts';

/** One picture: its absolute path and the index of its class. */
export interface Sample {
  readonly file: string;
  readonly label: number;
}

export interface Dataset {
  /** Absolute path of the folder that holds the pictures. */
  readonly root: string;
  readonly kind: 'flowers102' | 'csv' | 'folder';
  /** The split in use: `tutorial`, `official`, `column` (the CSV's), `folders` (train/ and test/), or `ratio:0.8`. */
  readonly split: string;
  /** Class names by label. */
  readonly classes: readonly string[];
  readonly train: readonly Sample[];
  readonly valid: readonly Sample[];
  readonly test: readonly Sample[];
  /** What the user should hear of though it stops nothing: files left out, the validation part used as test, ... */
  readonly warnings: readonly string[];
}

/**
 * Opens a data set of any of the known layouts, a `labels.csv` going before the rest:
 *
 * - Flowers-102 as published: `jpg/`, `imagelabels.mat`, `setid.mat`; split `tutorial` by default, or `official`;
 * - a CSV file with the columns `file,label[,split]`, given itself or as `labels.csv` in the folder; split: its own
 *   column if it has one (without rows of `test`, those of `valid` are tested on), otherwise `ratio:0.8`;
 * - a folder per class, pictures at any depth below it; split `ratio:0.8`; or such folders within `train/`, `test/` and
 *   `valid/`, which then are the split.
 *
 * `ratio:R` is there for all: per class, a share R of the pictures trains and the rest tests, drawn by the seed.
 *
 * @param path a folder or a CSV file
 * @throws OrtuneError `DATASET_*`, `CSV_INVALID` or `MAT_INVALID`, naming the file, line, class or value at fault
 */
export async function openDataset(path: string, options: { split?: string; seed?: number } = {}): Promise<Dataset> {
  const { kind, root, ...listing } = await list(resolve(path)).catch((error: NodeJS.ErrnoException) => {
    if (error.syscall === undefined) throw error;
    const file = error.path ?? path;
    throw new OrtuneError('DATASET_UNREADABLE', `${file} cannot be read (${error.code}).`, { cause: error });
  });
  if (listing.classes.length < 2) {
    throw new OrtuneError(
      'DATASET_CLASSES',
      `${path}: a classifier needs two classes or more, found ${listing.classes.length}${listing.classes.length === 1 ? ` ("${listing.classes[0]}")` : ''}.`,
    );
  }
  const { name, partition, warnings } = chooseSplit(listing, { ...options, where: path });
  const samples = (part: 'train' | 'valid' | 'test'): Sample[] =>
    partition[part].map(({ file, label }) => ({ file: join(root, file), label }));
  const dataset: Dataset = {
    root,
    kind,
    split: name,
    classes: listing.classes,
    train: samples('train'),
    valid: samples('valid'),
    test: samples('test'),
    warnings: [...listing.warnings, ...warnings],
  };
  requireTrainable(dataset, `in ${path} (split ${name})`);
  return dataset;
}

/**
 * Stops when a class has nothing to learn from or when nothing is left to test on.
 *
 * @throws OrtuneError `DATASET_CLASSES` or `DATASET_SPLIT`
 */
export function requireTrainable(dataset: Pick<Dataset, 'classes' | 'train' | 'test'>, where: string): void {
  const counts = new Uint32Array(dataset.classes.length);
  for (const { label } of dataset.train) counts[label] = counts[label]! + 1;
  const empty = dataset.classes.filter((_, label) => counts[label] === 0);
  if (empty.length > 0) {
    throw new OrtuneError(
      'DATASET_CLASSES',
      `${empty.length} of ${dataset.classes.length} classes have no training picture ${where}: ${some(empty.map((name) => `"${name}"`))}. Add pictures, or take the class out.`,
    );
  }
  if (dataset.test.length === 0) {
    throw new OrtuneError(
      'DATASET_SPLIT',
      `No picture is left to test on ${where}. Mark some as test, or give classes two pictures or more with --split ratio:0.8.`,
    );
  }
}

async function list(path: string): Promise<Listing & { kind: Dataset['kind']; root: string }> {
  const found = await stat(path).catch(() => undefined);
  if (!found)
    throw new OrtuneError('DATASET_NOT_FOUND', `No data set at ${path}: there is no such folder or CSV file.`);
  if (!found.isDirectory()) {
    if (extname(path).toLowerCase() !== '.csv') {
      throw new OrtuneError(
        'DATASET_NOT_FOUND',
        `${path} is neither a folder nor a .csv file; a data set is one of them.`,
      );
    }
    return { kind: 'csv', root: dirname(path), ...(await readCsv(path)) };
  }
  const csv = join(path, 'labels.csv');
  // A list written by the user says more than the layout it was put into.
  if (await stat(csv).catch(() => undefined)) return { kind: 'csv', root: path, ...(await readCsv(csv)) };
  if (await isFlowers102(path)) return { kind: 'flowers102', root: path, ...(await readFlowers102(path)) };
  return { kind: 'folder', root: path, ...(await readFolder(path)) };
}
