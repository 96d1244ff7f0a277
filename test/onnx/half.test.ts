import { describe, expect, it } from 'vitest';
import {
  buildResNet,
  bytesOf,
  encodeModelChunks,
  extract,
  floatsOf,
  IMAGE,
  type Model,
  PROBABILITIES,
  parametersOf,
  withActivationMaps,
  withHalfWeights,
  withInitializers,
} from '../../onnx/index.ts';
import { InferenceWorker } from '../../src/inference/index.ts';

const HEAD = 'fc_0.w_0';
const network = buildResNet({ width: 0.125, imageSize: 32, classes: 3, seed: 2 });
const served = withActivationMaps(extract(network, [], [PROBABILITIES]));
const halvesOf = (model: Model, name: string) => {
  const { type, data } = model.graph.initializers.get(name)!;
  expect(type).toBe('float16');
  return new Uint16Array(Uint8Array.from(data).buffer);
};

/** float32 to float16 by the head's first weights. */
function halves(...values: number[]): number[] {
  const weights = floatsOf(network.graph.initializers.get(HEAD)!).slice();
  weights.set(values);
  const model = withHalfWeights(withInitializers(served, new Map([[HEAD, bytesOf(weights)]])));
  return [...halvesOf(model, HEAD).subarray(0, values.length)];
}

describe('float16', () => {
  // Known values of IEEE 754 binary16.
  it.each([
    ['zero and its negative', [0, -0], [0x0000, 0x8000]],
    ['whole numbers', [1, -2, 65504], [0x3c00, 0xc000, 0x7bff]],
    ['a third', [1 / 3], [0x3555]],
    ['the least normal and subnormal numbers', [2 ** -14, 2 ** -24, -(2 ** -24)], [0x0400, 0x0001, 0x8001]],
    ['the largest subnormal number', [2 ** -14 - 2 ** -24], [0x03ff]],
    ['what is too small', [2 ** -25, 1e-30], [0x0000, 0x0000]],
    ['halves between two, to the even one', [1 + 2 ** -11, 1 + 3 * 2 ** -11, 1.5 * 2 ** -24], [0x3c00, 0x3c02, 0x0002]],
    ['what rounds up into the next power', [2 - 2 ** -12, 2 ** -14 - 2 ** -26], [0x4000, 0x0400]],
  ])('has %s', (_, values, bits) => {
    expect(halves(...values)).toEqual(bits);
  });

  it.each([65520, -1e6, Number.POSITIVE_INFINITY, Number.NaN])('has no room for %d', (value) => {
    expect(() => halves(value)).toThrow(`${HEAD}: expected weights of at most 65504`);
  });
});

describe('a model with weights in half precision', () => {
  const model = withHalfWeights(served);

  it('keeps the names, and what is not a weight', () => {
    const before = served.graph.initializers;
    expect([...model.graph.initializers.keys()]).toEqual([...before.keys()]);
    for (const { name, type, dims } of model.graph.initializers.values()) {
      const isWeight = parametersOf(served.graph).some((one) => one.name === name) && dims.length > 1;
      expect([name, type]).toEqual([name, isWeight ? 'float16' : before.get(name)?.type]);
    }
  });

  it('answers as one in float32 whose weights are the rounded ones', async () => {
    const widen = (bits: number) => {
      const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
      const magnitude = exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15);
      return bits & 0x8000 ? -magnitude : magnitude;
    };
    const rounded = parametersOf(served.graph)
      .filter(({ dims }) => dims.length > 1)
      .map(({ name }) => [name, bytesOf(Float32Array.from(halvesOf(model, name), widen))] as const);
    const data = Uint8Array.from({ length: 2 * 32 * 32 * 3 }, (_, at) => (at * 37) % 256);
    const answers = [];
    for (const one of [model, withInitializers(served, new Map(rounded))]) {
      await using worker = await InferenceWorker.create([...encodeModelChunks(one)], { threads: 1 });
      answers.push(await worker.run({ [IMAGE]: { type: 'uint8', dims: [2, 32, 32, 3], data } }));
    }
    expect(answers[0]).toEqual(answers[1]);
  });
});
