import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { FileReader } from './file-reader.ts';
import { readRecord } from './paddle-record.ts';
import type { WeightFile } from './types.ts';
import { invalid, type StoredTensor, weightFile } from './weight-source.ts';

/** The name that Paddle gives a combined file within a folder. */
const COMBINED_NAME = '__params__';

/** Whether a file's first bytes can be a Paddle record's: u32 version 0. */
export function isPaddleRecord(head: Uint8Array): boolean {
  return head.length >= 4 && head.subarray(0, 4).every((byte) => byte === 0);
}

/**
 * Opens a folder with one file per variable, named as the variable (`fluid.io.save_params`, the tutorial's format), or
 * a folder whose variables are combined in `__params__`. Files that hold no record are listed as ignored.
 * @throws OrtuneError `WEIGHTS_INVALID` or `WEIGHTS_TRUNCATED`
 */
export async function openPaddleFolder(path: string): Promise<WeightFile> {
  const names = (await readdir(path)).sort();
  if (names.includes(COMBINED_NAME)) return openCombinedAt(join(path, COMBINED_NAME));
  const tensors: StoredTensor[] = [];
  const ignored: string[] = [];
  for (const name of names) {
    const tensor = (await stat(join(path, name))).isFile() ? await findVariable(join(path, name), name) : undefined;
    if (tensor) tensors.push(tensor);
    else ignored.push(name);
  }
  if (tensors.length === 0) {
    throw invalid(
      `${path}: expected a folder with one Paddle variable per file (conv1_weights, ...), found ` +
        `${names.length === 0 ? 'an empty folder' : `no such file among ${names.length}: ${names.slice(0, 5).join(', ')}, ...`}. ` +
        'Give the path of the weights file itself, or of the folder that holds the variables.',
    );
  }
  return weightFile({ format: 'paddle-folder', path, tensors, ignored });
}

/** Opened for the moment of each read: a folder's hundreds of files would otherwise be hundreds of handles. */
async function findVariable(path: string, name: string): Promise<StoredTensor | undefined> {
  const file = await FileReader.open(path);
  try {
    if (!isPaddleRecord(await file.readUpTo(0, 4, 'the version'))) return undefined;
    const { type, dims, begin, end } = await readRecord(file, 0);
    if (end !== file.size) {
      throw invalid(
        `${path}: expected ${end - begin} bytes of values for ${type} [${dims.join(', ')}], received ${file.size - begin}. ` +
          'The file is cut short or holds more than one variable.',
      );
    }
    return { name, type, dims, bytes: () => readRange(path, begin, end) };
  } finally {
    await file.close();
  }
}

async function readRange(path: string, begin: number, end: number): Promise<Uint8Array> {
  const file = await FileReader.open(path);
  try {
    return await file.read(begin, end - begin, 'the values');
  } finally {
    await file.close();
  }
}

async function openCombinedAt(path: string): Promise<WeightFile> {
  const file = await FileReader.open(path);
  try {
    return await openPaddleCombined(file);
  } catch (error) {
    await file.close();
    throw error;
  }
}

/**
 * Opens a combined file: the records of all variables one after the other, in the order of their sorted names
 * (`fluid.io.save_params(filename=...)`). The names themselves are not in the file: records are named by position.
 * @throws OrtuneError `WEIGHTS_INVALID` or `WEIGHTS_TRUNCATED`
 */
export async function openPaddleCombined(file: FileReader): Promise<WeightFile> {
  const tensors: StoredTensor[] = [];
  let position = 0;
  while (position < file.size) {
    const { type, dims, begin, end } = await readRecord(file, position);
    const what = `the values of record ${tensors.length}, ${type} [${dims.join(', ')}]`;
    if (end > file.size) {
      throw invalid(
        `${file.path}: expected ${what} up to byte ${end}, but the file ends at byte ${file.size}: it is cut short`,
      );
    }
    tensors.push({ name: String(tensors.length), type, dims, bytes: () => file.read(begin, end - begin, what) });
    position = end;
  }
  return weightFile({ format: 'paddle-combined', path: file.path, tensors, close: () => file.close() });
}
