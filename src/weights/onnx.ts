import { realpath, stat } from 'node:fs/promises';
import { dirname, relative, resolve, sep } from 'node:path';
import { type ElementType, elementType, tensorBytes } from '../../onnx/model.ts';
import { type ModelMessage, ModelProto, type TensorMessage, toNumber } from '../../onnx/proto.ts';
import { OrtuneError } from '../errors.ts';
import { byteLength } from './element-types.ts';
import { FileReader } from './file-reader.ts';
import type { WeightFile } from './types.ts';
import { invalid, type StoredTensor, weightFile } from './weight-source.ts';

/** A protobuf message's own limit. */
const FILE_LIMIT = 2 ** 31;
/** `TensorProto.DataLocation.EXTERNAL` */
const EXTERNAL = 1;

/**
 * Whether a file's first bytes can be a ModelProto's, which has no magic: its first field is the IR version, a small number,
 * in every known writer.
 */
export function isOnnx(head: Uint8Array): boolean {
  return head[0] === 0x08 && head[1]! > 0 && head[1]! < 0x80;
}

/**
 * Opens a `.onnx` file's initializers, including those whose values lie in other files of the model's folder.
 * @throws OrtuneError `WEIGHTS_INVALID`
 */
export async function openOnnx(file: FileReader): Promise<WeightFile> {
  const { path, size } = file;
  if (size > FILE_LIMIT)
    throw invalid(`${path}: expected an ONNX model of at most ${FILE_LIMIT} bytes, received ${size}`);
  const bytes = await file.read(0, size, 'the model');
  await file.close();
  const tensors: StoredTensor[] = [];
  const ignored: string[] = [];
  for (const message of parse(bytes, path)) {
    const name = message.name ?? '';
    const type = typeOf(message);
    if (type) tensors.push(storedTensor(name, type, message, path));
    else ignored.push(name);
  }
  if (tensors.length === 0) throw invalid(`${path}: expected an ONNX model with initializers, but its graph has none`);
  return weightFile({ format: 'onnx', path, tensors, ignored });
}

function parse(bytes: Uint8Array, path: string): TensorMessage[] {
  try {
    return (ModelProto.decode(bytes) as ModelMessage).graph?.initializer ?? [];
  } catch (error) {
    throw invalid(
      `${path}: expected an ONNX model, but it is cut short, damaged or of another kind: ${String(error)}`,
      error,
    );
  }
}

/** `undefined` for types that no weight has, as strings. */
function typeOf(message: TensorMessage): ElementType | undefined {
  try {
    return elementType(message.dataType, message.name ?? '');
  } catch (error) {
    if (error instanceof OrtuneError) return undefined;
    throw error;
  }
}

function storedTensor(name: string, type: ElementType, message: TensorMessage, path: string): StoredTensor {
  const dims = (message.dims ?? []).map(toNumber);
  const where = `${path}: initializer '${name}'`;
  const expected = byteLength(type, dims, where);
  if (message.dataLocation === EXTERNAL)
    return { name, type, dims, bytes: () => readExternal(message, expected, path, where) };
  const bytes = tensorBytes(message);
  if (bytes.length !== expected) {
    throw invalid(`${where}: expected ${expected} bytes for ${type} [${dims.join(', ')}], received ${bytes.length}`);
  }
  return { name, type, dims, bytes: async () => bytes };
}

/**
 * Reads values from the file that `external_data` names (onnx/docs/ExternalData.md): `location` relative to the model,
 * `offset` and `length` in bytes, both optional. The location must stay within the model's folder.
 */
async function readExternal(
  message: TensorMessage,
  expected: number,
  path: string,
  where: string,
): Promise<Uint8Array> {
  const entries = new Map((message.externalData ?? []).map(({ key, value }) => [key ?? '', value ?? '']));
  const location = entries.get('location') ?? '';
  const folder = await realpath(dirname(path));
  // The real path, so that neither `..` nor a link leads out of the folder.
  const target = await realpath(resolve(folder, location)).catch((error: unknown) => {
    throw invalid(
      `${where}: expected its values in the file '${location}' beside the model, but it cannot be found`,
      error,
    );
  });
  const inner = relative(folder, target);
  if (inner === '' || inner === '..' || inner.startsWith(`..${sep}`) || resolve(folder, inner) !== target) {
    throw invalid(
      `${where}: expected its values in a file within the model's folder, received the location '${location}'`,
    );
  }
  const offset = Number(entries.get('offset') ?? 0);
  const length = Number(entries.get('length') ?? expected);
  if (!Number.isSafeInteger(offset) || length !== expected) {
    throw invalid(
      `${where}: expected ${expected} bytes at a whole offset of '${location}', received ${length} at ${offset}`,
    );
  }
  if (!(await stat(target)).isFile())
    throw invalid(`${where}: expected its values in the file '${location}', received a folder or device`);
  const file = await FileReader.open(target);
  try {
    return await file.read(offset, length, `the values of '${message.name}'`);
  } finally {
    await file.close();
  }
}
