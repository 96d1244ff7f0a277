import protobuf from 'protobufjs/light.js';
import { byteLength, type StoredType } from './element-types.ts';
import type { FileReader } from './file-reader.ts';
import { invalid } from './weight-source.ts';

/** `VarType.Type` numbers of Paddle's framework.proto. */
const TYPE_CODES: ReadonlyMap<number, StoredType> = new Map([
  [0, 'bool'],
  [1, 'int16'],
  [2, 'int32'],
  [3, 'int64'],
  [4, 'float16'],
  [5, 'float32'],
  [6, 'float64'],
  [20, 'uint8'],
  [21, 'int8'],
  [22, 'bfloat16'],
]);
const FLOAT32 = 5;

/** A description is a few bytes; more is no description. */
const DESCRIPTION_LIMIT = 4096;
/** Nested sequence offsets: Paddle itself uses one or two levels. */
const LOD_LIMIT = 16;

const TensorDesc = new protobuf.Type('TensorDesc')
  .add(new protobuf.Field('dataType', 1, 'int32'))
  .add(new protobuf.Field('dims', 2, 'int64', 'repeated', undefined, { packed: false }));
new protobuf.Root().define('paddle').add(TensorDesc);

/** One LoDTensor record: what it is and where its values lie. */
export interface PaddleRecord {
  readonly type: StoredType;
  readonly dims: readonly number[];
  /** First byte of the values, and the byte after the last. */
  readonly begin: number;
  readonly end: number;
}

/**
 * Reads the head of the record at `position` (little-endian): u32 0, u64 levels of detail, per level u64 byte length and
 * the offsets; u32 0, i32 length of a protobuf TensorDesc, the TensorDesc; then the values, row-major.
 * (Paddle, paddle/fluid/framework/lod_tensor.cc and tensor_util.cc, `SerializeToStream`.)
 * @throws OrtuneError `WEIGHTS_INVALID` or `WEIGHTS_TRUNCATED`
 */
export async function readRecord(file: FileReader, position: number): Promise<PaddleRecord> {
  const where = `${file.path} (record at byte ${position})`;
  const head = view(await file.read(position, 12, "the record's head"));
  expectVersion(head.getUint32(0, true), 'LoDTensor', where);
  const levels = head.getBigUint64(4, true);
  if (levels > LOD_LIMIT) throw invalid(`${where}: expected at most ${LOD_LIMIT} levels of detail, received ${levels}`);
  let next = position + 12;
  for (let level = 0; level < Number(levels); level++) {
    // The offsets themselves say how sequences lie in a batch; weights have none, so they are passed over.
    next += 8 + Number(view(await file.read(next, 8, "a level's length")).getBigUint64(0, true));
  }

  const tensor = view(await file.read(next, 8, "the tensor's head"));
  expectVersion(tensor.getUint32(0, true), 'tensor', where);
  const length = tensor.getInt32(4, true);
  if (length < 0 || length > DESCRIPTION_LIMIT) {
    throw invalid(`${where}: expected a tensor description of at most ${DESCRIPTION_LIMIT} bytes, received ${length}`);
  }
  const { type, dims } = parseDescription(await file.read(next + 8, length, "the tensor's description"), where);
  const begin = next + 8 + length;
  return { type, dims, begin, end: begin + byteLength(type, dims, where) };
}

/** The bytes before the values of a float32 variable, as Paddle writes them: no level of detail, dims unpacked. */
export function encodeRecordHead(dims: readonly number[]): Uint8Array {
  const description = TensorDesc.encode({ dataType: FLOAT32, dims }).finish();
  const bytes = new Uint8Array(20 + description.length);
  new DataView(bytes.buffer).setInt32(16, description.length, true);
  bytes.set(description, 20);
  return bytes;
}

function parseDescription(bytes: Uint8Array, where: string): { type: StoredType; dims: number[] } {
  let code: unknown;
  let dims: number[];
  try {
    const message = TensorDesc.toObject(TensorDesc.decode(bytes), { longs: Number, arrays: true });
    code = message['dataType'];
    dims = message['dims'];
  } catch (error) {
    throw invalid(`${where}: expected a protobuf TensorDesc, but it does not parse: ${String(error)}`, error);
  }
  const type = TYPE_CODES.get(Number(code ?? Number.NaN));
  if (!type) {
    const known = [...TYPE_CODES].map(([number, name]) => `${number} (${name})`).join(', ');
    throw invalid(`${where}: expected one of the Paddle data types ${known}, received ${String(code)}`);
  }
  return { type, dims };
}

function expectVersion(version: number, what: string, where: string): void {
  if (version !== 0) throw invalid(`${where}: expected ${what} version 0, received ${version}: no Paddle variable`);
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
