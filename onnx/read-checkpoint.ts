import { OrtuneError } from '../src/errors.ts';
import { FlatBuffer, type FlatTable } from './flat-table.ts';
import { ELEMENT_TYPES } from './model.ts';

/** Element types of a checkpoint's tensors, with their `TensorProto.DataType` number and size in bytes. */
const CHECKPOINT_TYPES = {
  ...ELEMENT_TYPES,
  uint32: { code: 12, bytes: 4 },
  uint64: { code: 13, bytes: 8 },
} as const;

export type CheckpointElementType = keyof typeof CHECKPOINT_TYPES;

const TYPE_NAMES: ReadonlyMap<number, CheckpointElementType> = new Map(
  Object.entries(CHECKPOINT_TYPES).map(([name, { code }]) => [code, name as CheckpointElementType]),
);

export interface CheckpointTensor {
  readonly name: string;
  readonly type: CheckpointElementType;
  readonly dims: readonly number[];
  /** Little-endian, row-major bytes, a view into the file's. None where the values lie in the file `<checkpoint>.data`. */
  readonly data: Uint8Array | undefined;
}

/** What an optimizer remembers of its steps. */
export interface OptimizerGroup {
  readonly name: string;
  /** Steps made. */
  readonly step: number;
  /** As it was first set; the present one is not part of a checkpoint. */
  readonly initialLearningRate: number;
  /** By parameter; Adam's are `momentum0` and `momentum1`. Empty before the first step. */
  readonly states: readonly { readonly parameter: string; readonly moments: readonly CheckpointTensor[] }[];
}

/** A training checkpoint as it lies in a file. */
export interface StoredCheckpoint {
  /** Parameters with a gradient (`requires_grad_params`). */
  readonly trainable: readonly CheckpointTensor[];
  /** The others (`frozen_params`): without a gradient, yet a training graph may move them in place. */
  readonly frozen: readonly CheckpointTensor[];
  readonly optimizerGroups: readonly OptimizerGroup[];
  readonly properties: ReadonlyMap<string, bigint | number | string>;
  /** Names only: every tensor is empty until it is filled from elsewhere. */
  readonly nominal: boolean;
  /** Values lie in the file `<checkpoint>.data` as far as a tensor has none of its own. */
  readonly externalData: boolean;
}

const FILE_IDENTIFIER = 'ODTC';
const FORMAT_VERSION = 2;
/** More than any framework's tensors have. */
const MOST_DIMS = 64;

/** Whether bytes say that they are a training checkpoint. */
export function isCheckpoint(bytes: Uint8Array): boolean {
  return new FlatBuffer(bytes.subarray(0, 8)).identifier() === FILE_IDENTIFIER;
}

/**
 * Reads an ONNX Runtime training checkpoint, its own or {@link encodeCheckpoint}'s; tensor data stay views into `bytes`.
 * FlatBuffers by the schemas `ort_training_checkpoint.fbs` and `ort.fbs` of `onnxruntime/core/flatbuffers/schema`, whose
 * field order the slot numbers are.
 *
 * @param file for messages
 * @throws OrtuneError `CHECKPOINT_INVALID` for anything else, however damaged
 */
export function decodeCheckpoint(bytes: Uint8Array, file: string): StoredCheckpoint {
  try {
    return readCheckpoint(bytes);
  } catch (error) {
    // What FlatBuffer and DataView throw for offsets that lead out of the file, and readers below for contents.
    if (!(error instanceof RangeError)) throw error;
    throw new OrtuneError(
      'CHECKPOINT_INVALID',
      `${file}: expected an ONNX Runtime training checkpoint, but it is cut short, damaged or of another kind: ${error.message}`,
      { cause: error },
    );
  }
}

function readCheckpoint(bytes: Uint8Array): StoredCheckpoint {
  const buffer = new FlatBuffer(bytes);
  const identifier = buffer.identifier();
  if (identifier !== FILE_IDENTIFIER) {
    throw new RangeError(`bytes 4 to 7 are ${JSON.stringify(identifier)}, not "${FILE_IDENTIFIER}"`);
  }
  const root = buffer.root();
  const version = root.int32(0);
  if (version !== FORMAT_VERSION) throw new RangeError(`its format version is ${version}, not ${FORMAT_VERSION}`);
  const module = root.table(1);
  if (!module) throw new RangeError('it has no module state');
  const storage = { nominal: module.bool(2), externalData: module.bool(3) };
  const read = (table: FlatTable) => readTensor(table, storage);
  const trainable = (module.tableVector(0) ?? []).map(read);
  const frozen = (module.tableVector(1) ?? []).map(read);
  const names = new Set<string>();
  for (const { name } of [...trainable, ...frozen]) {
    if (names.has(name)) throw new RangeError(`it has two parameters of the name '${name}'`);
    names.add(name);
  }
  const optimizerGroups = (root.tableVector(2) ?? []).map((group) => ({
    name: group.string(0) ?? '',
    step: safeInteger(group.int64(1), 'the number of steps'),
    initialLearningRate: group.float32(2),
    states: (group.tableVector(3) ?? []).map((state) => ({
      parameter: state.string(0) ?? '',
      moments: (state.tableVector(1) ?? []).map(read),
    })),
  }));
  return { trainable, frozen, optimizerGroups, properties: readProperties(root.table(3)), ...storage };
}

function readTensor(table: FlatTable, { nominal, externalData }: { nominal: boolean; externalData: boolean }) {
  const name = table.string(0);
  if (!name) throw new RangeError('it has a tensor without a name');
  const code = table.int32(3);
  const type = TYPE_NAMES.get(code);
  if (!type) throw new RangeError(`tensor '${name}' is of the ONNX data type ${code}, which checkpoints do not have`);
  const lengths = table.int64Vector(2) ?? [];
  if (lengths.length > MOST_DIMS) throw new RangeError(`tensor '${name}' has ${lengths.length} dimensions`);
  const dims = lengths.map((length) => safeInteger(length, `a dimension of '${name}'`));
  const own = table.byteVector(4);
  const external = externalData && !own?.byteLength && table.int64(6, -1n) >= 0n;
  const bytes = dims.reduce((product, length) => product * length, CHECKPOINT_TYPES[type].bytes);
  const data = external ? undefined : (own ?? new Uint8Array());
  const unfilled = nominal && data?.byteLength === 0;
  if (data && !unfilled && data.byteLength !== bytes) {
    throw new RangeError(`tensor '${name}' has ${data.byteLength} bytes; ${type} [${dims.join(', ')}] takes ${bytes}`);
  }
  return { name, type, dims, data };
}

function readProperties(bag: FlatTable | undefined): Map<string, bigint | number | string> {
  const read = <Value>(slot: number, value: (property: FlatTable) => Value) =>
    (bag?.tableVector(slot) ?? []).map((property) => [property.string(0) ?? '', value(property)] as const);
  return new Map<string, bigint | number | string>([
    ...read(0, (property) => property.int64(1)),
    ...read(1, (property) => property.float32(1)),
    ...read(2, (property) => property.string(1) ?? ''),
  ]);
}

function safeInteger(value: bigint, what: string): number {
  if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER)) throw new RangeError(`${what} is ${value}`);
  return Number(value);
}
