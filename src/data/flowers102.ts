/**
 * Oxford 102 Flowers as published (Nilsback and Zisserman, ICVGIP 2008): `102flowers.tgz` with `jpg/image_00001.jpg` and
 * on, or what is unpacked from it; `imagelabels.mat` with one label per picture, `setid.mat` with the picture numbers of
 * the three sets. All numbers count from 1.
 */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { OrtuneError } from '../errors.ts';
import { type UnpackOptions, unpackPictures } from './archive.ts';
import { type Entry, type Listing, requireFiles, stopAtMissing, withValidation } from './listing.ts';
import { readMat } from './mat.ts';
import type { ByteRange } from './sample.ts';

const ARCHIVE = '102flowers.tgz';
const LABELS = 'imagelabels.mat';
const SETS = 'setid.mat';
/** Not part of the publication, but often put beside it: `{"1": "pink primrose", ...}`. */
const NAMES = 'cat_to_name.json';

export interface Flowers102Options extends Omit<UnpackOptions, 'wants'> {
  /** The archive, where its path was given; otherwise it is looked for in the folder, unless `jpg/` is there. */
  readonly archive?: string | undefined;
}

/** Whether a folder is meant to be Flowers-102: its archive or one of its label files is there. */
export async function isFlowers102(root: string): Promise<boolean> {
  const found = await Promise.all([ARCHIVE, LABELS, SETS].map((name) => exists(join(root, name))));
  return found.some(Boolean);
}

/**
 * Reads the layout. Classes are in the order of the numbers, label 1 first; they are named by `cat_to_name.json` where
 * that lies beside, and by their numbers otherwise.
 *
 * Splits: `tutorial` trains on `tstid` and tests on `trnid`, as PaddlePaddle's reader does; `official` trains on `trnid`
 * and tests on `tstid`; `train+valid` trains on `trnid` and `valid` and tests on `tstid`. All keep the order of `setid.mat`.
 *
 * @param folder with the label files
 * @returns with `root`, the folder or the archive that the pictures lie in
 * @throws OrtuneError `DATASET_LAYOUT`, `DATASET_LABELS`, `DATASET_SPLIT`, `DATASET_FILES_MISSING`, `MAT_INVALID`; for an
 *   archive also as `unpackPictures`
 */
export async function readFlowers102(
  folder: string,
  { archive: given, ...unpack }: Flowers102Options = {},
): Promise<Listing & { root: string }> {
  const beside = join(folder, ARCHIVE);
  const archive = given ?? (!(await exists(join(folder, 'jpg'))) && (await exists(beside)) ? beside : undefined);
  const wanted = archive === undefined ? ['jpg', LABELS, SETS] : [LABELS, SETS];
  const found = await Promise.all(wanted.map((name) => exists(join(folder, name))));
  const absent = wanted
    .filter((_, index) => !found[index])
    .map((name) => (name === 'jpg' ? `jpg or ${ARCHIVE}` : name));
  if (absent.length > 0) {
    throw new OrtuneError(
      'DATASET_LAYOUT',
      `${folder} looks like Flowers-102 (jpg/ or ${ARCHIVE}, ${LABELS}, ${SETS}), but has no ${absent.join(', no ')}.`,
    );
  }
  const labels = await readNumbers(join(folder, LABELS), ['labels']);
  const sets = await readNumbers(join(folder, SETS), ['trnid', 'valid', 'tstid']);
  const entries = labels['labels']!.map((number, index): Entry => {
    if (!Number.isInteger(number) || number < 1 || number > 65_535) {
      throw new OrtuneError(
        'DATASET_LABELS',
        `${join(folder, LABELS)}: label ${number} of picture ${index + 1}; labels are whole numbers from 1.`,
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
          `${join(folder, SETS)}: picture ${number} in "${set}" ${entry ? `is in "${other}" already` : `is outside 1 to ${entries.length}, the pictures that ${LABELS} has labels for`}.`,
        );
      }
      owner.set(number, set);
      return entry;
    });
  const [trnid, valid, tstid] = [pick('trnid'), pick('valid'), pick('tstid')];
  const used = [...trnid, ...valid, ...tstid];
  const files = used.map(({ file }) => file);
  let inArchive: { ranges: ReadonlyMap<string, ByteRange>; warnings: string[] } | undefined;
  if (archive === undefined) await requireFiles(folder, files, SETS);
  else inArchive = await openArchive(archive, files, unpack);

  const count = entries.reduce((most, { label }) => Math.max(most, label + 1), 0);
  const { classes, warnings } = await classNames(folder, count);
  const official = { train: trnid, valid, test: tstid };
  const splits = new Map([
    ['tutorial', { train: tstid, valid, test: trnid }],
    ['official', official],
    ...withValidation(official),
  ]);
  const listing = { classes, entries: used, splits };
  if (archive === undefined || !inArchive) return { root: folder, ...listing, warnings };
  const { ranges } = inArchive;
  return { root: archive, ...listing, ranges, warnings: [...warnings, ...inArchive.warnings] };
}

/** The pictures in the archive. @throws OrtuneError `DATASET_FILES_MISSING`, and as `unpackPictures` */
async function openArchive(
  archive: string,
  files: readonly string[],
  options: Omit<UnpackOptions, 'wants'>,
): Promise<{ ranges: ReadonlyMap<string, ByteRange>; warnings: string[] }> {
  // Not just those of the sets: what is unpacked depends on the archive alone.
  const wants = (name: string) => /^jpg\/image_\d{5}\.jpg$/.test(name);
  const { ranges, ignored, ignoredCount } = await unpackPictures(archive, { ...options, wants });
  const missing = files.filter((file) => !ranges.has(file));
  stopAtMissing(missing, { total: files.length, listedIn: SETS, root: archive });
  if (ignoredCount === 0) return { ranges, warnings: [] };
  const names = ignored.map((name) => JSON.stringify(name)).join(', ');
  const rest = ignoredCount > ignored.length ? ` and ${ignoredCount - ignored.length} more` : '';
  return {
    ranges,
    warnings: [
      `${archive}: ${ignoredCount} entries that are no pictures of the data set are ignored: ${names}${rest}.`,
    ],
  };
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
