/** Readers of pretrained weights. */
import { encodeModel } from '../../onnx/index.ts';
import type { Random } from '../../src/random.ts';
import { openWeights } from '../../src/weights/index.ts';
import { encodeRecordHead } from '../../src/weights/paddle-record.ts';
import { parameterValues } from '../../src/weights/parameter-values.ts';
import { zipOf } from '../download/archives.ts';
import { tinyNet } from '../onnx/tiny-nets.ts';
import {
  binary,
  build,
  call,
  dict,
  global,
  int,
  list,
  none,
  orderedDict,
  pickle,
  recall,
  remember,
  storage,
  tensor,
  text,
  truth,
  tuple,
} from '../weights/pickle-assembler.ts';
import { damageZip } from './archives.ts';
import { damageJson } from './json.ts';
import { chance, damage, damageList, numberBytes, oddNumber, pick } from './mutate.ts';
import { damagePickle } from './pickles.ts';
import { damageProtobuf } from './protobuf.ts';
import { fileOf, type Target } from './target.ts';

const VALUES = Buffer.from(Float32Array.of(0, 1, 2, 3, 4, 5).buffer);

/** Opens a file of weights and reads all that it says it has, as a network's parameters would be. */
async function readAll(bytes: Uint8Array, folder: string): Promise<void> {
  const file = await openWeights(fileOf(folder, 'weights', bytes));
  try {
    for (const name of [...file.tensors.keys()].slice(0, 50)) {
      await file.read(name);
      await parameterValues(file, name, 'x', file.tensors.get(name)?.dims.length === 2);
    }
  } finally {
    await file.close();
  }
}

// Paddle's records: u32 0, u64 levels, each u64 length and offsets; u32 0, i32 length, description, values.
const paddleHead = encodeRecordHead([2, 3]);
const withLevel = Buffer.concat([numberBytes(0n, 4), numberBytes(1n, 8), numberBytes(16n, 8), Buffer.alloc(16)]);
const records = [
  [paddleHead.subarray(0, 4), paddleHead.subarray(4, 12), paddleHead.subarray(12, 16), paddleHead.subarray(16, 20)],
  [paddleHead.subarray(20), VALUES],
  [withLevel.subarray(0, 4), withLevel.subarray(4, 12), withLevel.subarray(12, 20), withLevel.subarray(20)],
  [paddleHead.subarray(12, 16), paddleHead.subarray(16, 20), paddleHead.subarray(20), VALUES],
].flat();

function damageRecords(random: Random): Buffer {
  let parts: readonly Uint8Array[] = records;
  const change = (part: Uint8Array) =>
    part.length === 4 || part.length === 8
      ? numberBytes(oddNumber(random), part.length)
      : chance(random, 0.5)
        ? damageProtobuf(random, part)
        : damage(random, part);
  for (let changes = random.integer(3); changes >= 0; changes--) {
    parts = damageList(random, parts, { make: () => pick(random, records), change });
  }
  return Buffer.concat(parts);
}

const dtype = build(
  call(global('numpy', 'dtype'), text('f4'), truth(false), truth(true)),
  tuple(int(3), text('<'), none, none, none, int(-1), int(-1), int(0)),
);
const array = (columnMajor: boolean) =>
  build(
    call(
      global('numpy.core.multiarray', '_reconstruct'),
      global('numpy', 'ndarray'),
      tuple(int(0)),
      binary(Buffer.of(98)),
    ),
    tuple(int(1), remember(tuple(int(2), int(3)), 1), dtype, truth(columnMajor), binary(VALUES)),
  );
const paddleState = pickle(
  dict({ w: array(false), b: remember(array(true), 2), again: recall(2), names: dict({ a: text('w') }) }),
);

const weight = tensor(storage('0', 6), 0, [2, 3], [3, 1]);
const turned = tensor(storage('0', 6), 0, [3, 2], [1, 3]);
const stateDict = dict({
  epoch: int(3),
  state_dict: orderedDict({ w: remember(weight, 3), turned, again: recall(3), none }),
});
const torchPickle = pickle(stateDict);
const torchEntries = (root: Uint8Array) => [
  { name: 'archive/data.pkl', data: Buffer.from(root) },
  { name: 'archive/byteorder', data: Buffer.from('little') },
  { name: 'archive/data/0', data: VALUES },
];
const legacyHead = Buffer.from('80028a0a6cfc9c46f9206aa850192e', 'hex');
const legacyPickles = Buffer.concat([
  pickle(int(1001)),
  pickle(dict({ protocol_version: int(1001), little_endian: truth(true) })),
  torchPickle,
  pickle(list(text('0'))),
]);
const legacyOf = (pickles: Uint8Array, length = 6n) =>
  Buffer.concat([legacyHead, pickles, numberBytes(length, 8), VALUES]);

const header = JSON.stringify({
  __metadata__: { format: 'pt' },
  w: { dtype: 'F32', shape: [2, 2], data_offsets: [0, 16] },
  n: { dtype: 'I64', shape: [], data_offsets: [16, 24] },
});
const safetensorsOf = (text: Uint8Array, length = BigInt(text.length)) =>
  Buffer.concat([numberBytes(length, 8), text, VALUES]);

const onnx = encodeModel(tinyNet((layers, pixels) => layers.relu(layers.convolution(pixels, 'a', 2, 3, 1), 'a_relu')));

export const weightTargets: readonly Target[] = [
  { name: 'paddle-record', share: 6, sample: Buffer.concat(records), damage: damageRecords, read: readAll },
  {
    name: 'paddle-state',
    share: 6,
    sample: paddleState,
    damage: (random) => damagePickle(random, paddleState),
    read: readAll,
  },
  {
    name: 'safetensors',
    share: 6,
    sample: safetensorsOf(Buffer.from(header)),
    damage: (random) =>
      safetensorsOf(damageJson(random, header), ...(chance(random, 0.1) ? [oddNumber(random)] : ([] as const))),
    read: readAll,
  },
  {
    name: 'torch-zip',
    share: 3,
    sample: zipOf(torchEntries(torchPickle)),
    damage: (random) => {
      // Mostly the pickle, in an archive that is sound.
      if (chance(random, 0.7)) return zipOf(torchEntries(damagePickle(random, torchPickle)));
      return damageZip(random, torchEntries(torchPickle));
    },
    read: readAll,
  },
  {
    name: 'torch-legacy',
    share: 6,
    sample: legacyOf(legacyPickles),
    damage: (random) =>
      legacyOf(damagePickle(random, legacyPickles), chance(random, 0.1) ? oddNumber(random) : undefined),
    read: readAll,
  },
  {
    name: 'onnx-weights',
    share: 3,
    sample: onnx,
    damage: (random) => damageProtobuf(random, onnx),
    read: readAll,
  },
];
