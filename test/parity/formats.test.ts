import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { encodeCheckpoint } from '../../onnx/checkpoint.ts';
import { GraphBuilder, tensor } from '../../onnx/graph.ts';
import {
  buildResNet,
  bytesOf,
  decodeModel,
  encodeModel,
  extract,
  FEATURES,
  type Initializer,
  PIXELS,
  PROBABILITIES,
} from '../../onnx/index.ts';
import { trainedLike } from '../onnx/tiny-nets.ts';
import { describeParity, official } from './official.ts';

describeParity("files in the official packages' hands", () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ortune-formats-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('graphs pass the ONNX checker with shape inference', async () => {
    const network = buildResNet({ width: 0.125, imageSize: 64, classes: 5 });
    const models = [
      network,
      buildResNet({ width: 0.25, imageSize: 32, strideIn: '1x1', inputNorm: 'caffe' }),
      buildResNet({ width: 1 / 64, imageSize: 224, classes: 2, inputNorm: 'tutorial' }),
      extract(network, [], [FEATURES]),
      extract(network, [PIXELS], [PROBABILITIES]),
    ];
    const paths = models.map((_, index) => join(folder, `${index}.onnx`));
    await Promise.all(models.map((model, index) => writeFile(paths[index]!, encodeModel(model))));
    await official('validate', ...paths);

    // The checker would notice a shape that is not what its inference finds.
    const { graph } = network;
    const wrong = {
      ...graph,
      values: new Map([...graph.values, ['conv1', tensor('conv1', 'float32', 'batch', 64, 31, 32)]]),
    };
    await writeFile(paths[0]!, encodeModel({ ...network, graph: wrong }));
    await expect(official('validate', paths[0]!)).rejects.toThrow(/InferenceError/);
  });

  it('checkpoints hold the parameters that went in', async () => {
    const { initializers } = buildResNet({ width: 0.125, imageSize: 32 }, trainedLike(4)).graph;
    const tensors = [...initializers.values()];
    const scalar: Initializer = { name: 'scalar', type: 'float32', dims: [], data: bytesOf(Float32Array.of(-2.5)) };
    const trainable = [...tensors.filter(({ name }) => !/_(mean|variance)$/.test(name)), scalar];
    const frozen = tensors.filter(({ name }) => /_(mean|variance)$/.test(name));
    const path = join(folder, 'checkpoint');
    await writeFile(path, encodeCheckpoint({ trainable, frozen }));

    const describe = (trained: boolean) => (stored: Initializer) => {
      const sha256 = createHash('sha256').update(stored.data).digest('hex');
      return [stored.name, { dims: [...stored.dims], type: stored.type, sha256, trainable: trained }] as const;
    };
    const expected = Object.fromEntries([...trainable.map(describe(true)), ...frozen.map(describe(false))]);
    expect(JSON.parse(await official('parameters', path))).toEqual(expected);
  });

  it('models whose tensors are in the typed fields read as those with raw bytes', async () => {
    const graph = new GraphBuilder('typed');
    const add = (name: string, type: Initializer['type'], array: ArrayBufferView, dims: number[]) =>
      graph.initializer({ name, type, dims, data: bytesOf(array) });
    add('float', 'float32', Float32Array.of(1.5, -2.25, 3e-39, 6.02e23), [2, 2]);
    add('double', 'float64', Float64Array.of(Math.PI, -0), [2]);
    add('long', 'int64', BigInt64Array.of(2n ** 63n - 1n, -(2n ** 63n), -1n), [3]);
    add('int', 'int32', Int32Array.of(-7, 2 ** 31 - 1), [2]);
    add('short', 'int16', Int16Array.of(-300, 300), [2]);
    add('char', 'int8', Int8Array.of(-128, 127), [2]);
    add('byte', 'uint8', Uint8Array.of(0, 255, 7), [3]);
    add('word', 'uint16', Uint16Array.of(65535, 1), [2]);
    add('truth', 'bool', Uint8Array.of(1, 0), [2]);
    add('half', 'float16', Uint16Array.of(0x3c00, 0xc100), [2]);
    add('scalar', 'float32', Float32Array.of(4), []);
    graph.output(graph.add('Identity', ['float'], tensor('out', 'float32', 2, 2)));
    const model = { graph: graph.build(), opsets: new Map([['', 17]]), metadata: new Map([['key', 'väl\n']]) };
    const [raw, typed] = [join(folder, 'raw.onnx'), join(folder, 'typed.onnx')];
    const bytes = encodeModel(model);
    await writeFile(raw, bytes);
    await official('typed-fields', raw, typed);

    const rewritten = await readFile(typed);
    const decoded = decodeModel(rewritten);
    for (const [name, tensor] of model.graph.initializers) {
      const { data, ...rest } = decoded.graph.initializers.get(name)!;
      expect({ ...rest, data: [...data] }).toEqual({ ...tensor, data: [...tensor.data] });
    }
    expect(decoded.metadata).toEqual(model.metadata);
    // The typed fields are what was read: raw bytes of the largest float64 are not in the file.
    expect(rewritten.equals(bytes)).toBe(false);
  });
});
