import { STORED_TYPES } from './element-types.ts';
import type { FileReader } from './file-reader.ts';
import { unpickle } from './pickle.ts';
import { PickleTruncatedError } from './pickle-input.ts';
import { type TorchStorage, torchRules } from './torch-pickle.ts';
import { stateDictTensors } from './torch-state-dict.ts';
import type { WeightFile } from './types.ts';
import { invalid, weightFile } from './weight-source.ts';
import { ZipArchive } from './zip-archive.ts';

/** A state dict's pickle is a few hundred kilobytes: the values lie in entries of their own. */
const PICKLE_LIMIT = 64 * 2 ** 20;
/** No storage of a network that ortune knows comes near; what is larger is a bomb. */
const STORAGE_LIMIT = 2 ** 31;

/**
 * Opens a `.pth` of torch 1.6 or later: a zip with `<name>/data.pkl` and an entry `<name>/data/<key>` for each storage.
 * @throws OrtuneError `WEIGHTS_INVALID`, `WEIGHTS_UNSAFE_PICKLE`
 */
export async function openTorchZip(file: FileReader): Promise<WeightFile> {
  const { path } = file;
  const archive = await ZipArchive.open(file);
  const root = rootOf(archive);
  if (archive.has(`${root}byteorder`)) {
    const order = Buffer.from(await archive.read(`${root}byteorder`, 16)).toString('latin1');
    if (order !== 'little') throw invalid(`${path}: expected little-endian values, received byte order '${order}'`);
  }
  const pickle = await archive.read(`${root}data.pkl`, PICKLE_LIMIT);
  const storages = new StorageReader(archive, `${root}data/`);
  const tensors = stateDictTensors(unpickleEntry(pickle, path), path, (storage, begin, length) => {
    return storages.read(storage, begin, length);
  });
  return weightFile({ format: 'torch', path, tensors, close: () => file.close() });
}

/** The folder that torch puts everything into, with its slash. */
function rootOf(archive: ZipArchive): string {
  const pickles = archive.names.filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (pickles.length !== 1) {
    throw invalid(
      `${archive.path}: expected a zip that torch.save wrote, with one <name>/data.pkl, received a zip of ` +
        `${archive.names.slice(0, 5).join(', ')}, ... If it is packed weights, unpack it and give the path of what was inside.`,
    );
  }
  const root = pickles[0]!.slice(0, -'data.pkl'.length);
  if (archive.has(`${root}constants.pkl`)) {
    throw invalid(
      `${archive.path}: expected a state_dict, received a TorchScript program: save its state_dict() instead`,
    );
  }
  return root;
}

function unpickleEntry(pickle: Uint8Array, path: string): unknown {
  try {
    return unpickle(pickle, 0, torchRules(path)).value;
  } catch (error) {
    if (error instanceof PickleTruncatedError)
      throw invalid(`${path}: expected a whole pickle in data.pkl, but it is cut short`);
    throw error;
  }
}

/** Reads storages, keeping the last one: tensors that share a storage follow one another. */
class StorageReader {
  readonly #archive: ZipArchive;
  readonly #folder: string;
  #last: { key: string; bytes: Promise<Uint8Array> } | undefined;

  constructor(archive: ZipArchive, folder: string) {
    this.#archive = archive;
    this.#folder = folder;
  }

  async read(storage: TorchStorage, begin: number, length: number): Promise<Uint8Array> {
    const expected = storage.length * STORED_TYPES[storage.type].bytes;
    if (this.#last?.key !== storage.key) {
      this.#last = {
        key: storage.key,
        bytes: this.#archive.read(this.#folder + storage.key, Math.min(expected, STORAGE_LIMIT)),
      };
    }
    const bytes = await this.#last.bytes;
    if (bytes.length < expected) {
      throw invalid(
        `${this.#archive.path}: expected ${expected} bytes in storage '${storage.key}', received ${bytes.length}`,
      );
    }
    return bytes.subarray(begin, begin + length);
  }
}
