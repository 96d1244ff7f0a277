/** Readers of models and checkpoints. */
import { Builder } from 'flatbuffers';
import { encodeModel, networkOf } from '../../onnx/index.ts';
import { decodeModel, type Model } from '../../onnx/model.ts';
import { decodeCheckpoint } from '../../onnx/read-checkpoint.ts';
import { readModelCard } from '../../src/inference/index.ts';
import { classifierMetadata, withClassifierMetadata } from '../../src/inference/metadata.ts';
import { openPath } from '../../src/inspect/open.ts';
import type { Random } from '../../src/random.ts';
import { tinyNet } from '../onnx/tiny-nets.ts';
import { chance, damage, numberBytes, oddNumber, pick } from './mutate.ts';
import { damageProtobuf } from './protobuf.ts';
import { fileOf, type Target } from './target.ts';

/** A model as it is served, with a graph in an attribute. */
function served(): Model {
  const tiny = tinyNet((layers, pixels) =>
    layers.relu(layers.batchNorm(layers.convolution(pixels, 'a', 2, 3, 1), 'b'), 'c'),
  );
  const model = withClassifierMetadata(tiny, {
    classes: ['rose', 'tulip'],
    transform: { resizeSize: 36, imageSize: 32 },
  });
  const branch = { kind: 'graph', value: { ...tiny.graph, initializers: new Map() } } as const;
  const node = { op: 'If', domain: '', name: 'if', inputs: ['c'], outputs: ['d'], attributes: { then_branch: branch } };
  const metadata = new Map([
    ...model.metadata,
    ['ortune.network', '{"depth":18,"width":0.125,"classes":2,"imageSize":32}'],
    ['ortune.card', '{"description":"d","classes":2,"network":{"depth":18},"precision":"fp32"}'],
  ]);
  return { ...model, metadata, graph: { ...model.graph, nodes: [...model.graph.nodes, node] } };
}

/** A training checkpoint with an optimizer's state and properties, which the library writes and ortune only reads. */
function checkpoint(): Uint8Array {
  const builder = new Builder();
  const vector = (offsets: readonly number[]) => {
    builder.startVector(4, offsets.length, 4);
    for (const offset of offsets.toReversed()) builder.addOffset(offset);
    return builder.endVector();
  };
  const table = (fields: number, add: () => void) => {
    builder.startObject(fields);
    add();
    return builder.endObject();
  };
  const tensor = (name: string) => {
    const nameAt = builder.createString(name);
    const data = builder.createByteVector(new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer));
    builder.startVector(8, 2, 8);
    for (const length of [2n, 2n]) builder.addInt64(length);
    const dims = builder.endVector();
    return table(7, () => {
      builder.addFieldOffset(0, nameAt, 0);
      builder.addFieldOffset(2, dims, 0);
      builder.addFieldInt32(3, 1, 0);
      builder.addFieldOffset(4, data, 0);
    });
  };
  const named = (name: string, fields: number, add: () => void) => {
    const at = builder.createString(name);
    return table(fields, () => {
      builder.addFieldOffset(0, at, 0);
      add();
    });
  };
  const [trainable, frozen] = [vector([tensor('w'), tensor('v')]), vector([tensor('mean')])];
  const module = table(4, () => {
    builder.addFieldOffset(0, trainable, 0);
    builder.addFieldOffset(1, frozen, 0);
  });
  const moments = vector([tensor('momentum0'), tensor('momentum1')]);
  const states = vector([named('w', 2, () => builder.addFieldOffset(1, moments, 0))]);
  const group = named('group0', 4, () => {
    builder.addFieldInt64(1, 3n, 0n);
    builder.addFieldFloat32(2, 0.001, 0);
    builder.addFieldOffset(3, states, 0);
  });
  const groups = vector([group]);
  const integers = vector([named('epoch', 2, () => builder.addFieldInt64(1, 2n, 0n))]);
  const words = builder.createString('rose');
  const strings = vector([named('names', 2, () => builder.addFieldOffset(1, words, 0))]);
  const properties = table(3, () => {
    builder.addFieldOffset(0, integers, 0);
    builder.addFieldOffset(2, strings, 0);
  });
  const root = table(4, () => {
    builder.addFieldInt32(0, 2, 0);
    builder.addFieldOffset(1, module, 0);
    builder.addFieldOffset(2, groups, 0);
    builder.addFieldOffset(3, properties, 0);
  });
  builder.finish(root, 'ODTC');
  return Uint8Array.from(builder.asUint8Array());
}

/** Offsets, lengths and layouts of a flat buffer: made to lead to each other, or nowhere. */
function damageFlat(random: Random, bytes: Uint8Array): Buffer {
  const damaged = Buffer.from(bytes);
  const places = Math.floor(bytes.length / 4);
  for (let changes = random.integer(4); changes >= 0; changes--) {
    const at = 4 * random.integer(places);
    // A place that holds an offset, as far as one can tell: most numbers in the file are.
    const target = 4 * random.integer(places);
    switch (random.integer(4)) {
      case 0:
        damaged.writeInt32LE(target - at, at);
        break;
      case 1:
        damaged.writeInt32LE(at - target, at);
        break;
      case 2:
        // Layouts are lists of 16-bit places.
        damaged.writeUInt16LE(
          pick(random, [0, 4, 8, 12, 0xffff, random.integer(64)]),
          2 * random.integer(bytes.length / 2 - 1),
        );
        break;
      default:
        numberBytes(oddNumber(random), pick(random, [4, 8])).copy(damaged, at);
    }
  }
  return chance(random, 0.1) ? damage(random, damaged) : damaged;
}

async function inspect(bytes: Uint8Array, folder: string): Promise<void> {
  const { files } = await openPath(fileOf(folder, 'model.onnx', bytes));
  JSON.stringify(files, (key, value) => (key === 'content' || key === 'data' ? undefined : value));
}

const model = encodeModel(served());
const state = checkpoint();

export const modelTargets: readonly Target[] = [
  {
    name: 'onnx-model',
    share: 4,
    sample: model,
    damage: (random) => damageProtobuf(random, model),
    read: (bytes) => {
      const read = decodeModel(bytes);
      networkOf(read);
      readModelCard(read.metadata);
      classifierMetadata(read.metadata, 'model.onnx');
    },
  },
  {
    name: 'checkpoint',
    share: 20,
    sample: state,
    damage: (random) => damageFlat(random, state),
    read: (bytes) => decodeCheckpoint(bytes, 'checkpoint'),
  },
  { name: 'inspect-model', share: 1, sample: model, damage: (random) => damageProtobuf(random, model), read: inspect },
  { name: 'inspect-checkpoint', share: 1, sample: state, damage: (random) => damageFlat(random, state), read: inspect },
];
