import { type FileHandle, open } from 'node:fs/promises';
import { OrtuneError } from '../errors.ts';

/** A single read(2) moves less than 2 GiB. */
const READ_LIMIT = 2 ** 30;

/**
 * A file read piece by piece at given positions. Every request is checked against the file's size before memory is
 * set aside, so a hostile length costs nothing.
 */
export class FileReader {
  readonly path: string;
  readonly size: number;
  readonly #handle: FileHandle;

  private constructor(path: string, size: number, handle: FileHandle) {
    this.path = path;
    this.size = size;
    this.#handle = handle;
  }

  static async open(path: string): Promise<FileReader> {
    const handle = await open(path, 'r');
    try {
      return new FileReader(path, (await handle.stat()).size, handle);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /**
   * Reads exactly `length` bytes.
   * @param what the thing being read, for the message
   * @throws OrtuneError `WEIGHTS_TRUNCATED` when the file ends before
   */
  async read(position: number, length: number, what: string): Promise<Uint8Array<ArrayBuffer>> {
    if (!(length >= 0 && position >= 0 && length <= this.size - position))
      throw this.#truncated(position, length, what);
    const bytes = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const wanted = Math.min(length - done, READ_LIMIT);
      const { bytesRead } = await this.#handle.read(bytes, done, wanted, position + done);
      if (bytesRead === 0) throw this.#truncated(position, length, what);
      done += bytesRead;
    }
    return bytes;
  }

  /** Up to `length` bytes: fewer where the file ends before. */
  readUpTo(position: number, length: number, what: string): Promise<Uint8Array<ArrayBuffer>> {
    return this.read(position, Math.min(length, Math.max(0, this.size - position)), what);
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  #truncated(position: number, length: number, what: string): OrtuneError {
    return new OrtuneError(
      'WEIGHTS_TRUNCATED',
      `${this.path}: expected ${what} (${length} bytes at byte ${position}), but the file ends at byte ${this.size}. ` +
        'It is cut short or damaged: copy or download it again.',
    );
  }
}
