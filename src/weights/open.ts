import { stat } from 'node:fs/promises';
import { OrtuneError } from '../errors.ts';
import { FileReader } from './file-reader.ts';
import { isOnnx, openOnnx } from './onnx.ts';
import { isPaddleRecord, openPaddleCombined, openPaddleFolder } from './paddle.ts';
import { isPickle, openPaddleState } from './paddle-state.ts';
import { isSafetensors, openSafetensors } from './safetensors.ts';
import { isTorchLegacy, openTorchLegacy } from './torch-legacy.ts';
import { openTorchZip } from './torch-zip.ts';
import type { WeightFile } from './types.ts';
import { isZip } from './zip-archive.ts';

interface Format {
  readonly description: string;
  readonly matches: (head: Uint8Array) => boolean;
  /** Takes the file over and closes it, at the latest when the weights are closed. */
  readonly open: (file: FileReader) => Promise<WeightFile>;
}

/**
 * Tried in this order: a safetensors header of 640 bytes starts as a pickle does, legacy torch is a pickle too, and ONNX
 * has no magic number.
 */
const FORMATS: readonly Format[] = [
  { description: 'safetensors', matches: isSafetensors, open: openSafetensors },
  { description: 'torch .pth (zip)', matches: isZip, open: openTorchZip },
  { description: 'torch .pth (before 1.6)', matches: isTorchLegacy, open: openTorchLegacy },
  { description: 'Paddle .pdparams', matches: isPickle, open: openPaddleState },
  { description: 'Paddle combined file', matches: isPaddleRecord, open: openPaddleCombined },
  { description: 'ONNX', matches: isOnnx, open: openOnnx },
];

/** What people give by mistake, by the first bytes. */
const MISTAKES: readonly (readonly [start: string, remedy: string])[] = [
  ['version https://git-lfs', 'It is a Git LFS pointer, not the file itself: fetch it with `git lfs pull`.'],
  ['<', 'It is a web page: the download went wrong, or needs a login.'],
  ['\x89HDF', 'It is an HDF5 file (Keras): convert it to safetensors.'],
  ['\x1f\x8b', 'It is a gzip archive: unpack it and give the path of what was inside.'],
];

const HEAD_BYTES = 64;

/**
 * Opens pretrained weights; the format is told by the content, not by the name. Only names, types and shapes are read.
 *
 * @param path a folder with one Paddle variable per file, or a file: Paddle combined or .pdparams, safetensors, torch, ONNX
 * @throws OrtuneError `WEIGHTS_NOT_FOUND`; `WEIGHTS_FORMAT` listing the formats; what the format's reader throws
 */
export async function openWeights(path: string): Promise<WeightFile> {
  const kind = await stat(path).catch((error: unknown) => {
    throw notFound(path, error);
  });
  if (kind.isDirectory()) return openPaddleFolder(path);
  if (!kind.isFile())
    throw new OrtuneError('WEIGHTS_FORMAT', `${path}: expected a file or folder of weights, received a device or pipe`);

  const file = await FileReader.open(path);
  try {
    const head = await file.readUpTo(0, HEAD_BYTES, 'the first bytes');
    const format = FORMATS.find(({ matches }) => matches(head));
    if (!format) throw unknownFormat(path, head);
    return await format.open(file);
  } catch (error) {
    await file.close();
    throw error;
  }
}

function notFound(path: string, cause: unknown): OrtuneError {
  return new OrtuneError(
    'WEIGHTS_NOT_FOUND',
    `${path}: expected pretrained weights here, but it cannot be opened (${cause instanceof Error ? cause.message : cause}). Get one of\n` +
      '  http://paddle-imagenet-models-name.bj.bcebos.com/ResNet50_pretrained.zip (unpack it into models/)\n' +
      '  https://download.pytorch.org/models/resnet50-11ad3fa6.pth\n' +
      '  https://huggingface.co/timm/resnet50.a1_in1k/resolve/main/model.safetensors\n' +
      'and give its path, or start from seeded noise with --weights none.',
    { cause },
  );
}

function unknownFormat(path: string, head: Uint8Array): OrtuneError {
  const text = Buffer.from(head).toString('latin1');
  const remedy = MISTAKES.find(([start]) => text.trimStart().startsWith(start))?.[1];
  const start =
    head.length === 0 ? 'an empty file' : `a file that starts with ${Buffer.from(head.subarray(0, 8)).toString('hex')}`;
  return new OrtuneError(
    'WEIGHTS_FORMAT',
    `${path}: expected one of: a folder with one Paddle variable per file, ` +
      `${FORMATS.map(({ description }) => description).join(', ')}; received ${start}. ` +
      (remedy ?? 'Check that it is the right file and whole.'),
  );
}
