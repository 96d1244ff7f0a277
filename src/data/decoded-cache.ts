/**
 * Decoded pictures, kept so that each is decoded once in a run: in memory up to a limit, then in one file.
 *
 * What came first stays. A pass asks for every picture once, so throwing out the one not used for longest would throw out
 * just what the next pass needs.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, open, rm, stat } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import type { Picture } from '../augment/operations.ts';
import { OrtuneError } from '../errors.ts';
import { decodePicture, type PictureScale, readPicture, unreadable } from './image.ts';
import type { Sample } from './sample.ts';

export interface DecodedCacheOptions {
  /** Bytes of pixels kept in memory. A quarter of what the process may use by default; 0 keeps none. */
  readonly memoryBytes?: number;
  /** Folder for the file of what memory has no room for. It has no name, or goes with the cache. Without it that is decoded anew. */
  readonly folder?: string | undefined;
}

export interface CacheUse {
  /** Decodings so far. */
  readonly decoded: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
  /** Why no more goes to the disk, e.g. that it is full; the run goes on without. */
  readonly diskError: Error | undefined;
}

/** A picture enlarged to its short side may be this many times as long; a line of 1 x 10000 would fill the memory. */
const LONGEST = 16;

/** Where a picture's pixels are: in memory, or in the file from `offset`. */
interface Stored {
  readonly width: number;
  readonly height: number;
  readonly data?: Uint8Array;
  readonly offset: number;
}

/** The file that a picture was decoded from: as the system describes it, and its content. */
interface Origin {
  readonly stamp: string;
  readonly digest: string;
}

/** A quarter of the memory that the system, or the process's control group, has. */
export function defaultCacheBytes(): number {
  return Math.floor(Math.min(process.constrainedMemory() || Number.POSITIVE_INFINITY, totalmem()) / 4);
}

export class DecodedCache implements AsyncDisposable {
  readonly #memoryLimit: number;
  readonly #folder: string | undefined;
  readonly #stored = new Map<string, Stored>();
  readonly #origins = new Map<string, Origin>();
  readonly #running = new Map<string, Promise<Picture | undefined>>();
  #file: Promise<FileHandle> | undefined;
  #path: string | undefined;
  #decoded = 0;
  #memoryBytes = 0;
  #diskBytes = 0;
  #diskError: Error | undefined;

  constructor({ memoryBytes = defaultCacheBytes(), folder }: DecodedCacheOptions = {}) {
    this.#memoryLimit = memoryBytes;
    this.#folder = folder;
  }

  get use(): CacheUse {
    return {
      decoded: this.#decoded,
      memoryBytes: this.#memoryBytes,
      diskBytes: this.#diskBytes,
      diskError: this.#diskError,
    };
  }

  /**
   * A picture decoded at a scale. Asked for again while it is being decoded, it is not decoded again.
   *
   * @returns its pixels, not to be written to; `undefined` for one that enlarging would make too long to keep: cut the
   *   square while decoding it (`decodeCrop`)
   * @throws OrtuneError `IMAGE_UNREADABLE` naming the file; `IMAGE_CHANGED` when its content is no longer that of the first time
   */
  get(sample: Pick<Sample, 'file' | 'range'>, scale: PictureScale): Promise<Picture | undefined> {
    const key = `${scale.shortSide} ${scale.enlarge} ${sample.file}`;
    let running = this.#running.get(key);
    if (!running) {
      running = this.#read(key, sample, scale).finally(() => this.#running.delete(key));
      this.#running.set(key, running);
    }
    return running;
  }

  async #read(key: string, sample: Pick<Sample, 'file' | 'range'>, scale: PictureScale): Promise<Picture | undefined> {
    const { file } = sample;
    const stamp = await stampOf(sample);
    const stored = this.#stored.get(key);
    const unchanged = this.#origins.get(file)?.stamp === stamp;
    if (stored && unchanged) return this.#fetch(stored);
    const bytes = await readPicture(sample);
    if (!unchanged) this.#requireSame(file, stamp, bytes);
    if (stored) return this.#fetch(stored);
    const mostPixels = scale.enlarge ? LONGEST * scale.shortSide ** 2 : Number.POSITIVE_INFINITY;
    const picture = await decodePicture(bytes, scale, { mostPixels, name: file });
    if (!picture) return undefined;
    this.#decoded++;
    await this.#store(key, picture);
    return picture;
  }

  /** A file may be touched or copied back; other pixels under the same name would make a run that nobody can repeat. */
  #requireSame(file: string, stamp: string, bytes: Uint8Array): void {
    const digest = createHash('sha256').update(bytes).digest('base64');
    const before = this.#origins.get(file);
    if (before && before.digest !== digest) {
      throw new OrtuneError(
        'IMAGE_CHANGED',
        `${file}: expected the picture that was read earlier in this run, found other content. Leave the pictures alone while a run reads them, and start it anew.`,
      );
    }
    this.#origins.set(file, { stamp, digest });
  }

  async #store(key: string, { data, width, height }: Picture): Promise<void> {
    if (this.#memoryBytes + data.length <= this.#memoryLimit) {
      this.#memoryBytes += data.length;
      this.#stored.set(key, { width, height, data, offset: 0 });
      return;
    }
    if (this.#folder === undefined || this.#diskError) return;
    const offset = this.#diskBytes;
    this.#diskBytes += data.length;
    try {
      this.#file ??= this.#openFile(this.#folder);
      await writeAll(await this.#file, data, offset);
      this.#stored.set(key, { width, height, offset });
    } catch (error) {
      this.#diskError = error as Error;
    }
  }

  async #fetch({ width, height, data, offset }: Stored): Promise<Picture> {
    if (data) return { data, width, height };
    const pixels = new Uint8Array(width * height * 3);
    await readAll(await this.#file!, pixels, offset);
    return { data: pixels, width, height };
  }

  async #openFile(folder: string): Promise<FileHandle> {
    const path = join(folder, `.decoded-${process.pid}-${Math.random().toString(36).slice(2)}.tmp`);
    const handle = await open(path, 'wx+', 0o600);
    // A file without a name is gone with the process, however that ends. Where that is not done it goes at the end.
    this.#path = await rm(path).then(
      () => undefined,
      () => path,
    );
    return handle;
  }

  /** Forgets all pictures and removes the file. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#running.values());
    this.#stored.clear();
    this.#origins.clear();
    this.#memoryBytes = this.#diskBytes = 0;
    const file = await this.#file?.catch(() => undefined);
    this.#file = undefined;
    await file?.close();
    if (this.#path !== undefined) await rm(this.#path, { force: true });
  }
}

async function stampOf({ file, range }: Pick<Sample, 'file' | 'range'>): Promise<string> {
  const { size, mtimeMs, ino } = await stat(range?.path ?? file).catch((error) => {
    throw unreadable(file, error);
  });
  return `${size} ${mtimeMs} ${ino}`;
}

async function writeAll(handle: FileHandle, data: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < data.length; ) {
    done += (await handle.write(data, done, data.length - done, offset + done)).bytesWritten;
  }
}

async function readAll(handle: FileHandle, data: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < data.length; ) {
    const { bytesRead } = await handle.read(data, done, data.length - done, offset + done);
    if (bytesRead === 0) throw new Error(`the file of decoded pictures ends at ${offset + done}`);
    done += bytesRead;
  }
}
