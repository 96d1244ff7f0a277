import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { OrtuneError } from './errors.ts';

/**
 * Writes files so that each is there whole or not at all: beside its place first, then renamed.
 *
 * @param folder made if need be
 * @param files contents by path, whole or in pieces
 * @throws OrtuneError `OUTPUT` when the system refuses
 */
export async function writeFiles(
  folder: string,
  files: Readonly<Record<string, Uint8Array | readonly Uint8Array[]>>,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [path, contents] of Object.entries(files)) {
    const partial = `${path}.partial-${process.pid}`;
    try {
      await writeFile(partial, contents);
      await rename(partial, path);
    } catch (error) {
      // A full disk's own message names no path.
      throw new OrtuneError('OUTPUT', `${path} cannot be written: ${(error as Error).message}.`, { cause: error });
    } finally {
      await rm(partial, { force: true });
    }
  }
}
