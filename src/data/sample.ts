import { open, readFile } from 'node:fs/promises';
import { OrtuneError } from '../errors.ts';

/** Where a picture's bytes lie when it has no file of its own. */
export interface ByteRange {
  readonly path: string;
  /** In bytes. */
  readonly offset: number;
  /** In bytes. */
  readonly length: number;
}

/** One picture and the index of its class. */
export interface Sample {
  /** Its absolute path, what messages call it. In an archive: the archive's path, then the picture's name within. */
  readonly file: string;
  readonly label: number;
  /** Of a picture in an archive: its bytes. Such a picture has no file, so only `readSample` reads both kinds. */
  readonly range?: ByteRange;
}

/**
 * The bytes of a picture, wherever they lie.
 *
 * @throws the system's error; OrtuneError `DATASET_CACHE` when the pictures unpacked from an archive were cut short meanwhile
 */
export async function readSample({ file, range }: Pick<Sample, 'file' | 'range'>): Promise<Uint8Array> {
  if (!range) return readFile(file);
  const handle = await open(range.path);
  try {
    const bytes = Buffer.allocUnsafeSlow(range.length);
    const { bytesRead } = await handle.read(bytes, 0, range.length, range.offset);
    if (bytesRead === range.length) return bytes;
  } finally {
    await handle.close();
  }
  throw new OrtuneError(
    'DATASET_CACHE',
    `${range.path}: expected ${range.length} bytes of ${file} from byte ${range.offset}, found it shorter. Delete it; it is made anew from the archive.`,
  );
}
