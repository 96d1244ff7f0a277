import { open, readFile, stat } from 'node:fs/promises';
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

/** Of a picture's file. The largest photographs have a tenth of it, and several are in memory at a time. */
const MOST_BYTES = 512 * 2 ** 20;

/**
 * The bytes of a picture, wherever they lie.
 *
 * @throws the system's error; Error for what is no regular file, or one of more than 512 MiB; OrtuneError `DATASET_CACHE` when the pictures unpacked from an archive were cut short meanwhile
 */
export async function readSample({ file, range }: Pick<Sample, 'file' | 'range'>): Promise<Uint8Array> {
  if (!range) {
    const found = await stat(file);
    // A pipe or a device would be waited for without end.
    if (!found.isFile()) throw new Error('it is not a regular file');
    if (found.size > MOST_BYTES) {
      throw new Error(`it has ${found.size} bytes, and at most ${MOST_BYTES} are read; save it smaller`);
    }
    return readFile(file);
  }
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
