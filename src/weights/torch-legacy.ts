import { STORED_TYPES } from './element-types.ts';
import type { FileReader } from './file-reader.ts';
import { type PickleRules, type Unpickled, unpickle } from './pickle.ts';
import { PickleTruncatedError } from './pickle-input.ts';
import { type TorchStorage, torchRules } from './torch-pickle.ts';
import { stateDictTensors } from './torch-state-dict.ts';
import type { WeightFile } from './types.ts';
import { describe, invalid, weightFile } from './weight-source.ts';

/** torch/serialization.py: `MAGIC_NUMBER = 0x1950a86a20f9469cfc6c` as a pickle: PROTO 2, LONG1 of ten bytes, STOP. */
const MAGIC = Buffer.from('80028a0a6cfc9c46f9206aa850192e', 'hex');
const PROTOCOL = 1001;

/** The pickles before the storages hold names and shapes alone. */
const FIRST_WINDOW = 2 ** 20;
const PICKLE_LIMIT = 64 * 2 ** 20;

/** Whether a file's first bytes are those of torch.save before 1.6. */
export function isTorchLegacy(head: Uint8Array): boolean {
  return MAGIC.equals(head.subarray(0, MAGIC.length));
}

/**
 * Opens a `.pth` of torch before 1.6: pickles of the magic number, protocol, system, state dict and storage keys, then for
 * each key u64 number of elements and the elements.
 * @throws OrtuneError `WEIGHTS_INVALID`, `WEIGHTS_TRUNCATED`, `WEIGHTS_UNSAFE_PICKLE`
 */
export async function openTorchLegacy(file: FileReader): Promise<WeightFile> {
  const plain: PickleRules = { path: file.path, globals: [] };
  const storages = new Map<string, TorchStorage>();
  const rules = collectStorages(torchRules(file.path), storages);

  const protocol = await unpickleAt(file, MAGIC.length, plain);
  if (protocol.value !== PROTOCOL) {
    throw invalid(`${file.path}: expected protocol ${PROTOCOL} of torch.save, received ${describe(protocol.value)}`);
  }
  const system = await unpickleAt(file, protocol.end, plain);
  if (!(system.value instanceof Map && system.value.get('little_endian') === true)) {
    throw invalid(`${file.path}: expected little-endian values, received a file of a big-endian machine`);
  }
  const root = await unpickleAt(file, system.end, rules);
  const keys = await unpickleAt(file, root.end, plain);

  const positions = await locateStorages(file, keys, storages);
  const tensors = stateDictTensors(root.value, file.path, (storage, begin, length) => {
    const position = positions.get(storage.key);
    if (position === undefined)
      throw invalid(`${file.path}: expected the elements of storage '${storage.key}', but there are none`);
    return file.read(position + begin, length, `storage '${storage.key}'`);
  });
  return weightFile({ format: 'torch', path: file.path, tensors, close: () => file.close() });
}

/** Notes every storage that the pickle names: their element types say how long each is in the file. */
function collectStorages(rules: PickleRules, storages: Map<string, TorchStorage>): PickleRules {
  return {
    ...rules,
    persistent: (id) => {
      const storage = rules.persistent!(id) as TorchStorage;
      const first = storages.get(storage.key);
      if (first && (first.type !== storage.type || first.length !== storage.length)) {
        throw invalid(`${rules.path}: expected one type and length for storage '${storage.key}', received two`);
      }
      storages.set(storage.key, storage);
      return storage;
    },
  };
}

/** Walks over the storages after the pickles; gives the byte at which each one's elements start. */
async function locateStorages(
  file: FileReader,
  keys: Unpickled,
  storages: ReadonlyMap<string, TorchStorage>,
): Promise<Map<string, number>> {
  if (!Array.isArray(keys.value)) throw invalid(`${file.path}: expected a list of storage keys after the state dict`);
  const positions = new Map<string, number>();
  let position = keys.end;
  for (const key of keys.value as unknown[]) {
    const storage = storages.get(typeof key === 'string' ? key : '');
    if (!storage) throw invalid(`${file.path}: storage ${describe(key)} is listed, but no tensor uses it`);
    const head = await file.read(position, 8, `the length of storage '${storage.key}'`);
    const length = Number(new DataView(head.buffer).getBigUint64(0, true));
    if (length !== storage.length) {
      throw invalid(
        `${file.path}: expected ${storage.length} elements in storage '${storage.key}', received ${length}`,
      );
    }
    positions.set(storage.key, position + 8);
    position += 8 + length * STORED_TYPES[storage.type].bytes;
  }
  if (position > file.size) {
    throw invalid(
      `${file.path}: expected storages up to byte ${position}, but the file ends at byte ${file.size}: it is cut short`,
    );
  }
  return positions;
}

/** A pickle does not say how long it is: read more of the file until it fits. */
async function unpickleAt(file: FileReader, position: number, rules: PickleRules): Promise<Unpickled> {
  for (let window = FIRST_WINDOW; ; window *= 4) {
    const bytes = await file.readUpTo(position, window, 'a pickle');
    try {
      const { value, end } = unpickle(bytes, 0, rules);
      return { value, end: position + end };
    } catch (error) {
      if (!(error instanceof PickleTruncatedError)) throw error;
      if (bytes.length < window || window >= PICKLE_LIMIT) {
        throw invalid(
          `${file.path}: expected a whole pickle at byte ${position}, but it is cut short or over ${PICKLE_LIMIT} bytes`,
        );
      }
    }
  }
}
