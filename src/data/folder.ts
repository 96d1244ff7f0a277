/** A data set as folders: one per class, or such folders within `train/`, `test/` and `valid/`. */
import { readdir, realpath, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { OrtuneError } from '../errors.ts';
import { byCodeUnits, classesOf, type Entry, type Listing, type Partition, some, withValidation } from './listing.ts';

/** What the decoder reads. */
const IMAGE_EXTENSIONS: ReadonlySet<string> = new Set('.jpg .jpeg .png .webp .gif .tif .tiff .avif'.split(' '));
/** Left behind by file managers; nobody means them. Names that start with a dot are passed over as well. */
const CLUTTER: ReadonlySet<string> = new Set(['Thumbs.db', 'desktop.ini', '__MACOSX', '@eaDir']);
const SPLIT_FOLDERS: ReadonlyMap<string, keyof Partition> = new Map([
  ['train', 'train'],
  ['valid', 'valid'],
  ['val', 'valid'],
  ['validation', 'valid'],
  ['test', 'test'],
]);

/**
 * Lists the class folders; pictures may lie at any depth within them, links are followed.
 *
 * @throws OrtuneError `DATASET_LAYOUT` when there is no class folder; `DATASET_LABELS`
 */
export async function readFolder(root: string): Promise<Listing> {
  const top = await folders(root);
  const split = top.includes('train') && top.length > 1 && top.every((name) => SPLIT_FOLDERS.has(name));
  const names = split ? (await Promise.all(top.map((part) => folders(join(root, part))))).flat() : top;
  if (names.length === 0) {
    throw new OrtuneError(
      'DATASET_LAYOUT',
      `No data set in ${root}. Expected one of: a folder per class with its pictures; train/ and test/ with such folders; a labels.csv with the columns file,label; Flowers-102's jpg/ or 102flowers.tgz, with imagelabels.mat and setid.mat.`,
    );
  }
  const classes = classesOf(names, root);
  const index = new Map(classes.map((name, label) => [name, label]));

  const entries: Entry[] = [];
  const parts = { train: [] as Entry[], valid: [] as Entry[], test: [] as Entry[] };
  const strangers: string[] = [];
  const loose: string[] = [];
  for (const file of await listFiles(root)) {
    const path = file.split('/');
    const depth = split ? 1 : 0;
    const label = path.length > depth + 1 ? path[depth] : undefined;
    if (label === undefined) {
      if (isImage(file)) loose.push(file);
    } else if (!isImage(file)) {
      strangers.push(file);
    } else {
      const entry: Entry = { file, label: index.get(label)! };
      entries.push(entry);
      if (split) parts[SPLIT_FOLDERS.get(path[0]!)!].push(entry);
    }
  }
  const warnings: string[] = [];
  if (loose.length > 0) warnings.push(`${loose.length} pictures in no class folder are left out: ${some(loose)}.`);
  if (strangers.length > 0) {
    warnings.push(`${strangers.length} files without a picture's extension are left out: ${some(strangers)}.`);
  }
  return { classes, entries, splits: new Map(split ? [['folders', parts], ...withValidation(parts)] : []), warnings };
}

/** Whether a file is called as a picture that is read. */
export const isImage = (file: string): boolean => IMAGE_EXTENSIONS.has(extname(file).toLowerCase());

/**
 * Files below `root` in the order of code units, relative to it, links followed. A link that leads nowhere counts as a
 * file, as does a pipe: the check of the pictures then names it, where a glob would drop it without a word.
 */
export async function listFiles(root: string, folder = '', above: readonly string[] = []): Promise<string[]> {
  const real = await realpath(join(root, folder));
  // A link to a folder that it lies in itself.
  if (above.includes(real)) return [];
  const found: string[][] = [];
  for (const { name, isFolder } of await visible(real)) {
    const path = folder ? `${folder}/${name}` : name;
    found.push(isFolder ? await listFiles(root, path, [...above, real]) : [path]);
  }
  return found.flat().sort(byCodeUnits);
}

async function folders(path: string): Promise<string[]> {
  return (await visible(path)).filter(({ isFolder }) => isFolder).map(({ name }) => name);
}

async function visible(folder: string): Promise<{ name: string; isFolder: boolean }[]> {
  const found: { name: string; isFolder: boolean }[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.name.startsWith('.') || CLUTTER.has(entry.name)) continue;
    const target = entry.isSymbolicLink() ? await stat(join(folder, entry.name)).catch(() => undefined) : entry;
    found.push({ name: entry.name, isFolder: target?.isDirectory() ?? false });
  }
  return found;
}
