import { byteLength, STORED_TYPES, type StoredType } from './element-types.ts';
import { PickleGlobal, type PickleRules } from './pickle.ts';
import { extent, type StridedView } from './strided.ts';
import { describe, invalid, isCount, isCounts } from './weight-source.ts';

/** `torch.FloatStorage` and its kin: the element type of a storage. */
const STORAGE_TYPES: ReadonlyMap<string, StoredType> = new Map([
  ['torch.FloatStorage', 'float32'],
  ['torch.HalfStorage', 'float16'],
  ['torch.BFloat16Storage', 'bfloat16'],
  ['torch.DoubleStorage', 'float64'],
  ['torch.CharStorage', 'int8'],
  ['torch.ByteStorage', 'uint8'],
  ['torch.ShortStorage', 'int16'],
  ['torch.IntStorage', 'int32'],
  ['torch.LongStorage', 'int64'],
  ['torch.BoolStorage', 'bool'],
]);

/** A run of elements in the file that tensors are views of. */
export class TorchStorage {
  readonly key: string;
  readonly type: StoredType;
  /** Number of elements. */
  readonly length: number;

  constructor(key: string, type: StoredType, length: number) {
    this.key = key;
    this.type = type;
    this.length = length;
  }
}

/** A view of a storage, checked to lie within it. */
export class TorchTensor implements StridedView {
  readonly storage: TorchStorage;
  /** First element within the storage. */
  readonly offset: number;
  readonly dims: readonly number[];
  readonly strides: readonly number[];

  constructor(storage: TorchStorage, offset: number, dims: readonly number[], strides: readonly number[]) {
    this.storage = storage;
    this.offset = offset;
    this.dims = dims;
    this.strides = strides;
  }
}

/** What a pickle of torch tensors may name: the tensors' own parts, and the plain containers around them. */
export function torchRules(path: string): PickleRules {
  const tensor = (...args: unknown[]) => buildTensor(path, args);
  return {
    path,
    globals: [
      new PickleGlobal('torch._utils._rebuild_tensor', tensor),
      new PickleGlobal('torch._utils._rebuild_tensor_v2', tensor),
      // A Parameter is its tensor; the rest (requires_grad, hooks) is for training in torch.
      new PickleGlobal('torch._utils._rebuild_parameter', (data) => data),
      new PickleGlobal('collections.OrderedDict', (pairs = []) => new Map(pairs as [unknown, unknown][])),
      new PickleGlobal('torch.Size', (dims) => dims),
      ...[...STORAGE_TYPES.keys()].map((name) => new PickleGlobal(name)),
    ],
    persistent: (id) => buildStorage(path, id),
  };
}

/** A persistent id: ('storage', type, key, device, number of elements, view or nothing). */
function buildStorage(path: string, id: unknown): TorchStorage {
  const [kind, global, key, , length, view] = Array.isArray(id) ? id : [];
  const type = global instanceof PickleGlobal ? STORAGE_TYPES.get(global.name) : undefined;
  if (kind !== 'storage' || !type || typeof key !== 'string' || typeof length !== 'number' || (view ?? null) !== null) {
    throw invalid(
      `${path}: expected a persistent id of the form ('storage', type, key, device, length), received ${describe(kind)}, ${describe(key)}`,
    );
  }
  byteLength(type, [length], `${path}: storage '${key}'`);
  return new TorchStorage(key, type, length);
}

/** Arguments of `_rebuild_tensor`: storage, offset, shape, strides; what v2 adds (requires_grad, hooks) is not needed. */
function buildTensor(path: string, [storage, offset, dims, strides]: unknown[]): TorchTensor {
  if (
    !(
      storage instanceof TorchStorage &&
      isCount(offset) &&
      isCounts(dims) &&
      isCounts(strides) &&
      dims.length === strides.length
    )
  ) {
    throw invalid(`${path}: expected a tensor made of storage, offset, shape and strides, none of them negative`);
  }
  const where = `${path}: a tensor of storage '${storage.key}'`;
  const count = byteLength(storage.type, dims, where) / STORED_TYPES[storage.type].bytes;
  const reach = offset + extent({ dims, strides });
  // More elements than the storage has means that they share memory (an expanded view): no weight is made so, and a
  // file of a few bytes could ask for any amount of memory.
  if (reach > storage.length || count > storage.length) {
    throw invalid(
      `${where}: expected [${dims.join(', ')}] with strides [${strides.join(', ')}] at ${offset} to lie within ` +
        `${storage.length} elements, received a view of ${count} that reaches to ${reach}`,
    );
  }
  return new TorchTensor(storage, offset, dims, strides);
}
