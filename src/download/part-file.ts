/** The unfinished file of a download, with what is needed to go on with it in a later process. */
import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { OrtuneError } from '../errors.ts';
import { lock } from '../lock.ts';
import { syncFile, syncFolder } from '../write-files.ts';

/** The server's file that the part belongs to. */
export interface Origin {
  readonly url: string;
  /** ETag (strong) or Last-Modified, to ask for the rest of this very file and of no newer one. */
  readonly validator?: string;
  /** Length of the whole, in bytes. */
  readonly total?: number;
}

export class PartFile {
  readonly path: string;
  readonly #record: string;
  readonly #release: () => Promise<void>;

  private constructor(target: string, release: () => Promise<void>) {
    this.path = `${target}.part`;
    this.#record = `${target}.part.json`;
    this.#release = release;
  }

  /** @throws OrtuneError `DOWNLOAD_BUSY` while another process fetches the same file; the system's error */
  static async open(target: string): Promise<PartFile> {
    const file = `${target}.part.lock`;
    const release = await lock(file, (holder) => {
      return new OrtuneError(
        'DOWNLOAD_BUSY',
        `${target}.part is being written by process ${holder?.pid ?? 'unknown'}. Wait for it; if there is none, remove ${file}.`,
      );
    });
    return new PartFile(target, release);
  }

  /** What is there and may be continued. */
  async resume(): Promise<{ size: number; origin: Origin | undefined }> {
    const size = (await stat(this.path).catch(() => undefined))?.size ?? 0;
    return { size, origin: size > 0 ? await readOrigin(this.#record) : undefined };
  }

  /** Empties the part and notes whose it is from now on. In this order: bytes are never kept under another's name. */
  async begin(origin: Origin): Promise<void> {
    await writeFile(this.path, '');
    await writeFile(this.#record, JSON.stringify(origin));
  }

  async discard(): Promise<void> {
    await rm(this.path, { force: true });
    await rm(this.#record, { force: true });
  }

  /** Puts the finished file in its place, on the disk before it gets its name. */
  async finish(target: string): Promise<void> {
    await syncFile(this.path);
    await rename(this.path, target);
    await syncFolder(dirname(target));
    await rm(this.#record, { force: true });
  }

  async close(): Promise<void> {
    await this.#release();
  }
}

async function readOrigin(path: string): Promise<Origin | undefined> {
  try {
    const { url, validator, total } = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
    if (typeof url !== 'string') return undefined;
    return {
      url,
      ...(typeof validator === 'string' && { validator }),
      ...(typeof total === 'number' && { total }),
    };
  } catch {
    return undefined;
  }
}
