import { mkdir, rename, rm, writeFile } from 'node:fs/promises';

/**
 * Writes files so that each is there whole or not at all: beside its place first, then renamed.
 *
 * @param folder made if need be
 * @param files contents by path, whole or in pieces
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
    } finally {
      await rm(partial, { force: true });
    }
  }
}
