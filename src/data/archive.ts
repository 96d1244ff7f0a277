/**
 * The pictures of an archive as one file of ours. A gzip cannot be entered in its middle, so the pictures' bytes are put
 * one after another into a file in the cache folder once; a picture then is a range of bytes in it.
 *
 * The file: the pictures, an index as JSON, and 16 bytes: the magic and the index's length in bytes (u64, little-endian).
 * It is named by the archive's SHA-256, and appears whole or not at all.
 */
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { OrtuneError } from '../errors.ts';
import { makeFolder, syncFolder } from '../write-files.ts';
import { readArchive } from './archive-read.ts';
import type { ByteRange } from './sample.ts';

export interface UnpackOptions {
  /** Whether a file of this name is a picture of the data set. */
  readonly wants: (name: string) => boolean;
  /** Where the file of pictures is kept; `ortune` in the user's cache folder by default. */
  readonly cacheFolder?: string | undefined;
  /** Bytes of the archive, which is read once to know it and, the first time, once more for the pictures. */
  onProgress?(done: number, total: number): void;
  readonly signal?: AbortSignal | undefined;
}

export interface UnpackedPictures {
  readonly ranges: ReadonlyMap<string, ByteRange>;
  /** Names of what else was in the archive, the first ten of `ignoredCount`. */
  readonly ignored: readonly string[];
  readonly ignoredCount: number;
}

interface Index {
  readonly files: readonly (readonly [name: string, offset: number, length: number])[];
  readonly ignored: readonly string[];
  readonly ignoredCount: number;
}

const MAGIC = 'ORTPACK1';
const TRAILER_BYTES = 16;
/** What a killed run left behind may go after so long. */
const ABANDONED_MS = 3_600_000;

/** `$XDG_CACHE_HOME/ortune`, or `~/.cache/ortune` (XDG Base Directory Specification). Nothing in it is needed to stay. */
function defaultCacheFolder(): string {
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'ortune');
}

/**
 * Finds the pictures of an archive in the cache, or puts them there.
 *
 * @throws OrtuneError `ARCHIVE_INVALID` as `readArchive`; `DATASET_CACHE` when the cache folder cannot be written; the
 *   signal's reason when it is aborted, with nothing left behind
 */
export async function unpackPictures(archive: string, options: UnpackOptions): Promise<UnpackedPictures> {
  const folder = options.cacheFolder ?? defaultCacheFolder();
  const { size } = await stat(archive);
  let read = 0;
  const hashing = () => {
    const hash = createHash('sha256');
    return {
      hash,
      add: (bytes: Uint8Array) => {
        hash.update(bytes);
        read += bytes.length;
        options.onProgress?.(Math.min(read, size * 2), size * 2);
      },
    };
  };
  const before = hashing();
  for await (const bytes of createReadStream(archive, { highWaterMark: 2 ** 20 })) {
    options.signal?.throwIfAborted();
    before.add(bytes);
  }
  const digest = before.hash.digest('hex');
  const path = join(folder, `pictures-${digest.slice(0, 32)}.pack`);
  const cached = await readIndex(path);
  if (cached) {
    options.onProgress?.(size * 2, size * 2);
    return toPictures(path, cached);
  }
  const during = hashing();
  const index = await replaceFile(archive, folder, path, async (handle) => {
    const index = await writePictures(handle, archive, { ...options, onBytes: during.add });
    // Its pictures would be found under the wrong name ever after.
    if (during.hash.digest('hex') === digest) return index;
    throw new OrtuneError('ARCHIVE_INVALID', `${archive} changed while it was read. Try again once it is whole.`);
  });
  return toPictures(path, index);
}

function toPictures(path: string, { files, ignored, ignoredCount }: Index): UnpackedPictures {
  const ranges = new Map(files.map(([name, offset, length]) => [name, { path, offset, length }]));
  return { ranges, ignored, ignoredCount };
}

async function writePictures(
  handle: FileHandle,
  archive: string,
  { wants, onBytes, signal }: UnpackOptions & { onBytes(bytes: Uint8Array): void },
): Promise<Index> {
  const files: [string, number, number][] = [];
  const ignored: string[] = [];
  let ignoredCount = 0;
  let end = 0;
  const write = async (bytes: Uint8Array) => {
    await handle.writeFile(bytes);
    end += bytes.length;
  };
  const ignore = (name: string) => {
    if (++ignoredCount <= 10) ignored.push(name);
  };
  for await (const { name, size, content } of readArchive(archive, { wants, onBytes, signal }, ignore)) {
    files.push([name, end, size]);
    for await (const bytes of content) await write(bytes);
  }
  const index = { files, ignored, ignoredCount };
  const json = Buffer.from(JSON.stringify(index));
  const trailer = Buffer.alloc(TRAILER_BYTES, MAGIC, 'latin1');
  trailer.writeBigUInt64LE(BigInt(json.length), 8);
  await write(Buffer.concat([json, trailer]));
  return index;
}

/** The index of a file of pictures; `undefined` when there is none, or it is not one that was written to its end. */
async function readIndex(path: string): Promise<Index | undefined> {
  const handle = await open(path).catch(() => undefined);
  if (!handle) return undefined;
  try {
    const { size } = await handle.stat();
    const read = async (length: number, position: number) =>
      (await handle.read(Buffer.alloc(length), 0, length, position)).buffer;
    const trailer = await read(TRAILER_BYTES, size - TRAILER_BYTES);
    const length = Number(trailer.readBigUInt64LE(8));
    const end = size - TRAILER_BYTES - length;
    if (trailer.toString('latin1', 0, 8) !== MAGIC || end < 0) return undefined;
    const index = JSON.parse((await read(length, end)).toString()) as Index;
    let next = 0;
    for (const [name, offset, length] of index.files) {
      if (typeof name !== 'string' || offset !== next || !(Number.isSafeInteger(length) && length >= 0))
        return undefined;
      next += length;
    }
    return next === end ? index : undefined;
  } catch {
    return undefined;
  } finally {
    await handle.close();
  }
}

/** Writes a file beside its place and renames it once it is whole and on the disk. */
async function replaceFile<T>(
  archive: string,
  folder: string,
  path: string,
  fill: (handle: FileHandle) => Promise<T>,
): Promise<T> {
  const partial = `${path}.partial-${randomUUID()}`;
  try {
    await makeFolder(folder);
    await removeAbandoned(folder);
    const handle = await open(partial, 'wx', 0o600);
    try {
      const result = await fill(handle);
      await handle.sync();
      await handle.close();
      await rename(partial, path);
      await syncFolder(folder);
      return result;
    } finally {
      await handle.close().catch(() => {});
      await rm(partial, { force: true }).catch(() => {});
    }
  } catch (error) {
    const { code, syscall, path: at } = error as NodeJS.ErrnoException;
    if (syscall === undefined || syscall === 'read' || at === archive) throw error;
    throw new OrtuneError(
      'DATASET_CACHE',
      `${folder}: expected a folder to keep the archive's pictures in, but it cannot be written (${code}). Make room there, or name another folder by XDG_CACHE_HOME.`,
      { cause: error },
    );
  }
}

async function removeAbandoned(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.includes('.pack.partial-')) continue;
    const path = join(folder, name);
    const found = await stat(path).catch(() => undefined);
    if (found && Date.now() - found.mtimeMs > ABANDONED_MS) await rm(path, { force: true });
  }
}
