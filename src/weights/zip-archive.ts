import { promisify } from 'node:util';
import { crc32, inflateRaw } from 'node:zlib';
import { type Entry, fromRandomAccessReaderPromise, RandomAccessReader, type ZipFile } from 'yauzl';
import type { FileReader } from './file-reader.ts';
import { invalid } from './weight-source.ts';

/** torch writes an entry for every storage, and a few more. */
const ENTRY_LIMIT = 100_000;

const inflate = promisify<Uint8Array, { maxOutputLength: number }, Buffer>(inflateRaw);

/** Whether a file's first bytes are a zip archive's. */
export function isZip(head: Uint8Array): boolean {
  return Buffer.from(head.subarray(0, 4)).equals(Buffer.from('PK\x03\x04', 'latin1'));
}

/** A zip archive whose entries are read whole. */
export class ZipArchive {
  readonly path: string;
  readonly #file: FileReader;
  readonly #zip: ZipFile;
  readonly #entries: ReadonlyMap<string, Entry>;

  private constructor(file: FileReader, zip: ZipFile, entries: ReadonlyMap<string, Entry>) {
    this.path = file.path;
    this.#file = file;
    this.#zip = zip;
    this.#entries = entries;
  }

  /** @throws OrtuneError `WEIGHTS_INVALID` when the archive's directory is damaged, or names lead out of the archive */
  static async open(file: FileReader): Promise<ZipArchive> {
    const entries = new Map<string, Entry>();
    try {
      const options = { autoClose: false, strictFileNames: true };
      const zip = await fromRandomAccessReaderPromise(new CheckedReader(file), file.size, options);
      for await (const entry of zip.eachEntry()) {
        if (entries.has(entry.fileName)) throw new Error(`two entries '${entry.fileName}'`);
        if (entries.size >= ENTRY_LIMIT) throw new Error(`more than ${ENTRY_LIMIT} entries`);
        entries.set(entry.fileName, entry);
      }
      return new ZipArchive(file, zip, entries);
    } catch (error) {
      throw invalid(
        `${file.path}: expected a sound zip archive, but it is cut short or damaged: ${String(error)}`,
        error,
      );
    }
  }

  get names(): string[] {
    return [...this.#entries.keys()];
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  /**
   * A whole entry, its checksum verified.
   * @param limit the most bytes that it may have
   * @throws OrtuneError `WEIGHTS_INVALID`, `WEIGHTS_TRUNCATED`
   */
  async read(name: string, limit: number): Promise<Uint8Array> {
    const entry = this.#entries.get(name);
    if (!entry) throw invalid(`${this.path}: expected an entry '${name}', but there is none`);
    const size = entry.uncompressedSize;
    if (size > limit) throw invalid(`${this.path}: expected at most ${limit} bytes in '${name}', received ${size}`);
    const bytes = await this.#unpack(entry).catch((error: unknown) => {
      throw invalid(
        `${this.path}: expected ${size} bytes in '${name}', but they cannot be read: ${String(error)}`,
        error,
      );
    });
    if (bytes.length !== size || crc32(bytes) !== entry.crc32) {
      throw invalid(`${this.path}: '${name}' does not match its size or checksum: the file is damaged, copy it again`);
    }
    return bytes;
  }

  async #unpack(entry: Entry): Promise<Uint8Array> {
    if (!entry.canDecodeFileData()) throw new Error('it is encrypted, or packed by another method than deflate');
    const { fileDataStart } = await this.#zip.readLocalFileHeaderPromise(entry, { minimal: true });
    const packed = await this.#file.read(fileDataStart, entry.compressedSize, entry.fileName);
    if (entry.compressionMethod === 0) return packed;
    return inflate(packed, { maxOutputLength: Math.max(1, entry.uncompressedSize) });
  }
}

/** Lets yauzl read through {@link FileReader}: a position beyond the file becomes an error that can be caught. */
class CheckedReader extends RandomAccessReader {
  readonly #file: FileReader;

  constructor(file: FileReader) {
    super();
    this.#file = file;
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null) => void,
  ): void {
    this.#file.read(position, length, 'a part of the zip directory').then((bytes) => {
      buffer.set(bytes, offset);
      callback(null);
    }, callback);
  }
}
