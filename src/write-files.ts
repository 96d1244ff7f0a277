import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isAlive } from './alive.ts';
import { outputError } from './output-error.ts';

/**
 * Writes files so that each is there whole or not at all: all of them beside their places first, on the disk, then renamed.
 *
 * @param folder made if need be
 * @param files contents by path, whole or in pieces
 * @throws OrtuneError `OUTPUT` when the system refuses: the path, why, and what to do
 */
export async function writeFiles(
  folder: string,
  files: Readonly<Record<string, Uint8Array | readonly Uint8Array[]>>,
): Promise<void> {
  const partials = new Map(Object.keys(files).map((path) => [path, partialOf(path)]));
  let at = folder;
  try {
    await makeFolder(folder);
    for (const [path, partial] of partials) {
      at = path;
      await removeAbandoned(path);
      await writeSynced(partial, files[path]!);
    }
    for (const [path, partial] of partials) {
      at = path;
      await rename(partial, path);
    }
    await syncFolder(folder);
  } catch (error) {
    throw outputError(at, error);
  } finally {
    for (const partial of partials.values()) await rm(partial, { force: true }).catch(() => {});
  }
}

/** Makes a folder, and those above it. */
export async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true }).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    // So Node says of a read-only disk, too: one by one, each refusal has its own reason.
    await makeFolder(dirname(path));
    await mkdir(path);
  });
}

/** A name beside a file's, for what is to become it. What a killed process leaves there goes with the next {@link writeFiles}. */
export const partialOf = (path: string): string => `${path}.partial-${process.pid}-${randomUUID()}`;

async function removeAbandoned(path: string): Promise<void> {
  const start = `${basename(path)}.partial-`;
  for (const name of await readdir(dirname(path))) {
    if (!name.startsWith(start) || isAlive(Number.parseInt(name.slice(start.length), 10))) continue;
    await rm(join(dirname(path), name), { force: true });
  }
}

/** Writes a file to the disk. */
export async function writeSynced(path: string, contents: Uint8Array | readonly Uint8Array[]): Promise<void> {
  await using handle = await open(path, 'w');
  await writeFile(handle, contents);
  await handle.sync();
}

/** Brings all that a folder holds to the disk, and itself. */
export async function syncTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await syncTree(path);
    else await syncFile(path);
  }
  await syncFolder(folder);
}

/** Brings a file that was written by other means to the disk. */
export async function syncFile(path: string): Promise<void> {
  await using handle = await open(path, 'r+');
  await handle.sync();
}

/** Brings a folder's entries to the disk: without it a name can be lost that was given. */
export async function syncFolder(folder: string): Promise<void> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(folder, 'r');
    await handle.sync();
  } catch (error) {
    // Systems and file systems that sync no folders.
    if (!['EINVAL', 'ENOTSUP', 'EISDIR', 'EPERM', 'EACCES'].includes(String((error as NodeJS.ErrnoException).code)))
      throw error;
  } finally {
    await handle?.close();
  }
}
