import { InferenceSession, Tensor } from 'onnxruntime-node';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  ACTIVATION_MAPS,
  buildResNet,
  bytesOf,
  encodeModel,
  extract,
  foldBatchNorms,
  IMAGE,
  type Initializer,
  leastOf,
  type Model,
  meansOf,
  mostOf,
  PROBABILITIES,
  quantise,
  quantisedTensors,
  type TensorStatistics,
  withActivationMaps,
  withStatistics,
} from '../../onnx/index.ts';
import { LARGEST_WEIGHT, quantiseLayer } from '../../onnx/quantise-weights.ts';

const SIDE = 64;
const PICTURES = 4;
const data = Uint8Array.from({ length: PICTURES * SIDE * SIDE * 3 }, (_, at) => (at * 31 + (at >> 9) * 77) % 256);
const served = withActivationMaps(extract(network(), [], [PROBABILITIES]));
const folded = foldBatchNorms(served);
const tensors = quantisedTensors(folded.graph);

/** With BatchNorms that do something. */
function network(): Model {
  const model = buildResNet({ width: 0.125, imageSize: SIDE, classes: 3, seed: 4, inputNorm: 'caffe' });
  for (const { name, data } of model.graph.initializers.values()) {
    const values = new Float32Array(data.buffer, data.byteOffset, data.byteLength / 4);
    const wave = (at: number) => Math.sin(7 * at + name.length);
    if (/^bn.*_scale$/.test(name)) for (const at of values.keys()) values[at] = 0.5 + 0.2 * wave(at);
    if (/^bn.*_(offset|mean)$/.test(name)) for (const at of values.keys()) values[at] = 0.3 * wave(at);
    if (/^bn.*_variance$/.test(name)) for (const at of values.keys()) values[at] = 1 + 0.5 * wave(at);
    if (name === 'fc_0.w_0') for (const at of values.keys()) values[at] = 0.02 * values[at]!;
  }
  return model;
}

async function run(model: Model, optimisation: 'all' | 'disabled' = 'all') {
  const session = await InferenceSession.create(encodeModel(model), { graphOptimizationLevel: optimisation });
  const outputs = await session.run({ [IMAGE]: new Tensor('uint8', data, [PICTURES, SIDE, SIDE, 3]) });
  return (name: string) => [...(outputs[name]!.data as Float32Array)];
}

let statistics: Map<string, TensorStatistics>;
let quantised: Model;
beforeAll(async () => {
  const found = await run(withStatistics(folded, tensors));
  statistics = new Map(
    tensors.map((name) => {
      const means = found(meansOf(name));
      const channels = means.length / PICTURES;
      const mean = (at: number) =>
        means.filter((_, place) => place % channels === at).reduce((a, b) => a + b) / PICTURES;
      return [
        name,
        {
          least: Math.min(...found(leastOf(name))),
          most: Math.max(...found(mostOf(name))),
          means: Float64Array.from({ length: channels }, (_, at) => mean(at)),
        },
      ];
    }),
  );
  quantised = quantise(folded, statistics);
});

const apart = (left: number[], right: number[]) => Math.max(...left.map((value, at) => Math.abs(value - right[at]!)));

describe('BatchNorms', () => {
  it('are worked into the convolutions before them', async () => {
    const ops = folded.graph.nodes.map(({ op }) => op);
    expect(ops).not.toContain('BatchNormalization');
    expect([...folded.graph.initializers.keys()].filter((name) => name.startsWith('bn'))).toEqual([]);
    expect(ops.filter((op) => op === 'Conv')).toHaveLength(54);
    // Unoptimised: ONNX Runtime would do the same to the one.
    const [before, after] = [await run(served, 'disabled'), await run(folded, 'disabled')];
    const maps = before(ACTIVATION_MAPS);
    expect(apart(maps, after(ACTIVATION_MAPS)) / Math.max(...maps.map(Math.abs))).toBeLessThan(1e-4);
  });
});

describe('a network in eight bits', () => {
  it('answers much as it did in float32', async () => {
    const [before, after] = [await run(served), await run(quantised)];
    const probabilities = before(PROBABILITIES);
    expect(Math.max(...probabilities)).toBeLessThan(0.99);
    expect(apart(probabilities, after(PROBABILITIES))).toBeLessThan(0.02);
  });

  it('gives the same by integer operators as by the definition, in floats', async () => {
    const [fused, plain] = [await run(quantised), await run(quantised, 'disabled')];
    expect(apart(fused(PROBABILITIES), plain(PROBABILITIES))).toBeLessThan(0.005);
  });

  it('is integers but for the head', () => {
    const { initializers } = quantised.graph;
    for (const name of ['conv1_weights', 'res5c_branch2c_weights']) expect(initializers.get(name)?.type).toBe('int8');
    expect(initializers.get('conv1_bias')?.type).toBe('int32');
    expect(initializers.get('fc_0.w_0')).toBe(served.graph.initializers.get('fc_0.w_0'));
    const { size } = new Set(quantised.graph.nodes.flatMap(({ outputs }) => outputs));
    expect(size).toBe(quantised.graph.nodes.length);
  });

  it('has zero on the grid of every tensor, and max-pooling on that of its input', () => {
    const { initializers } = quantised.graph;
    const grid = (name: string) => [
      initializers.get(`${name}_scale`)?.data,
      initializers.get(`${name}_zero_point`)?.data,
    ];
    expect(grid('pool1')).toEqual(grid('conv1_relu'));
    // What comes out of ReLU has no negative numbers, so that ReLU is the grid's own lower end.
    expect(initializers.get('res2a_relu_zero_point')?.data).toEqual(Uint8Array.of(0));
    expect(initializers.get('pixels_zero_point')?.data[0]).toBeGreaterThan(100);
  });

  it('needs the statistics of every tensor', () => {
    const fewer = new Map([...statistics].filter(([name]) => name !== 'res3a_relu'));
    expect(() => quantise(folded, fewer)).toThrow("tensor 'res3a_relu': its range is not known or not finite");
  });
});

describe("a layer's weights", () => {
  const layer = (weights: number[], dims: number[], bias: number[], input: { scale: number; means: number[] }) => {
    const floats = (name: string, values: number[], shape: number[]): Initializer => {
      return { name, type: 'float32', dims: shape, data: bytesOf(Float32Array.from(values)) };
    };
    const { means, scale } = input;
    return quantiseLayer(floats('w', weights, dims), floats('b', bias, [bias.length]), {
      scale,
      means: Float64Array.from(means),
    });
  };

  it('fill the range, each output channel its own', () => {
    const { weights, scales } = layer([1, -0.5, 0.02, 0.01], [2, 2, 1, 1], [0, 0], { scale: 1, means: [0, 0] });
    expect([...weights]).toEqual([64, -32, 64, 32]);
    expect([...scales]).toEqual([1 / 64, 0.02 / 64].map(Math.fround));
    expect(LARGEST_WEIGHT * 2 * 255).toBeLessThan(2 ** 15);
  });

  it('keep the mean of what comes out, by the bias', () => {
    const values = Array.from({ length: 18 }, (_, at) => Math.sin(at) ** 3);
    const means = [3, 0.25];
    const { weights, scales, biases, biasScales } = layer(values, [1, 2, 3, 3], [0.7], { scale: 0.01, means });
    const sum = (weight: (at: number) => number) =>
      values.reduce((total, _, at) => total + weight(at) * means[Math.floor(at / 9)]!, 0);
    const wanted = sum((at) => Math.fround(values[at]!)) + 0.7;
    const rounded = sum((at) => weights[at]! * scales[0]!);
    expect(Math.abs(rounded + 0.7 - wanted)).toBeGreaterThan(0.001);
    expect(Math.abs(rounded + biases[0]! * biasScales[0]! - wanted)).toBeLessThan(biasScales[0]!);
  });

  it('leave their bias room where they are zero or nearly', () => {
    const { weights, biases, biasScales } = layer([0, 0, 1e-20, 0], [2, 2, 1, 1], [0, -5], {
      scale: 1e-3,
      means: [1, 1],
    });
    expect([...weights]).toEqual([0, 0, 0, 0]);
    expect(biases[1]! * biasScales[1]!).toBeCloseTo(-5, 6);
    expect(Math.abs(biases[1]!)).toBeLessThanOrEqual(2 ** 30 + 128);
  });
});
