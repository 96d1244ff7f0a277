import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OrtuneError } from '../errors.ts';
import { encodeRecordHead } from './paddle-record.ts';

/** A float32 variable to write: `data` row-major, as many values as `dims` hold. */
export interface PaddleVariable {
  readonly name: string;
  readonly dims: readonly number[];
  readonly data: Float32Array;
}

/**
 * Writes one file per variable, byte for byte as Paddle does, so that `fluid.io.load_params` and ortune read it.
 * @param dir is made; it must not hold anything yet, or a variable of an older model would survive among the new ones
 * @throws OrtuneError `WEIGHTS_FOLDER_IN_USE`; `WEIGHTS_INVALID` for a name that is no file name or a shape that is not the data's
 */
export async function writePaddleFolder(dir: string, tensors: Iterable<PaddleVariable>): Promise<void> {
  await mkdir(dir, { recursive: true });
  const present = await readdir(dir);
  if (present.length > 0) {
    throw new OrtuneError(
      'WEIGHTS_FOLDER_IN_USE',
      `${dir}: expected an empty folder for the variables, found ${present.length} files (${present[0]}, ...). ` +
        'Remove it or name another one.',
    );
  }
  for (const { name, dims, data } of tensors) {
    if (!/^[^/\\:\0]+$/.test(name) || name === '.' || name === '..') {
      throw new OrtuneError('WEIGHTS_INVALID', `expected a variable's name that can be a file's, received '${name}'`);
    }
    if (dims.reduce((product, length) => product * length, 1) !== data.length) {
      throw new OrtuneError(
        'WEIGHTS_INVALID',
        `variable '${name}': expected as many values as [${dims.join(', ')}] holds, received ${data.length}`,
      );
    }
    const values = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    // 'wx': two names that a file system takes for one (upper and lower case) must not become one file.
    await writeFile(join(dir, name), [encodeRecordHead(dims), values], { flag: 'wx' });
  }
}
