import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { encodeModel } from '../../onnx/index.ts';
import { type ModelMessage, ModelProto, type TensorMessage } from '../../onnx/proto.ts';
import { buildResNet } from '../../onnx/resnet.ts';
import { loadWeights, openWeights } from '../../src/weights/index.ts';
import { failure, openBytes, resnetParameters, temporaryFolder } from './helpers.ts';

const folder = await temporaryFolder();
const FLOAT = 1;
const EXTERNAL = 1;

function model(...initializer: TensorMessage[]): Uint8Array {
  const message: ModelMessage = { irVersion: 8, producerName: 'test', graph: { name: 'g', initializer } };
  return ModelProto.encode(message).finish();
}
const floats = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);

describe('an ONNX model', () => {
  it('gives its initializers, in whichever field their values are', async () => {
    const file = await openBytes(
      folder,
      model(
        { name: 'raw', dataType: FLOAT, dims: [2, 1], rawData: floats(1, 2) },
        { name: 'field', dataType: FLOAT, dims: [2], floatData: [3, 4] },
        { name: 'double', dataType: 11, dims: [1], doubleData: [5] },
        { name: 'half', dataType: 10, dims: [2], int32Data: [0x3c00, 0xc000] },
        { name: 'int', dataType: 7, dims: [], int64Data: [-6] },
        { name: 'text', dataType: 8, dims: [1] },
      ),
    );
    expect(file.format).toBe('onnx');
    const values = await Promise.all(
      [...file.tensors.keys()].map(async (name) => [name, [...(await file.read(name)).data]]),
    );
    expect(Object.fromEntries(values)).toEqual({ raw: [1, 2], field: [3, 4], double: [5], half: [1, -2], int: [-6n] });
    expect(file.tensors.get('raw')).toMatchObject({ type: 'float32', dims: [2, 1] });
    expect(file.ignored).toEqual(['text']);
  });

  it('that ortune built loads whole, under its own names', async () => {
    const options = { width: 0.125, imageSize: 32, classes: 3, seed: 5 };
    const built = buildResNet(options);
    const file = await openBytes(folder, encodeModel(built));
    const { values, report } = await loadWeights(file, resnetParameters(options), { head: [] });
    expect(report).toMatchObject({ dialect: 'paddle', missing: [], wrongShape: [] });
    expect(values.size).toBe(267);
    const { data } = built.graph.initializers.get('res4b_branch2b_weights')!;
    expect(Buffer.from(values.get('res4b_branch2b_weights')!.buffer).equals(data)).toBe(true);
  });

  it('cut anywhere is refused, or has fewer fields', async () => {
    const whole = model({ name: 'w', dataType: FLOAT, dims: [2], rawData: floats(1, 2) });
    for (let length = 0; length < whole.length; length++) {
      expect((await failure(openBytes(folder, whole.subarray(0, length)))).code, `${length} bytes`).toMatch(
        /^WEIGHTS_(FORMAT|INVALID)$/,
      );
    }
  });

  it.each([
    [
      'values of another size',
      { name: 'w', dataType: FLOAT, dims: [3], rawData: floats(1, 2) },
      /'w': expected 12 bytes.*received 8/,
    ],
    ['no values', { name: 'w', dataType: FLOAT, dims: [3] }, /expected 12 bytes.*received 0/],
    ['a negative dim', { name: 'w', dataType: FLOAT, dims: [-1], rawData: floats(1) }, /shape of whole numbers/],
    ['a shape that overflows', { name: 'w', dataType: FLOAT, dims: [2 ** 31, 2 ** 31] }, /shape of whole numbers/],
  ])('with %s is refused', async (_, tensor, message) => {
    expect((await failure(openBytes(folder, model(tensor)))).message).toMatch(message);
  });

  it('without initializers, or with two of a name, is refused', async () => {
    expect((await failure(openBytes(folder, model()))).message).toMatch(/its graph has none/);
    const tensor = { name: 'w', dataType: FLOAT, dims: [1], rawData: floats(1) };
    expect((await failure(openBytes(folder, model(tensor, tensor)))).message).toMatch(/'w' twice/);
  });
});

describe('external values', () => {
  const path = join(folder, 'models', 'model.onnx');
  const external = (location: string, entries: Readonly<Record<string, string>> = {}): TensorMessage => ({
    name: 'w',
    dataType: FLOAT,
    dims: [2],
    dataLocation: EXTERNAL,
    externalData: Object.entries({ location, ...entries }).map(([key, value]) => ({ key, value })),
  });
  const read = async (tensor: TensorMessage) => {
    await mkdir(join(folder, 'models', 'data'), { recursive: true });
    await writeFile(join(folder, 'outside'), floats(8, 9));
    await writeFile(join(folder, 'models', 'data', 'values'), floats(1, 2, 3, 4));
    await writeFile(path, model(tensor));
    const file = await openWeights(path);
    return [...(await file.read('w')).data];
  };

  it('are read from their place in a file beside the model', async () => {
    expect(await read(external('data/values', { offset: '4', length: '8' }))).toEqual([2, 3]);
    expect(await read(external('data/values'))).toEqual([1, 2]);
  });

  it.each([
    ['missing', external('nothing'), /'nothing' beside the model/],
    ['outside', external('../outside'), /within the model's folder.*'\.\.\/outside'/],
    ['at an absolute path', external(join(folder, 'outside')), /within the model's folder/],
    ['the folder itself', external('.'), /within the model's folder/],
    ['of another length', external('data/values', { length: '4' }), /expected 8 bytes.*received 4/],
    ['at no offset', external('data/values', { offset: 'x' }), /whole offset/],
    ['past the end', external('data/values', { offset: '12' }), /the file ends at byte 16/],
    ['before the start', external('data/values', { offset: '-4' }), /values of 'w'/],
  ])('%s are refused', async (_, tensor, message) => {
    expect((await failure(read(tensor))).message).toMatch(message);
  });

  it('behind a link that leads out are refused', async () => {
    await mkdir(join(folder, 'models'), { recursive: true });
    await symlink(join(folder, 'outside'), join(folder, 'models', 'link'));
    expect((await failure(read(external('link')))).message).toMatch(/within the model's folder/);
  });
});
