/**
 * Oxford 102 Flowers as published (Nilsback and Zisserman, ICVGIP 2008): `jpg/image_00001.jpg` and on, `imagelabels.mat`
 * with one label per picture, `setid.mat` with the picture numbers of the three sets. All numbers count from 1.
 */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { OrtuneError } from '../errors.ts';
import { type Entry, type Listing, requireFiles } from './listing.ts';
import { readMat } from './mat.ts';

const LABELS = 'imagelabels.mat';
const SETS = 'setid.mat';
/** Not part of the publication, but often put beside it: `{"1": "pink primrose", ...}`. */
const NAMES = 'cat_to_name.json';

/** Whether a folder is meant to be Flowers-102: one of its label files is there. */
export async function isFlowers102(root: string): Promise<boolean> {
  const found = await Promise.all([LABELS, SETS].map((name) => exists(join(root, name))));
  return found.some(Boolean);
}

/**
 * Reads the layout. Classes are in the order of the numbers, label 1 first; they are named by `cat_to_name.json` where
 * that lies beside, and by their numbers otherwise.
 *
 * Splits: `tutorial` trains on `tstid` and tests on `trnid`, as PaddlePaddle's reader does; `official` trains on `trnid`
 * and tests on `tstid`. Both keep the order of `setid.mat`.
 *
 * @throws OrtuneError `DATASET_LAYOUT`, `DATASET_LABELS`, `DATASET_SPLIT`, `DATASET_FILES_MISSING` or `MAT_INVALID`
 */
export async function readFlowers102(root: string): Promise<Listing> {
  const wanted = ['jpg', LABELS, SETS];
  const found = await Promise.all(wanted.map((name) => exists(join(root, name))));
  const absent = wanted.filter((_, index) => !found[index]);
  if (absent.length > 0) {
    throw new OrtuneError(
      'DATASET_LAYOUT',
      `${root} looks like Flowers-102 (jpg/, ${LABELS}, ${SETS}), but has no ${absent.join(', no ')}.`,
    );
  }
  const labels = await readNumbers(join(root, LABELS), ['labels']);
  const sets = await readNumbers(join(root, SETS), ['trnid', 'valid', 'tstid']);
  const entries = labels['labels']!.map((number, index): Entry => {
    if (!Number.isInteger(number) || number < 1 || number > 65_535) {
      throw new OrtuneError(
        'DATASET_LABELS',
        `${join(root, LABELS)}: label ${number} of picture ${index + 1}; labels are whole numbers from 1.`,
      );
    }
    return { file: `jpg/image_${String(index + 1).padStart(5, '0')}.jpg`, label: number - 1 };
  });

  const owner = new Map<number, string>();
  const pick = (set: string): Entry[] =>
    sets[set]!.map((number) => {
      const entry = entries[number - 1];
      const other = owner.get(number);
      if (!entry || other !== undefined) {
        throw new OrtuneError(
          'DATASET_SPLIT',
          `${join(root, SETS)}: picture ${number} in "${set}" ${entry ? `is in "${other}" already` : `is outside 1 to ${entries.length}, the pictures that ${LABELS} has labels for`}.`,
        );
      }
      owner.set(number, set);
      return entry;
    });
  const [trnid, valid, tstid] = [pick('trnid'), pick('valid'), pick('tstid')];
  const used = [...trnid, ...valid, ...tstid];
  await requireFiles(
    root,
    used.map(({ file }) => file),
    SETS,
  );

  const count = entries.reduce((most, { label }) => Math.max(most, label + 1), 0);
  const { classes, warnings } = await classNames(root, count);
  const splits = new Map([
    ['tutorial', { train: tstid, valid, test: trnid }],
    ['official', { train: trnid, valid, test: tstid }],
  ]);
  return { classes, entries: used, splits, warnings };
}

async function readNumbers(path: string, names: readonly string[]): Promise<Record<string, number[]>> {
  const arrays = readMat(await readFile(path), path);
  return Object.fromEntries(
    names.map((name) => {
      const array = arrays.get(name);
      if (!array) {
        throw new OrtuneError(
          'MAT_INVALID',
          `${path} has no numeric array "${name}"; it has: ${[...arrays.keys()].join(', ') || 'none'}.`,
        );
      }
      return [name, [...array.data]];
    }),
  );
}

/** Names by number; a file of names that does not fit is passed over with a warning, since the numbers always do. */
async function classNames(root: string, count: number): Promise<{ classes: string[]; warnings: string[] }> {
  const numbers = Array.from({ length: count }, (_, index) => String(index + 1));
  const path = join(root, NAMES);
  if (!(await exists(path))) return { classes: numbers, warnings: [] };
  try {
    const names = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
    const classes = numbers.map((number) => {
      const name = names[number];
      if (typeof name !== 'string' || name === '') throw new Error(`no name for class ${number}`);
      return name;
    });
    if (new Set(classes).size < count) throw new Error('two classes of one name');
    return { classes, warnings: [] };
  } catch (error) {
    return { classes: numbers, warnings: [`${path} is not used: ${(error as Error).message}. Classes go by number.`] };
  }
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
