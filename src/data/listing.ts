/** What each layout's reader hands over, and what the readers share. */
import { readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { OrtuneError } from '../errors.ts';
import { printable } from './picture-name.ts';
import type { ByteRange } from './sample.ts';

/** One picture: path relative to the root, with forward slashes, and the index of its class. */
export interface Entry {
  readonly file: string;
  readonly label: number;
}

export interface Partition {
  readonly train: readonly Entry[];
  readonly valid: readonly Entry[];
  readonly test: readonly Entry[];
}

export interface Listing {
  readonly classes: readonly string[];
  readonly entries: readonly Entry[];
  /** The splits that come with the data, by name; the first is the default. */
  readonly splits: ReadonlyMap<string, Partition>;
  /** Where the pictures of an archive lie, by `file`. */
  readonly ranges?: ReadonlyMap<string, ByteRange>;
  readonly warnings: readonly string[];
}

/** The split of its own that trains on the validation part too, where there is one beside a test part. */
export function withValidation(split: Partition): [name: string, split: Partition][] {
  if (split.valid.length === 0 || split.test.length === 0) return [];
  return [['train+valid', { train: [...split.train, ...split.valid], valid: [], test: split.test }]];
}

/** The first ten of a list, for messages. */
export function some(items: readonly string[]): string {
  const first = items.slice(0, 10).map(printable).join(', ');
  return items.length <= 10 ? first : `${first} and ${items.length - 10} more`;
}

/** Orders strings by code units: the same on every machine, whatever its language. */
export function byCodeUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * The classes that a list of labels names: distinct, in order; as numbers when all of them are numbers (`1`, `-2`, `10.0`).
 *
 * @throws OrtuneError `DATASET_LABELS` when two labels are spellings of one number (`1` and `01`, `1.0`) or of one word (é
 *   as one character and as two, as macOS writes it)
 */
export function classesOf(labels: Iterable<string>, where: string): string[] {
  const classes = [...new Set(labels)].sort(byCodeUnits);
  const words = new Set<string>();
  for (const label of classes) {
    const word = label.normalize();
    if (words.has(word)) {
      throw new OrtuneError(
        'DATASET_LABELS',
        `${where}: two labels look the same, "${printable(word)}", but are made of different Unicode characters; use one spelling.`,
      );
    }
    words.add(word);
  }
  if (!classes.every((label) => /^[+-]?\d+(\.\d+)?$/.test(label))) return classes;
  classes.sort((a, b) => Number(a) - Number(b));
  for (const [index, label] of classes.entries()) {
    const before = classes[index - 1];
    if (before !== undefined && Number(before) === Number(label)) {
      throw new OrtuneError(
        'DATASET_LABELS',
        `${where}: the labels "${before}" and "${label}" are one number spelt in two ways; use one spelling.`,
      );
    }
  }
  return classes;
}

/**
 * Stops when listed files are not there.
 *
 * @throws OrtuneError `DATASET_FILES_MISSING` with the first ten and the count
 */
export async function requireFiles(root: string, files: readonly string[], listedIn: string): Promise<void> {
  const missing: string[] = [];
  const folders = new Map<string, Set<string>>();
  for (const file of files) {
    const folder = dirname(join(root, file));
    // One listing per folder instead of one look per file: thousands of files lie in a few folders.
    let names = folders.get(folder);
    if (!names) {
      names = new Set(await readdir(folder).catch(() => []));
      folders.set(folder, names);
    }
    if (names.has(file.slice(file.lastIndexOf('/') + 1))) continue;
    // File systems that fold case or Unicode forms find names that a listing spells differently.
    if (!(await stat(join(root, file)).catch(() => undefined))) missing.push(file);
  }
  stopAtMissing(missing, { total: files.length, listedIn, root });
}

/** @throws OrtuneError `DATASET_FILES_MISSING` unless none is missing */
export function stopAtMissing(
  missing: readonly string[],
  { total, listedIn, root }: { total: number; listedIn: string; root: string },
): void {
  if (missing.length === 0) return;
  throw new OrtuneError(
    'DATASET_FILES_MISSING',
    `${missing.length} of ${total} files listed in ${listedIn} are not in ${root}: ${some(missing)}.`,
  );
}
