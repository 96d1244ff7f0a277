import { STORED_TYPES } from './element-types.ts';
import type { FileReader } from './file-reader.ts';
import { NUMPY_GLOBALS, NumpyArray } from './numpy-pickle.ts';
import { unpickle } from './pickle.ts';
import { PickleTruncatedError } from './pickle-input.ts';
import { toRowMajor } from './strided.ts';
import type { WeightFile } from './types.ts';
import { invalid, type StoredTensor, weightFile } from './weight-source.ts';

/** The whole file is one pickle, values included, and has to be in memory. */
const FILE_LIMIT = 2 ** 31;

/** Whether a file's first bytes are a pickle's, protocols 2 to 5. */
export function isPickle(head: Uint8Array): boolean {
  return head[0] === 0x80 && head[1]! >= 2 && head[1]! <= 5;
}

/**
 * Opens a `.pdparams` file (`paddle.save(state_dict)`): one pickle of a dict of numpy arrays.
 * @throws OrtuneError `WEIGHTS_INVALID`, `WEIGHTS_UNSAFE_PICKLE`
 */
export async function openPaddleState(file: FileReader): Promise<WeightFile> {
  if (file.size > FILE_LIMIT)
    throw invalid(`${file.path}: expected at most ${FILE_LIMIT} bytes in a pickle, received ${file.size}`);
  const bytes = await file.read(0, file.size, 'the pickle');
  await file.close();
  const root = parse(bytes, file.path);
  const entries = root instanceof Map ? [...root] : [];
  // Beside the arrays Paddle keeps a table of names (`StructuredToParameterName@@`).
  const tensors = entries
    .filter((entry): entry is [string, NumpyArray] => typeof entry[0] === 'string' && entry[1] instanceof NumpyArray)
    .map(([name, array]): StoredTensor => {
      const bytes = async () => toRowMajor(array.data, array.view, STORED_TYPES[array.type].bytes);
      return { name, type: array.type, dims: array.view.dims, bytes };
    });
  if (tensors.length === 0) {
    throw invalid(
      `${file.path}: expected a pickled dict of arrays, as paddle.save writes a state_dict, but it holds no array`,
    );
  }
  return weightFile({ format: 'paddle-state', path: file.path, tensors });
}

function parse(bytes: Uint8Array, path: string): unknown {
  try {
    return unpickle(bytes, 0, { path, globals: NUMPY_GLOBALS }).value;
  } catch (error) {
    if (error instanceof PickleTruncatedError)
      throw invalid(`${path}: expected a whole pickle, but the file is cut short`);
    throw error;
  }
}
