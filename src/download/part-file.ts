/** The unfinished file of a download, with what is needed to go on with it in a later process. */
import { open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { OrtuneError } from '../errors.ts';

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
  readonly #lock: string;

  private constructor(target: string) {
    this.path = `${target}.part`;
    this.#record = `${target}.part.json`;
    this.#lock = `${target}.part.lock`;
  }

  /** @throws OrtuneError `DOWNLOAD_BUSY` while another process fetches the same file */
  static async open(target: string): Promise<PartFile> {
    const part = new PartFile(target);
    await part.#acquire();
    return part;
  }

  async #acquire(): Promise<void> {
    // Twice: the lock of a process that is gone is removed once.
    for (const last of [false, true]) {
      try {
        await writeFile(this.#lock, String(process.pid), { flag: 'wx' });
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
        const owner = Number(await readFile(this.#lock, 'utf8').catch(() => ''));
        if (last || owner === process.pid || isAlive(owner)) {
          throw new OrtuneError(
            'DOWNLOAD_BUSY',
            `${this.path} is being written by process ${owner || 'unknown'}. Wait for it; if there is none, remove ${this.#lock}.`,
          );
        }
        await rm(this.#lock, { force: true });
      }
    }
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
    const file = await open(this.path, 'r+');
    try {
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(this.path, target);
    await rm(this.#record, { force: true });
  }

  async close(): Promise<void> {
    await rm(this.#lock, { force: true });
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

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid < 1) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
