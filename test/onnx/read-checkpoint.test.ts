import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Builder } from 'flatbuffers';
import { describe, expect, it } from 'vitest';
import { encodeCheckpoint } from '../../onnx/checkpoint.ts';
import { bytesOf, ELEMENT_TYPES, type ElementType, type Initializer } from '../../onnx/model.ts';
import { type CheckpointTensor, decodeCheckpoint, isCheckpoint } from '../../onnx/read-checkpoint.ts';
import { OrtuneError } from '../../src/errors.ts';
import { batch } from '../runtime/artifacts.ts';
import { openSession, temporaryFolder } from '../runtime/fixture.ts';

const floats = (name: string, dims: number[], ...values: number[]): Initializer => ({
  name,
  type: 'float32',
  dims,
  data: bytesOf(Float32Array.from(values)),
});

const small = () =>
  encodeCheckpoint({
    trainable: [floats('w', [2, 2], 1, 2, 3, 4), floats('scalar', [], 5)],
    frozen: [floats('mean', [1], 6), floats('nothing', [0])],
  });

/** Whether bytes are refused as they should be; anything but a checkpoint or an OrtuneError fails the test. */
function isRefused(bytes: Uint8Array): boolean {
  try {
    decodeCheckpoint(bytes, 'file');
    return false;
  } catch (error) {
    if (!(error instanceof OrtuneError)) throw error;
    expect(error.code).toBe('CHECKPOINT_INVALID');
    return true;
  }
}

const messageOf = (bytes: Uint8Array): string => {
  try {
    decodeCheckpoint(bytes, 'file');
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('it was read');
};

describe('a checkpoint', () => {
  it('of ours reads as it was written, in every element type', () => {
    const types = Object.keys(ELEMENT_TYPES) as ElementType[];
    const trainable = types.map((type, index): Initializer => {
      const data = Uint8Array.from({ length: 6 * ELEMENT_TYPES[type].bytes }, (_, place) => place + index);
      return { name: `of ${type}, 蒲公英`, type, dims: [2, 3], data };
    });
    const checkpoint = decodeCheckpoint(encodeCheckpoint({ trainable, frozen: [floats('mean', [1], 6)] }), 'file');
    expect(checkpoint.trainable).toEqual(trainable);
    expect(checkpoint.frozen).toEqual([floats('mean', [1], 6)]);
    expect(checkpoint).toMatchObject({ optimizerGroups: [], nominal: false, externalData: false });
    expect(decodeCheckpoint(small(), 'file').frozen[1]).toMatchObject({ name: 'nothing', dims: [0] });
  });

  it("of the library's reads as the library reads it: values, moments, steps and properties", async () => {
    const { state, session } = await openSession();
    for (const seed of [1, 2]) {
      await session.trainStep(batch(4, seed));
      await session.optimizerStep();
      await session.lazyResetGrad();
    }
    await state.addProperty('epoch', 2n ** 62n);
    await state.addProperty('rate', 0.1);
    await state.addProperty('names', 'Löwenzahn, 蒲公英');
    const file = join(temporaryFolder(), 'checkpoint');
    await state.save(file, { includeOptimizerState: true });

    const bytes = readFileSync(file);
    expect(isCheckpoint(bytes)).toBe(true);
    const { trainable, frozen, optimizerGroups, properties } = decodeCheckpoint(bytes, file);
    expect({ trainable: trainable.length, frozen: frozen.length }).toEqual({ trainable: 161, frozen: 106 });
    for (const tensor of [...trainable, ...frozen]) {
      const parameter = await state.getParameter(tensor.name);
      expect({ name: tensor.name, type: tensor.type, dims: tensor.dims }).toEqual({
        name: tensor.name,
        type: parameter.type,
        dims: parameter.dims,
      });
      expect(Buffer.compare(tensor.data as Uint8Array, bytesOf(parameter.data))).toBe(0);
    }
    expect(optimizerGroups).toMatchObject([{ name: 'group0', step: 2, initialLearningRate: Math.fround(0.001) }]);
    const states = optimizerGroups[0]?.states ?? [];
    expect(states.map(({ parameter }) => parameter).sort()).toEqual(trainable.map(({ name }) => name).sort());
    const dims = new Map(trainable.map((tensor) => [tensor.name, tensor.dims]));
    for (const { parameter, moments } of states) {
      expect(moments.map(({ name }) => name)).toEqual(['momentum0', 'momentum1']);
      for (const moment of moments) expect(moment.dims).toEqual(dims.get(parameter));
    }
    expect(Object.fromEntries(properties)).toEqual({
      epoch: 2n ** 62n,
      rate: Math.fround(0.1),
      names: 'Löwenzahn, 蒲公英',
    });
  });

  it('without values, and one with values in another file, say so', () => {
    const build = (nominal: boolean, external: boolean) => {
      const builder = new Builder();
      const tensors = vector(builder, [tensor(builder, 'w', [...(nominal ? [] : [4n])], external ? 256n : undefined)]);
      const none = vector(builder, []);
      return finish(builder, tensors, none, { nominal, external });
    };
    const w = (bytes: Uint8Array) => decodeCheckpoint(bytes, 'file').trainable[0] as CheckpointTensor;
    expect(decodeCheckpoint(build(true, false), 'file')).toMatchObject({ nominal: true, externalData: false });
    expect(w(build(true, false))).toMatchObject({ dims: [], data: new Uint8Array() });
    expect(decodeCheckpoint(build(false, true), 'file')).toMatchObject({ nominal: false, externalData: true });
    expect(w(build(false, true))).toEqual({ name: 'w', type: 'float32', dims: [4], data: undefined });
    expect(messageOf(build(false, false))).toContain("tensor 'w' has 0 bytes; float32 [4] takes 16");
  });
});

describe('bytes that are no checkpoint', () => {
  it('are refused with the reason', () => {
    expect(messageOf(new Uint8Array())).toBe(
      'file: expected an ONNX Runtime training checkpoint, but it is cut short, damaged or of another kind: bytes 4 to 7 are "", not "ODTC"',
    );
    expect(messageOf(small().subarray(0, 12))).toContain('cut short');
    const builder = new Builder();
    expect(messageOf(finish(builder, vector(builder, []), vector(builder, []), { version: 3 }))).toContain(
      'its format version is 3, not 2',
    );
    const twice = encodeCheckpoint({ trainable: [floats('w', [1], 1)], frozen: [floats('w', [1], 2)] });
    expect(messageOf(twice)).toContain("two parameters of the name 'w'");
    const wrong = encodeCheckpoint({ trainable: [floats('w', [3], 1, 2)], frozen: [] });
    expect(messageOf(wrong)).toContain("tensor 'w' has 8 bytes; float32 [3] takes 12");
    const negative = encodeCheckpoint({ trainable: [floats('w', [-1], 1)], frozen: [] });
    expect(messageOf(negative)).toContain("a dimension of 'w' is -1");
  });

  it('are refused wherever they are cut', () => {
    const bytes = small();
    // FlatBuffers are written from the end: the last bytes are those of the first thing written, 'w'.
    for (let length = 0; length < bytes.byteLength - 8; length++) {
      expect({ length, refused: isRefused(bytes.subarray(0, length)) }).toEqual({ length, refused: true });
    }
  });

  it('are read or refused, and nothing else, whichever byte is another', () => {
    const bytes = small();
    let refused = 0;
    for (let place = 0; place < bytes.byteLength; place++) {
      for (const value of [0, 1, 0x7f, 0x80, 0xff]) {
        const damaged = Uint8Array.from(bytes);
        damaged[place] = value;
        if (isRefused(damaged)) refused++;
      }
    }
    expect(refused).toBeGreaterThan(bytes.byteLength);
  });

  it('are refused soon where shared parts would be read for hours', () => {
    const builder = new Builder(1 << 20);
    const shared = tensor(builder, 'w', [], undefined, 4);
    const moments = vector(builder, new Array(50_000).fill(shared));
    builder.startObject(2);
    builder.addFieldOffset(1, moments, 0);
    const state = builder.endObject();
    const states = vector(builder, new Array(50_000).fill(state));
    builder.startObject(4);
    builder.addFieldOffset(3, states, 0);
    const groups = vector(builder, new Array(50_000).fill(builder.endObject()));
    const bytes = finish(builder, vector(builder, []), vector(builder, []), { groups });
    const started = performance.now();
    expect(messageOf(bytes)).toContain('refer to each other more often');
    expect(performance.now() - started).toBeLessThan(5000);
  });
});

function tensor(builder: Builder, name: string, dims: bigint[], external: bigint | undefined, bytes = 0): number {
  const nameAt = builder.createString(name);
  builder.startVector(8, dims.length, 8);
  for (const length of dims.toReversed()) builder.addInt64(length);
  const dimsAt = builder.endVector();
  const data = builder.createByteVector(new Uint8Array(bytes));
  builder.startObject(7);
  builder.addFieldOffset(0, nameAt, 0);
  builder.addFieldOffset(2, dimsAt, 0);
  builder.addFieldInt32(3, ELEMENT_TYPES.float32.code, 0);
  builder.addFieldOffset(4, data, 0);
  if (external !== undefined) builder.addFieldInt64(6, external, -1n);
  return builder.endObject();
}

function vector(builder: Builder, offsets: number[]): number {
  builder.startVector(4, offsets.length, 4);
  for (const offset of offsets) builder.addOffset(offset);
  return builder.endVector();
}

function finish(
  builder: Builder,
  trainable: number,
  frozen: number,
  options: { version?: number; nominal?: boolean; external?: boolean; groups?: number },
): Uint8Array {
  const { version = 2, nominal = false, external = false, groups = 0 } = options;
  builder.startObject(4);
  builder.addFieldOffset(0, trainable, 0);
  builder.addFieldOffset(1, frozen, 0);
  builder.addFieldInt8(2, Number(nominal), 0);
  builder.addFieldInt8(3, Number(external), 0);
  const module = builder.endObject();
  builder.startObject(4);
  builder.addFieldInt32(0, version, 0);
  builder.addFieldOffset(1, module, 0);
  builder.addFieldOffset(2, groups, 0);
  builder.finish(builder.endObject(), 'ODTC');
  return builder.asUint8Array();
}
