import { describe, expect, it, onTestFinished } from 'vitest';
import {
  buildArtifacts,
  decodeModel,
  type GraphOptimizer,
  type Kernels,
  ORTUNE,
  UPDATE_INPUTS,
  wholeNetwork,
} from '../../onnx/index.ts';
import type { Tensors } from '../../src/runtime/index.ts';
import { openSession } from '../../src/training/session.ts';
import { basicBlocks, tinyNet } from './tiny-nets.ts';

const [BATCH, SIDE, STEPS] = [4, 20, 20];
const network = tinyNet(basicBlocks, { channels: 3, height: SIDE, width: SIDE }, 'pool');
/** Its head's weights, 28800, are shared out among the threads. */
const wide = tinyNet((layers, pixels) => layers.relu(layers.convolution(pixels, 'wide', 24, 3, 1), 'wide_relu'), {
  channels: 3,
  height: SIDE,
  width: SIDE,
});

const ADAM = { kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8 } as const;
const plain = (name: string) => !name.startsWith('bn');
/** Numbers that float32 does not have, so that a rounding in the wrong place would show. */
const OPTIMIZERS: readonly (readonly [string, Partial<GraphOptimizer>])[] = [
  ['Adam', { algorithm: ADAM }],
  ['Adam of other betas', { algorithm: { kind: 'adam', beta1: 0.83, beta2: 0.97, epsilon: 3e-7 } }],
  ['AdamW in groups', { algorithm: ADAM, weightDecay: 0.03, rate: (name) => (plain(name) ? 0.3 : 1) }],
  ['AdamW, clipped, with averages', { algorithm: ADAM, weightDecay: 0.03, clipNorm: 0.7, averages: true }],
  ['SGD', {}],
  ['SGD with decay and averages', { weightDecay: 0.03, averages: true }],
  ['SGD with momentum, clipped', { algorithm: { kind: 'sgd', momentum: 0.9, nesterov: false }, clipNorm: 0.7 }],
  [
    "Nesterov's momentum with decay, in groups, clipped, with averages",
    {
      algorithm: { kind: 'sgd', momentum: 0.87, nesterov: true },
      weightDecay: 0.03,
      rate: (name) => (plain(name) ? 0.3 : 1),
      clipNorm: 0.7,
      averages: true,
    },
  ],
];

const optimizerOf = (given: Partial<GraphOptimizer>): GraphOptimizer => ({
  algorithm: { kind: 'sgd', momentum: 0, nesterov: false },
  weightDecay: 0,
  decays: plain,
  rate: () => 1,
  ...given,
});

const build = (given: Partial<GraphOptimizer>, kernels: Kernels, model = network) =>
  buildArtifacts(model, { ...wholeNetwork(model, 'live', optimizerOf(given)), kernels });

function feeds(step: number, last: boolean, averages: boolean): Tensors {
  const pixels = BATCH * 3 * SIDE * SIDE;
  return {
    pixels: {
      type: 'float32',
      dims: [BATCH, 3, SIDE, SIDE],
      data: Float32Array.from({ length: pixels }, (_, index) => Math.sin(1 + step * 0.7 + index * 0.013)),
    },
    label: { type: 'int64', dims: [BATCH], data: BigInt64Array.from({ length: BATCH }, (_, row) => BigInt(row % 2)) },
    [UPDATE_INPUTS.update]: { type: 'bool', dims: [1], data: Uint8Array.of(Number(last)) },
    [UPDATE_INPUTS.learningRate]: { type: 'float32', dims: [1], data: Float32Array.of(0.003) },
    [UPDATE_INPUTS.lossWeight]: { type: 'float32', dims: [], data: Float32Array.of(0.5) },
    ...(averages && {
      [UPDATE_INPUTS.averageShare]: { type: 'float32', dims: [1], data: Float32Array.of(1 / (2 + step)) },
    }),
  };
}

/** Trains by two batches to an update. @returns the bits of all that lies in the checkpoint then */
async function train(given: Partial<GraphOptimizer>, kernels: Kernels, model = network, threads = 1) {
  const artifacts = build(given, kernels, model);
  const opened = await openSession(artifacts, { device: 'cpu', threads });
  onTestFinished(() => opened[Symbol.asyncDispose]());
  const { session, state } = opened;
  for (let step = 0; step < 2 * STEPS; step++) {
    await session.trainStep(feeds(step, step % 2 === 1, given.averages ?? false));
    if (step % 2 === 1) await session.lazyResetGrad();
  }
  const names = decodeModel(artifacts.evalModel).graph.inputs.map(({ name }) => name);
  const values = new Map<string, Uint32Array>();
  for (const name of names.filter((one) => !['pixels', 'label'].includes(one))) {
    const { data } = await state.getParameter(name);
    values.set(name, new Uint32Array(data.buffer, data.byteOffset, data.byteLength / 4));
  }
  return values;
}

describe.each(OPTIMIZERS)('%s', (_, given) => {
  it('by native kernels trains as by stock ones, bit for bit', async () => {
    const stock = await train(given, 'stock');
    expect(stock.size).toBeGreaterThan(10);
    expect(await train(given, 'native')).toEqual(stock);
  });

  it('gives the same bits where threads share the work', async () => {
    expect(await train(given, 'native', wide, 2)).toEqual(await train(given, 'stock', wide, 1));
  });

  it('has the same checkpoint and eval model, and a node for each parameter', () => {
    const [stock, native] = [build(given, 'stock'), build(given, 'native')];
    expect(native.evalModel).toEqual(stock.evalModel);
    expect(native.checkpoint).toEqual(stock.checkpoint);
    expect(decodeModel(stock.trainingModel).opsets.has(ORTUNE)).toBe(false);
    const { graph, opsets } = decodeModel(native.trainingModel);
    expect(opsets.get(ORTUNE)).toBe(1);
    const branch = graph.nodes.find(({ op }) => op === 'If')?.attributes['then_branch'];
    const nodes = branch?.kind === 'graph' ? branch.value.nodes : [];
    const trained = wholeNetwork(network, 'live', optimizerOf(given)).trainable;
    expect(nodes.filter(({ domain }) => domain === ORTUNE).map(({ inputs }) => inputs[0])).toEqual([...trained]);
  });
});

it('native kernels in half precision are refused, as no device has both', () => {
  const plan = wholeNetwork(network, 'live', optimizerOf({}));
  expect(() => buildArtifacts(network, { ...plan, precision: 'fp16', kernels: 'native' })).toThrow(
    'native kernels run on the CPU, half precision on CUDA',
  );
});
