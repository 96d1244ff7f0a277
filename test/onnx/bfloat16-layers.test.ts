import { describe, expect, it, onTestFinished } from 'vitest';
import {
  type BatchNormMode,
  buildArtifacts,
  buildResNet,
  decodeModel,
  encodeModel,
  extract,
  type GraphOptimizer,
  LOGITS,
  type Model,
  ORTUNE,
  PIXELS,
  type TrainingPlan,
  UPDATE_INPUTS,
  wholeNetwork,
} from '../../onnx/index.ts';
import type { Initialise } from '../../onnx/layers.ts';
import { stateOf } from '../../onnx/names.ts';
import { Runtime, type Tensors } from '../../src/runtime/index.ts';
import { openSession } from '../../src/training/session.ts';
import { type Pair, withFloat32Twins } from './float32-twins.ts';
import { batchFor, feeds, SGD } from './gradients.ts';
import { basicBlocks, oddConvolution, residualBlock, tinyNet, trainedLike } from './tiny-nets.ts';

/** Half the distance of neighbouring bfloat16 numbers, as a share of the smaller. */
const ROUNDING = 2 ** -8;
/**
 * How far losses may be from those on float32 maps, as a share of them: a map is off by 0.1 % (a rounding's root mean square)
 * for each of the two roundings of a layer, all of them independent, so that fifty layers' logits are off by about 1 %.
 */
const LOSSES = 0.02;
const STEPS = 4;

const initialise: Initialise = (name, dims, kind) => {
  const values = trainedLike(1)(name, dims, kind);
  return /_branch2[bc]_scale$/.test(name) ? values.map((value) => value / 5) : values;
};
const resNet = (options: Parameters<typeof buildResNet>[0]) =>
  extract(buildResNet({ imageSize: 64, classes: 3, ...options }, initialise), [PIXELS], [LOGITS]);
const size = { channels: 3, height: 12, width: 10 };
/**
 * Networks, and how far their gradients, taken together, may be from those on float32 maps, as a share of their norm. Roundings
 * carry values over Relu's kink, which takes an element of a gradient whole: PyTorch's autocast to bfloat16 moves the median
 * gradient of a ResNet18 for such pictures by 0.19, of a ResNet50 by 0.36.
 */
const networks: readonly (readonly [string, Model, number])[] = [
  ['basic blocks', tinyNet(basicBlocks, size, 'pool'), 0.2],
  ['every kind of fan-out, and maps that stock operators read', tinyNet(residualBlock, size), 0.03],
  [
    'a convolution without a native form between others',
    tinyNet((layers, pixels) => {
      const odd = oddConvolution(layers, layers.convolution(pixels, 'a', 4, 3, 1), 'odd', 4);
      return layers.relu(layers.batchNorm(layers.convolution(odd, 'b', 4, 3, 1), 'bn_b'), 'b_relu');
    }, size),
    0.03,
  ],
  ['ResNet18', resNet({ depth: 18, width: 1 / 4 }), 0.25],
  ['ResNet50 that strides in its 1x1 convolutions', resNet({ depth: 50, width: 1 / 8, strideIn: '1x1' }), 0.4],
];

type Plan = TrainingPlan<GraphOptimizer>;
const planOf = (model: Model, batchNorm: BatchNormMode, precision: 'fp32' | 'bf16', exact = false): Plan => {
  return { ...wholeNetwork(model, batchNorm, SGD), layers: 'native', precision, exact };
};

const updates: Tensors = {
  [UPDATE_INPUTS.update]: { type: 'bool', dims: [1], data: Uint8Array.of(1) },
  [UPDATE_INPUTS.learningRate]: { type: 'float32', dims: [1], data: Float32Array.of(1e-3) },
  [UPDATE_INPUTS.lossWeight]: { type: 'float32', dims: [], data: Float32Array.of(1) },
};

/** Some steps: their outputs, losses, and the gradients of the first. */
async function train(model: Model, plan: Plan, changes: { trainingModel?: Uint8Array; threads?: number } = {}) {
  const { threads = 1, ...other } = changes;
  const opened = await openSession({ ...buildArtifacts(model, plan), ...other }, { device: 'cpu', threads });
  onTestFinished(() => opened[Symbol.asyncDispose]());
  const batch = feeds(batchFor(model, 6));
  const outputs: Tensors[] = [];
  const gradients = new Map<string, Float32Array>();
  for (let step = 0; step < STEPS; step++) {
    outputs.push(await opened.session.trainStep({ ...batch, ...updates }));
    await opened.session.lazyResetGrad();
    if (step > 0) continue;
    // After one step the momentum is the gradient.
    const momentum = (name: string) => opened.state.getParameter(stateOf(name, 'momentum'));
    for (const name of plan.trainable) gradients.set(name, (await momentum(name)).data as Float32Array);
  }
  return { losses: outputs.map((output) => output['loss']!.data[0] as number), outputs, gradients };
}

/** Distance of two vectors, as a share of the second one's length. */
function distance(left: Float32Array, right: Float32Array): number {
  const norm = (values: Float32Array) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
  return norm(left.map((value, index) => value - right[index]!)) / norm(right);
}

/** Some of a training's gradients as one vector. */
const joined = ({ gradients }: Awaited<ReturnType<typeof train>>, names: readonly string[]) =>
  Float32Array.from(names.flatMap((name) => [...gradients.get(name)!]));

const modes = ['live', 'affine'] as const;

describe.skipIf(Runtime.load().kernels === undefined)('layers on bfloat16 maps', () => {
  describe.each(networks)('%s', (_name, model, farthest) => {
    it.each(modes.flatMap((batchNorm) => [true, false].map((exact) => [batchNorm, exact] as const)))(
      'each gives what it gives on float32, rounded: BatchNorm %s, exact %s',
      async (batchNorm, exact) => {
        const plan = planOf(model, batchNorm, 'bf16', exact);
        const training = decodeModel(buildArtifacts(model, plan).trainingModel);
        const { graph, pairs } = withFloat32Twins(training.graph);
        const layers = new Set(training.graph.nodes.filter(({ domain }) => domain === ORTUNE).map(({ op }) => op));
        expect(new Set(pairs.map(({ op }) => op))).toEqual(layers);

        const { outputs } = await train(model, plan, { trainingModel: encodeModel({ ...training, graph }) });
        const data = (name: string) => outputs[0]![name]!.data as Float32Array;
        const off = pairs.map((pair) => [pair.own, distanceIn(pair, data(pair.own), data(pair.twin))] as const);
        expect(off.filter(([, share]) => !(share <= 1))).toEqual([]);
      },
    );

    it('train as on float32', async () => {
      const expected = await train(model, planOf(model, 'live', 'fp32'));
      const actual = await train(model, planOf(model, 'live', 'bf16'));
      for (const [step, loss] of expected.losses.entries()) {
        expect(Math.abs(actual.losses[step]! - loss) / loss, `loss ${step}`).toBeLessThan(LOSSES);
      }
      const names = [...expected.gradients.keys()];
      const share = (...names: string[]) => distance(joined(actual, names), joined(expected, names));
      expect(share(...names)).toBeLessThan(farthest);
      // A gradient that is left out, or another's, is as far as it is long.
      expect(names.filter((name) => !(share(name) < 0.9))).toEqual([]);
    });
  });

  it.each([1, 2])('train to the same bits each time, on %d threads', async (threads) => {
    const [, model] = networks[0]!;
    const plan = planOf(model, 'live', 'bf16');
    expect(await train(model, plan, { threads })).toEqual(await train(model, plan, { threads }));
  });
});

/** How far a result is from its twin's, as a share of what it may be. */
function distanceIn({ isMap }: Pair, own: Float32Array, twin: Float32Array): number {
  if (!isMap) return distance(own, twin) / 1e-5;
  // Sums in another order differ by as much as their largest terms allow, which may turn a rounding over.
  const largest = (values: Float32Array) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const slack = 1e-6 * largest(twin);
  return largest(twin.map((value, index) => (own[index]! - value) / (ROUNDING * Math.abs(value) + slack)));
}
