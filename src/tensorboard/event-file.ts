import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { outputError } from '../output-error.ts';
import { makeFolder } from '../write-files.ts';
import { maskedCrc32c } from './crc32c.ts';
import { type EventMessage, encodeEvent, type ValueMessage } from './proto.ts';

let opened = 0;

/**
 * A file that TensorBoard reads while it grows. What is appended is written in the background, in order; what could not
 * be written is the concern of `flush` and `close` alone.
 */
export class EventFile implements AsyncDisposable {
  readonly path: string;
  readonly #handle: FileHandle;
  #waiting: Uint8Array[] = [];
  #writing: Promise<void> | undefined;
  #failed: unknown;

  private constructor(path: string, handle: FileHandle) {
    this.path = path;
    this.#handle = handle;
  }

  /**
   * Begins a file of its own in a folder, which is made if need be.
   *
   * @throws OrtuneError `OUTPUT` when the system refuses
   */
  static async open(folder: string): Promise<EventFile> {
    const now = Date.now() / 1000;
    // TensorBoard looks for `tfevents` and takes files in the order of their names; the rest keeps them apart.
    const seconds = String(Math.floor(now)).padStart(10, '0');
    const path = join(folder, `events.out.tfevents.${seconds}.ortune.${process.pid}.${opened++}.v2`);
    try {
      await makeFolder(folder);
      const file = new EventFile(path, await open(path, 'ax'));
      file.#append({ wallTime: now, fileVersion: 'brain.Event:2' });
      return file;
    } catch (error) {
      throw failure(path, error);
    }
  }

  /** Adds what there is to show of a step. */
  append(step: number, values: readonly ValueMessage[]): void {
    this.#append({ wallTime: Date.now() / 1000, step, summary: { value: values } });
  }

  /** Waits until all is written. @throws OrtuneError `OUTPUT` when some could not be */
  async flush(): Promise<void> {
    await this.#writing;
    if (this.#failed) throw this.#failed;
  }

  /** Writes what is left and closes the file, however that goes. @throws OrtuneError `OUTPUT` */
  async close(): Promise<void> {
    try {
      await this.flush();
    } finally {
      await this.#handle.close();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #append(event: EventMessage): void {
    // On a full disk training goes on, and memory must not fill up as well.
    if (this.#failed) return;
    this.#waiting.push(record(encodeEvent(event)));
    this.#writing ??= this.#write();
  }

  async #write(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        const bytes = Buffer.concat(this.#waiting);
        this.#waiting = [];
        await this.#handle.appendFile(bytes);
      }
    } catch (error) {
      this.#failed = failure(this.path, error);
      this.#waiting = [];
    } finally {
      this.#writing = undefined;
    }
  }
}

const failure = (path: string, error: unknown) => outputError(`${path} (TensorBoard's events)`, error);

/** TFRecord framing: length and its checksum, data and its checksum, little-endian. */
function record(data: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(12 + data.length + 4);
  bytes.writeBigUInt64LE(BigInt(data.length), 0);
  bytes.writeUInt32LE(maskedCrc32c(bytes.subarray(0, 8)), 8);
  bytes.set(data, 12);
  bytes.writeUInt32LE(maskedCrc32c(data), 12 + data.length);
  return bytes;
}
