import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import {
  buildResNet,
  bytesOf,
  encodeModel,
  extract,
  PIXELS,
  PROBABILITIES,
  withInitializers,
} from '../../onnx/index.ts';
import { shared } from '../shared.ts';
import { readSafetensors, readThinWeights } from './thin-weights.ts';

/** [n, h, w, c] to [n, c, h, w]. */
function toPlanes(data: Float32Array, [n, h, w, c]: [number, number, number, number]): Float32Array {
  const planes = new Float32Array(data.length);
  for (let index = 0; index < data.length; index++) {
    const channel = index % c;
    const place = Math.floor(index / c) % (h * w);
    planes[(Math.floor(index / (c * h * w)) * c + channel) * h * w + place] = data[index]!;
  }
  expect(n * c * h * w).toBe(data.length);
  return planes;
}

describe.skipIf(!shared)('a pretrained network (needs ORTUNE_SHARED)', () => {
  it("gives its original's probabilities", async () => {
    const reference = readSafetensors(shared!, 'resnet50-thin.reference-io.safetensors');
    const [x, y] = [reference.get('x')!, reference.get('y')!];
    const bare = buildResNet({ width: 0.5, strideIn: '1x1', classes: 2, inputNorm: 'caffe' }, (_name, dims) => {
      return new Float32Array(dims.reduce((product, length) => product * length, 1));
    });
    const weights = [...readThinWeights(shared!)].map(([name, { data }]) => [name, bytesOf(data)] as const);
    const model = extract(withInitializers(bare, new Map(weights)), [PIXELS], [PROBABILITIES]);
    const planes = toPlanes(x.data, x.dims as [number, number, number, number]);

    const session = await InferenceSession.create(encodeModel(model));
    expect(session.inputNames).toEqual([PIXELS]);
    const outputs = await session.run({ [PIXELS]: new Tensor('float32', planes, [4, 3, 224, 224]) });
    const output = outputs[PROBABILITIES]!;
    expect(output.dims).toEqual(y.dims);
    const probabilities = output.data as Float32Array;
    const error = Math.max(...y.data.map((value, index) => Math.abs(value - probabilities[index]!)));
    // Padding max-pooling on all sides, as torchvision does, would be off by 6e-3.
    expect(error).toBeLessThan(1e-4);
  });
});
