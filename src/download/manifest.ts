/** What came from where, beside the files themselves: for those without a published checksum the only trace of it. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OrtuneError } from '../errors.ts';
import { writeFiles } from '../write-files.ts';
import type { Digests } from './checksum.ts';

const MANIFEST = 'downloads.json';

export interface ManifestEntry extends Digests {
  readonly url: string;
  /** Whether a published checksum agreed. */
  readonly verified: boolean;
  /** When it was first recorded. */
  readonly date: string;
}

/** By file name. @throws OrtuneError `DOWNLOAD_MANIFEST` when something else is in its place */
export async function readManifest(folder: string): Promise<Record<string, ManifestEntry>> {
  const path = join(folder, MANIFEST);
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  });
  if (text === undefined) return {};
  try {
    const { files } = JSON.parse(text) as { files?: Record<string, ManifestEntry> };
    if (typeof files === 'object' && files !== null) return { ...files };
  } catch {
    // As for any other content.
  }
  throw new OrtuneError(
    'DOWNLOAD_MANIFEST',
    `${path}: expected the record of earlier downloads, found something else. Move it away.`,
  );
}

export async function record(folder: string, name: string, entry: ManifestEntry): Promise<void> {
  const files = { ...(await readManifest(folder)), [name]: entry };
  await writeFiles(folder, { [join(folder, MANIFEST)]: Buffer.from(`${JSON.stringify({ files }, null, 2)}\n`) });
}
