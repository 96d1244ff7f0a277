import { mkdtemp, readdir, realpath, rename, rm, rmdir, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { isAlive } from '../alive.ts';
import { OrtuneError } from '../errors.ts';
import { outputError } from '../output-error.ts';
import { makeFolder, syncFolder, syncTree } from '../write-files.ts';

/** Every folder that a stage writes has this file, by which a later run knows that it may replace it. */
export const RUN_FILE = 'run.json';

/**
 * Checks, before anything is computed, that a result may go to `out`.
 *
 * @param out folder to be made or replaced
 * @param data the user's data, in which nothing is ever written
 * @throws OrtuneError `OUTPUT` when `out` holds something that ortune did not write, touches the data, or cannot be written
 */
export async function checkOutputFolder(out: string, data: string): Promise<void> {
  const folder = resolve(out);
  const [to, from] = await Promise.all([realPath(folder), realPath(resolve(data))]);
  if (contains(from, to) || contains(to, from)) {
    throw new OrtuneError('OUTPUT', `--out ${out}: expected a folder apart from the data in ${data}; choose another.`);
  }
  const found = await stat(folder).catch(() => undefined);
  const files = found?.isDirectory() ? await readdir(folder) : undefined;
  if (found && (!files || (files.length > 0 && !files.includes(RUN_FILE)))) {
    throw new OrtuneError(
      'OUTPUT',
      `--out ${out}: expected a new folder or an earlier result (with a ${RUN_FILE}), found ${files ? 'other files' : 'a file'}; it is left as it is. Choose another --out.`,
    );
  }
  await requireWritable(dirname(folder), 'out', out);
}

/** Whether a path is that of a folder or leads into it, by links too. */
export async function liesWithin(path: string, folder: string): Promise<boolean> {
  const [to, from] = await Promise.all([realPath(resolve(path)), realPath(resolve(folder))]);
  return contains(from, to);
}

/**
 * Checks, before anything is computed, that a file may be written, and without touching the user's data where they are known.
 *
 * @param flag what named the file, for the message
 * @throws OrtuneError `OUTPUT`
 */
export async function checkOutputFile(flag: string, file: string, data?: string): Promise<void> {
  if (data !== undefined && (await liesWithin(file, data))) {
    throw new OrtuneError(
      'OUTPUT',
      `--${flag} ${file}: expected a file apart from the data in ${data}; choose another.`,
    );
  }
  await requireWritable(dirname(resolve(file)), flag, file);
}

/** Makes and removes a folder where the result will lie: permission bits say nothing of a read-only file system. */
async function requireWritable(folder: string, flag: string, file: string): Promise<void> {
  const parent = await existingFolder(folder);
  try {
    await rmdir(await mkdtemp(join(parent, '.ortune-')));
  } catch (error) {
    throw new OrtuneError(
      'OUTPUT',
      `--${flag} ${file}: expected a place to write to, but no folder can be made in ${parent} (${(error as NodeJS.ErrnoException).code}). Choose another --${flag}.`,
      { cause: error },
    );
  }
}

/** A folder that is there, and on whose file system the result will lie. */
export const parentOf = (out: string): Promise<string> => existingFolder(dirname(resolve(out)));

/** The nearest of a path and the folders above it that is there. */
async function existingFolder(path: string): Promise<string> {
  if (dirname(path) === path || (await stat(path).catch(() => undefined))) return path;
  return existingFolder(dirname(path));
}

/**
 * Writes a folder as a whole: `fill` gets a folder beside it, which takes its place once `fill` is done. Until then an
 * older result stays; if `fill` fails nothing is left behind.
 *
 * @throws OrtuneError `OUTPUT` when the system refuses to write; whatever else `fill` throws
 */
export async function replaceFolder(out: string, fill: (folder: string) => Promise<void>): Promise<void> {
  const folder = resolve(out);
  const staging = sibling(folder, 'new', process.pid);
  const old = sibling(folder, 'old', process.pid);
  try {
    await removeAbandoned(folder);
    await makeFolder(staging);
    await fill(staging);
    await syncTree(staging);
    const replaces = await rename(folder, old).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return false;
        throw error;
      },
    );
    await rename(staging, folder).catch(async (error) => {
      if (replaces) await rename(old, folder);
      throw error;
    });
    await syncFolder(dirname(folder));
    // What is left of it goes with the next.
    await rm(old, { recursive: true, force: true }).catch(() => {});
  } catch (error) {
    await rm(staging, { recursive: true, force: true }).catch(() => {});
    throw outputError(`--out ${out}`, error, 'Older results are as they were.');
  }
}

const sibling = (folder: string, part: 'new' | 'old', pid: number) =>
  join(dirname(folder), `.${basename(folder)}.${part}-${pid}`);

/** Clears what a killed run left beside `folder`, and puts its last whole result back if the kill came mid-exchange. */
async function removeAbandoned(folder: string): Promise<void> {
  const pattern = /^\.(.+)\.(new|old)-(\d+)$/;
  for (const entry of await readdir(dirname(folder)).catch(() => [])) {
    const [, name, part, pid] = pattern.exec(entry) ?? [];
    if (name !== basename(folder) || isOthers(Number(pid))) continue;
    const path = join(dirname(folder), entry);
    if (part === 'old' && !(await stat(folder).catch(() => undefined))) await rename(path, folder);
    else await rm(path, { recursive: true, force: true });
  }
}

const isOthers = (pid: number) => pid !== process.pid && isAlive(pid);

/** The path without symbolic links, of what is not there yet as far as it is. */
async function realPath(path: string): Promise<string> {
  return realpath(path).catch(async () => {
    const parent = dirname(path);
    return parent === path ? path : join(await realPath(parent), basename(path));
  });
}

function contains(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way === '' || !(way === '..' || way.startsWith(`..${sep}`) || resolve(way) === way);
}
