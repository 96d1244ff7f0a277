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
import type { Sample } from './sample.ts';
import { chooseSplit } from './split.ts';

export type { Sample } from './sample.ts';

/** Pictures with their classes, in the parts of a split. */
export interface Dataset {
  /** Absolute path of the folder, or the archive, that holds the pictures. */
  readonly root: string;
  readonly kind: 'flowers102' | 'csv' | 'folder';
  /**
   * The split in use: `tutorial`, `official`, `column` (the CSV's), `folders` (train/ and test/), `train+valid`,
   * `ratio:0.8`, `ratio:0.7/0.15/0.15` or `fold:1/5`.
   */
  readonly split: string;
  /** Class names by label. */
  readonly classes: readonly string[];
  readonly train: readonly Sample[];
  readonly valid: readonly Sample[];
  readonly test: readonly Sample[];
  /** What the user should hear of though it stops nothing: files left out, the validation part used as test, ... */
  readonly warnings: readonly string[];
}

/** How a data set is opened and split. */
export interface OpenOptions {
  /** See `openDataset`; the data set's own by default. */
  readonly split?: string;
  /** Draws `ratio:` and `fold:`. Default 0. */
  readonly seed?: number;
  /** Where the pictures of an archive are kept; `ortune` in the user's cache folder (XDG_CACHE_HOME) by default. */
  readonly cacheFolder?: string | undefined;
  /** Bytes of an archive that is read. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Stops the reading of an archive. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens a data set of any of the known layouts, a `labels.csv` going before the rest:
 *
 * - Flowers-102 as published: `102flowers.tgz` or the `jpg/` unpacked from it, `imagelabels.mat`, `setid.mat`; split
 *   `tutorial` by default, or `official`. The archive may be given itself. Its pictures are put into one file in the cache
 *   folder, named by the archive's content, and found there the next time: read them by `readSample`;
 * - a CSV file with the columns `file,label[,split]`, given itself or as `labels.csv` in the folder; split: its own
 *   column if it has one (without rows of `test`, those of `valid` are tested on), otherwise `ratio:0.8`;
 * - a folder per class, pictures at any depth below it; split `ratio:0.8`; or such folders within `train/`, `test/` and
 *   `valid/` (or `val/`, `validation/`), which then are the split.
 *
 * There for all, drawn class by class by the seed:
 *
 * - `ratio:R`, a share R of the pictures trains and the rest tests; `ratio:A/B/C`, shares that train, validate and test;
 * - `fold:I/K`, cross-validation: the Ith of K parts of equal size tests and the others train.
 *
 * `train+valid` is there where the data come with all three parts: both train, and the test part tests.
 *
 * @param path a folder, a CSV file, or Flowers-102's archive
 * @throws OrtuneError `DATASET_*`, `CSV_INVALID`, `MAT_INVALID` or `ARCHIVE_INVALID`, naming the file, line, class or value
 *   at fault; the signal's reason when it is aborted
 */
export async function openDataset(path: string, options: OpenOptions = {}): Promise<Dataset> {
  const { kind, root, ...listing } = await list(resolve(path), options).catch((error: NodeJS.ErrnoException) => {
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
    partition[part].map(({ file, label }) => {
      const range = listing.ranges?.get(file);
      return { file: join(root, file), label, ...(range && { range }) };
    });
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

async function list(
  path: string,
  { cacheFolder, onProgress, signal }: OpenOptions,
): Promise<Listing & { kind: Dataset['kind']; root: string }> {
  const unpack = { cacheFolder, signal, ...(onProgress && { onProgress }) };
  const found = await stat(path).catch(() => undefined);
  if (!found)
    throw new OrtuneError('DATASET_NOT_FOUND', `No data set at ${path}: there is no such folder or CSV file.`);
  if (!found.isDirectory()) {
    if (/\.(tgz|tar\.gz)$/i.test(path)) {
      return { kind: 'flowers102', ...(await readFlowers102(dirname(path), { archive: path, ...unpack })) };
    }
    if (extname(path).toLowerCase() !== '.csv') {
      throw new OrtuneError(
        'DATASET_NOT_FOUND',
        `${path} is neither a folder nor a .csv file nor Flowers-102's .tgz; a data set is one of them.`,
      );
    }
    return { kind: 'csv', root: dirname(path), ...(await readCsv(path)) };
  }
  const csv = join(path, 'labels.csv');
  // A list written by the user says more than the layout it was put into.
  if (await stat(csv).catch(() => undefined)) return { kind: 'csv', root: path, ...(await readCsv(csv)) };
  if (await isFlowers102(path)) return { kind: 'flowers102', ...(await readFlowers102(path, unpack)) };
  return { kind: 'folder', root: path, ...(await readFolder(path)) };
}
