/**
 * Reads a tar archive packed by gzip as a stream, without ever writing under a name that it holds. What an archive may
 * do to its reader (names that lead elsewhere, links, devices, endless contents) is met here.
 */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract, type Header } from 'tar-stream';
import { OrtuneError } from '../errors.ts';
import { isSystemError } from '../output-error.ts';

const MAX_ENTRIES = 50_000;
/** Pictures are compressed as they are: an archive that grows more than this is none of pictures. */
const MAX_GROWTH = 20;
/** So much is granted to any archive, as tar pads small files to a multiple of its blocks. */
const FREE_BYTES = 16 * 2 ** 20;
const MAX_FILE_BYTES = 256 * 2 ** 20;

export interface ArchiveOptions {
  /** Whether a file of this name is wanted; all else is passed over. */
  readonly wants: (name: string) => boolean;
  /** Gets the archive's bytes as they are read. */
  readonly onBytes?: ((bytes: Uint8Array) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** One wanted file; `content` must be read to its end before the next is asked for. */
export interface ArchiveFile {
  readonly name: string;
  readonly size: number;
  readonly content: AsyncIterable<Uint8Array>;
}

/**
 * The wanted files of an archive, in its order. Names are compared as they stand but for a leading `./`, never resolved:
 * an absolute one or one with `..` equals no wanted name.
 *
 * @param onIgnored gets the names of other files, links and devices
 * @throws OrtuneError `ARCHIVE_INVALID` for a damaged archive, a wanted name twice or that is no file, too many entries,
 *   or contents out of proportion; the signal's reason when it is aborted
 */
export async function* readArchive(
  path: string,
  { wants, onBytes, signal }: ArchiveOptions,
  onIgnored: (name: string) => void,
): AsyncGenerator<ArchiveFile> {
  const fail = (problem: string, cause?: unknown) =>
    new OrtuneError('ARCHIVE_INVALID', `${path} is not read: ${problem}.`, { cause });
  const limit = (await stat(path)).size * MAX_GROWTH + FREE_BYTES;
  const entries = extract();
  // An error of a stream before the loop below listens to `entries` reaches it through `feeding`.
  entries.on('error', () => {});
  const feeding = pipeline(
    createReadStream(path, { highWaterMark: 2 ** 20 }),
    async function* (source: AsyncIterable<Uint8Array>) {
      for await (const bytes of source) {
        onBytes?.(bytes);
        yield bytes;
      }
    },
    createGunzip({ chunkSize: 2 ** 18 }),
    async function* (source: AsyncIterable<Uint8Array>) {
      let total = 0;
      for await (const bytes of source) {
        total += bytes.length;
        if (total > limit) throw fail(`it unpacks to more than ${MAX_GROWTH} times its size, which pictures never do`);
        yield bytes;
      }
    },
    entries as unknown as NodeJS.WritableStream,
    signal ? { signal } : {},
  );
  feeding.catch((error) => entries.destroy(error));

  const meant = (error: unknown): unknown => {
    signal?.throwIfAborted();
    if (error instanceof OrtuneError || isSystemError(error)) return error;
    // The words of zlib and tar-stream.
    return fail(`it is damaged or not whole (${(error as Error).message}); fetch it again`, error);
  };
  /** Where an archive breaks off within a file, its reader is the first to know. */
  async function* contentOf(entry: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    try {
      yield* entry;
    } catch (error) {
      throw meant(error);
    }
  }

  const seen = new Set<string>();
  let count = 0;
  try {
    for await (const entry of entries) {
      if (++count > MAX_ENTRIES) throw fail(`it has more than ${MAX_ENTRIES} entries`);
      const { size, type } = entry.header;
      // tar-stream passes on a size that it cannot read, and then waits for bytes that never come.
      if (!Number.isSafeInteger(size)) throw fail('an entry of it has no readable size');
      const name = entry.header.name.replace(/^(\.\/)+/, '');
      if (wants(name)) {
        if (type !== 'file' && type !== 'contiguous-file') {
          throw fail(`${JSON.stringify(name)} in it is ${kindOf(type)}, where a file was expected`);
        }
        if (seen.has(name)) throw fail(`${JSON.stringify(name)} is in it twice`);
        if (size > MAX_FILE_BYTES) throw fail(`${JSON.stringify(name)} in it is said to have ${size} bytes`);
        seen.add(name);
        yield { name, size, content: contentOf(entry as unknown as AsyncIterable<Uint8Array>) };
      } else {
        if (type !== 'directory') onIgnored(entry.header.name);
        entry.resume();
      }
    }
    await feeding;
  } catch (error) {
    throw meant(error);
  } finally {
    entries.destroy();
    await feeding.catch(() => {});
  }
}

/** tar-stream gives `null` for kinds that it does not know, though its types do not say so. */
function kindOf(type: Header['type'] | null): string {
  return type === null ? 'of an unknown kind' : type === 'fifo' ? 'a pipe' : `a ${type}`;
}
