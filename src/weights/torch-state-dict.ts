import { STORED_TYPES } from './element-types.ts';
import { extent, toRowMajor } from './strided.ts';
import { type TorchStorage, TorchTensor } from './torch-pickle.ts';
import { describe, invalid, type StoredTensor } from './weight-source.ts';

/** Keys under which training scripts keep the state dict within a checkpoint. */
const WRAPPERS = ['state_dict', 'model_state_dict', 'model'] as const;

/** Gives `length` bytes of a storage from byte `begin` on. */
export type ReadStorage = (storage: TorchStorage, begin: number, length: number) => Promise<Uint8Array>;

/**
 * Finds the state dict in what a `.pth` file holds - itself, or within a checkpoint's wrappers - and gives its tensors.
 * @throws OrtuneError `WEIGHTS_INVALID` when there is no dict of tensors, naming the keys that there are
 */
export function stateDictTensors(root: unknown, path: string, read: ReadStorage): StoredTensor[] {
  let dict = root;
  for (let depth = 0; depth < WRAPPERS.length; depth++) dict = unwrap(dict);
  const entries = dict instanceof Map ? [...dict] : [];
  // A state dict may hold other things beside its tensors (`_extra_state`); they are no weights.
  const tensors = entries.filter((entry): entry is [string, TorchTensor] => {
    return typeof entry[0] === 'string' && entry[1] instanceof TorchTensor;
  });
  if (tensors.length === 0) {
    const found =
      root instanceof Map
        ? `a dict with the keys ${[...root.keys()].slice(0, 20).map(describe).join(', ')}`
        : describe(root);
    throw invalid(
      `${path}: expected a state_dict, or a checkpoint that holds one under ${WRAPPERS.join(', ')}, received ${found}`,
    );
  }
  return tensors.map(([name, tensor]) => storedTensor(name, tensor, read));
}

function unwrap(value: unknown): unknown {
  if (!(value instanceof Map)) return value;
  return WRAPPERS.map((key) => value.get(key)).find((inner) => inner instanceof Map) ?? value;
}

function storedTensor(name: string, tensor: TorchTensor, read: ReadStorage): StoredTensor {
  const { storage, offset, dims } = tensor;
  const width = STORED_TYPES[storage.type].bytes;
  return {
    name,
    type: storage.type,
    dims,
    bytes: async () => toRowMajor(await read(storage, offset * width, extent(tensor) * width), tensor, width),
  };
}
