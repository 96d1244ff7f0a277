/** From an archive to a folder, which is there whole or not at all. */
import { createWriteStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { OrtuneError } from '../errors.ts';
import { isSystemError, outputError } from '../output-error.ts';
import { syncFolder, syncTree } from '../write-files.ts';
import { ARCHIVE_LIMITS, ArchiveGuard, type ArchiveLimits } from './archive-guard.ts';
import { readTgz } from './tgz.ts';
import { readZip } from './zip.ts';

export interface ArchiveEntry {
  readonly name: string;
  readonly kind: 'file' | 'folder';
  readonly size: number;
  /** The file's contents; to be read before the next entry is asked for. */
  readonly contents?: () => Promise<Readable>;
}

export interface UnpackOptions {
  readonly limits?: ArchiveLimits;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Unpacks a zip or gzipped tar archive into `folder`. If the archive holds nothing but one folder, that folder's
 * contents are taken. Modes, owners and times are the system's own.
 *
 * @param folder must not be there; is made by renaming once everything is unpacked
 * @returns how many files
 * @throws OrtuneError `ARCHIVE_UNSAFE` for what could write elsewhere or fill the disk, `ARCHIVE_INVALID` for a damaged
 *   one, `OUTPUT` when the disk refuses; the signal's reason when aborted
 */
export async function unpack(archive: string, folder: string, options: UnpackOptions = {}): Promise<number> {
  const { limits = ARCHIVE_LIMITS, signal } = options;
  const staging = join(dirname(folder), `.${basename(folder)}.unpacking`);
  const guard = new ArchiveGuard(archive, limits);
  try {
    // Left by a run that was killed.
    await rm(staging, { recursive: true, force: true });
    await mkdir(staging, { recursive: true });
    for await (const entry of await entriesOf(archive, guard)) {
      signal?.throwIfAborted();
      await write(entry, staging, guard, signal);
    }
    if (guard.entries === 0) throw new Error('it holds no files');
    await syncTree(staging);
    await rename(await topOf(staging), folder);
    await syncFolder(dirname(folder));
    return guard.entries;
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof OrtuneError) throw error;
    if (isSystemError(error)) throw outputError(folder, error, `${archive} is as it was.`);
    throw new OrtuneError(
      'ARCHIVE_INVALID',
      `${archive}: expected a sound archive, but it is cut short or damaged: ${error instanceof Error ? error.message : String(error)}.`,
      { cause: error },
    );
  } finally {
    await rm(staging, { recursive: true, force: true }).catch(() => {});
  }
}

async function entriesOf(archive: string, guard: ArchiveGuard): Promise<AsyncIterable<ArchiveEntry>> {
  const file = await open(archive);
  const head = Buffer.alloc(4);
  try {
    await file.read(head, 0, 4, 0);
  } finally {
    await file.close();
  }
  if (head.toString('latin1').startsWith('PK')) return readZip(archive, guard);
  if (head[0] === 0x1f && head[1] === 0x8b) return readTgz(archive, guard);
  throw new Error(`it starts like neither zip nor gzip (${head.toString('hex')})`);
}

async function write(entry: ArchiveEntry, top: string, guard: ArchiveGuard, signal?: AbortSignal): Promise<void> {
  const path = join(top, ...guard.admit(entry.name, entry.kind, entry.size));
  if (!entry.contents) {
    await mkdir(path, { recursive: true });
    return;
  }
  await mkdir(dirname(path), { recursive: true });
  const count = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      try {
        guard.count(chunk.length);
        done(null, chunk);
      } catch (error) {
        done(error as Error);
      }
    },
  });
  await pipeline(await entry.contents(), count, createWriteStream(path, { flags: 'wx' }), signal ? { signal } : {});
}

/** The folder that everything lies in: `staging` itself, or an only folder at its top. */
async function topOf(staging: string): Promise<string> {
  const [only, ...more] = await readdir(staging);
  if (only === undefined || more.length > 0) return staging;
  const path = join(staging, only);
  return (await stat(path)).isDirectory() ? path : staging;
}
