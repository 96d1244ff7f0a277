import { describe, expect, it, onTestFinished } from 'vitest';
import { int } from '../../onnx/graph.ts';
import {
  type BatchNormMode,
  buildArtifacts,
  buildResNet,
  decodeModel,
  encodeModel,
  extract,
  type Graph,
  type GraphOptimizer,
  headOnly,
  LOGITS,
  type Model,
  movedStatistics,
  type Node,
  PIXELS,
  type TrainingPlan,
  UPDATE_INPUTS,
  wholeNetwork,
} from '../../onnx/index.ts';
import type { Initialise } from '../../onnx/layers.ts';
import { bufferOf, flagOf } from '../../onnx/names.ts';
import { LAYER_MAPS } from '../../onnx/native-layers.ts';
import { Runtime, type Tensors } from '../../src/runtime/index.ts';
import { openSession } from '../../src/training/session.ts';
import { batchFor, feeds, SGD } from './gradients.ts';
import { lowered } from './lowered.ts';
import { basicBlocks, oddConvolution, residualBlock, tinyNet, trainedLike } from './tiny-nets.ts';

const operators = new Set(Runtime.load().customOperators);
const missing = Object.keys(LAYER_MAPS).filter((op) => !operators.has(op));

const RATE = 3e-4;
/** Of most trainings. */
const STEPS = 5;
/** Of those in which all layers train, BatchNorm too: a rounding that steps make more of shows by then. */
const MANY_STEPS = 20;
/** Batches that an update is made from: the last one of an epoch is smaller. */
const BATCHES = [6, 4];

/** Largest distance of a gradient from the expected one, but see {@link compare}. */
const TOLERANCE = 1e-4;
/** Relative noise on the pixels: a few roundings. */
const NOISE = 1e-6;

/** Small residual branches: at full scale a network of so many layers makes much of every rounding. */
const initialise: Initialise = (name, dims, kind) => {
  const values = trainedLike(1)(name, dims, kind);
  return /_branch2[bc]_scale$/.test(name) ? values.map((value) => value / 5) : values;
};
const resNet = (options: Parameters<typeof buildResNet>[0]) =>
  extract(buildResNet({ width: 1 / 8, imageSize: 64, classes: 3, ...options }, initialise), [PIXELS], [LOGITS]);

const size = { channels: 3, height: 12, width: 10 };
const blocks = tinyNet(basicBlocks, size, 'pool');
const resNet50 = resNet({ depth: 50 });
const networks: readonly (readonly [string, Model])[] = [
  ['basic blocks', blocks],
  ['every kind of fan-out, and maps that stock operators read', tinyNet(residualBlock, size)],
  [
    'a convolution without a native form between others',
    tinyNet((layers, pixels) => {
      const odd = oddConvolution(layers, layers.convolution(pixels, 'a', 4, 3, 1), 'odd', 4);
      return layers.relu(layers.batchNorm(layers.convolution(odd, 'b', 4, 3, 1), 'bn_b'), 'b_relu');
    }, size),
  ],
  [
    'BatchNorm and max-pooling before any convolution, windows past the edge',
    tinyNet((layers, pixels) => {
      const pooled = layers.maxPool(layers.batchNorm(pixels, 'bn_a'), 'pool_a', [0, 0, 1, 1]);
      return layers.maxPool(layers.convolution(pooled, 'b', 5, 3, 1), 'pool_b', [1, 1, 1, 1]);
    }, size),
  ],
  ['ResNet18', resNet({ depth: 18 })],
  ['ResNet50', resNet50],
  ['ResNet50 that strides in its 1x1 convolutions', resNet({ depth: 50, strideIn: '1x1' })],
];

const mixed = (node: string): BatchNormMode =>
  /branch2a|_a|conv1/.test(node) ? 'live' : /branch2b|_b/.test(node) ? 'affine' : 'frozen';
const plansOf = (model: Model): readonly (readonly [string, TrainingPlan<GraphOptimizer>])[] => [
  ['BatchNorm live', wholeNetwork(model, 'live', SGD)],
  ['BatchNorm affine', wholeNetwork(model, 'affine', SGD)],
  ['BatchNorm frozen', wholeNetwork(model, 'frozen', SGD)],
  ['BatchNorm of all modes', wholeNetwork(model, mixed, SGD)],
  ['the head alone, BatchNorm live', headOnly('live', SGD)],
];
const cases = networks.map(([name, model]) => [name, model, plansOf(model)] as const);

/** The graph with what a buffer holds after the step, for each parameter, as `accumulated_<name>`. */
function withBuffers(graph: Graph, trainable: ReadonlySet<string>): Graph {
  const added = [...trainable].map((name) => {
    const [output, buffer] = [`accumulated_${name}`, bufferOf(name)];
    // It waits for the flag, which says that the buffer has been written.
    const inputs = [flagOf(name), buffer, buffer];
    return {
      node: { op: 'Where', domain: '', name: output, inputs, outputs: [output], attributes: {} },
      value: { ...graph.inputs.find((input) => input.name === buffer)!, name: output },
    };
  });
  return {
    ...graph,
    nodes: [...graph.nodes, ...added.map(({ node }) => node)],
    outputs: [...graph.outputs, ...added.map(({ value }) => value)],
  };
}

const lastStage = (['live', 'affine'] as const).map((batchNorm) => {
  const plan = wholeNetwork(resNet50, batchNorm, SGD);
  const trainable = new Set([...plan.trainable].filter((name) => /^(res5|bn5|fc)/.test(name)));
  return [batchNorm, resNet50, { ...plan, trainable }] as const;
});

const float = (dims: readonly number[], value: number) =>
  ({ type: 'float32', dims, data: Float32Array.of(value) }) as const;
const updates = (last: boolean): Tensors => ({
  [UPDATE_INPUTS.update]: { type: 'bool', dims: [1], data: Uint8Array.of(Number(last)) },
  [UPDATE_INPUTS.learningRate]: float([1], RATE),
  [UPDATE_INPUTS.lossWeight]: float([], 0.5),
});

/** A batch, or one that roundings have touched. */
function pixelsOf(model: Model, size: number, noise: number) {
  const batch = batchFor(model, size);
  const data = batch.pixels.data.map((value, index) => value * (1 + (index % 2 === 0 ? noise : -noise)));
  return { ...batch, pixels: { ...batch.pixels, data } };
}

interface Changes {
  /** To the training graph. */
  readonly tamper?: ((graph: Graph) => Graph) | undefined;
  /** Relative, on the pixels. */
  readonly noise?: number;
}

/** Some steps of two batches each: every loss, and after the first step gradients by parameter and running statistics. */
async function train(model: Model, plan: TrainingPlan<GraphOptimizer>, steps: number, changes: Changes = {}) {
  const { tamper = (graph) => graph, noise = 0 } = changes;
  const artifacts = buildArtifacts(model, plan);
  const training = decodeModel(artifacts.trainingModel);
  const trainingModel = encodeModel({ ...training, graph: withBuffers(tamper(training.graph), plan.trainable) });
  const opened = await openSession({ ...artifacts, trainingModel }, { device: 'cpu', threads: 1 });
  onTestFinished(() => opened[Symbol.asyncDispose]());
  const losses: number[] = [];
  const gradients = new Map<string, Float32Array>();
  const statistics = new Map<string, Float32Array>();
  for (let step = 0; step < steps; step++) {
    for (const [index, size] of BATCHES.entries()) {
      const last = index === BATCHES.length - 1;
      const outputs = await opened.session.trainStep({ ...feeds(pixelsOf(model, size, noise)), ...updates(last) });
      losses.push(outputs['loss']!.data[0] as number);
      if (step === 0 && last) {
        for (const name of plan.trainable) gradients.set(name, outputs[`accumulated_${name}`]!.data as Float32Array);
      }
    }
    await opened.session.lazyResetGrad();
    if (step > 0) continue;
    for (const name of movedStatistics(model.graph, plan)) {
      statistics.set(name, (await opened.state.getParameter(name)).data as Float32Array);
    }
  }
  return { losses, gradients, statistics };
}

/** Distance of two vectors, as a share of the expected one's length. */
function distance(actual: Float32Array, expected: Float32Array): number {
  return Math.hypot(...actual.map((value, index) => value - expected[index]!)) / Math.hypot(...expected);
}

/** What training by a plan with stock layers gave. */
const stock = new Map<unknown, Awaited<ReturnType<typeof train>>>();

/**
 * Compares a training by a plan with native layers to that with stock ones. Among the many places of a deep network some may
 * lie so near Relu's kink that a rounding moves them past it: the gradients of all that is before then differ by up to
 * hundredths. Stock layers say where that is so, by what they make of a little noise on the pixels.
 */
async function compare(
  model: Model,
  plan: TrainingPlan<GraphOptimizer>,
  { tamper, exact = true, steps = STEPS }: Pick<Changes, 'tamper'> & { exact?: boolean; steps?: number } = {},
) {
  const known = stock.get(plan);
  const enough = known && known.losses.length >= steps * BATCHES.length;
  const expected = enough ? known : await train(model, plan, steps);
  stock.set(plan, expected);
  const actual = await train(model, { ...plan, layers: 'native', exact }, steps, { tamper });
  const far = (part: 'gradients' | 'statistics', tolerance: number) =>
    [...expected[part]]
      .filter(([name, values]) => !(distance(actual[part].get(name)!, values) < tolerance))
      .map(([name, values]) => `${name} by ${distance(actual[part].get(name)!, values)}`);
  if (far('gradients', TOLERANCE).length > 0) {
    const touched = await train(model, plan, 1, { noise: NOISE });
    const moved = [...expected.gradients].map(([name, values]) => distance(touched.gradients.get(name)!, values));
    expect(far('gradients', Math.max(TOLERANCE, ...moved))).toEqual([]);
  }
  expect(far('statistics', 1e-5)).toEqual([]);
  expect(actual.losses.length).toBe(steps * BATCHES.length);
  for (const [index, loss] of actual.losses.entries()) {
    const wanted = expected.losses[index]!;
    expect(Math.abs(loss - wanted) / wanted, `loss ${index}`).toBeLessThan(1e-4);
  }
  expect(new Set(expected.losses).size).toBe(expected.losses.length);
}

const kinds = [
  ['native layers, computed by stock operators,', lowered, false],
  [missing.length > 0 ? `native layers (needs ${missing.join(', ')})` : 'native layers', undefined, missing.length > 0],
] as const;

describe.each(kinds)('%s train as stock ones do:', (_, tamper, skipped) => {
  describe.skipIf(skipped).each(cases)('%s', (_name, model, plans) => {
    const [[, live], ...others] = plans as [(typeof plans)[0], ...typeof plans];
    it.each(tamper ? plans : others)('%s', (_mode, plan) => compare(model, plan, { tamper }));

    if (tamper) return;
    it.each([
      ['by their definition', true],
      ["by Winograd's algorithm", false],
    ])(
      `BatchNorm live, ${MANY_STEPS} steps, convolutions %s`,
      (_how, exact) => compare(model, live, { exact, steps: MANY_STEPS }),
      120_000,
    );
  });

  it.skipIf(skipped).each(lastStage)('ResNet50 from its last stage on, BatchNorm %s', (_mode, model, plan) =>
    compare(model, plan, { tamper }),
  );
});

describe.skipIf(missing.length > 0)('what is no number', () => {
  it.each([true, false])('reaches the loss from every parameter, exact %s', async (exact) => {
    const plan = { ...wholeNetwork(blocks, 'live', SGD), layers: 'native', exact } as const;
    const opened = await openSession(buildArtifacts(blocks, plan), { device: 'cpu', threads: 1 });
    onTestFinished(() => opened[Symbol.asyncDispose]());
    for (const name of plan.trainable) {
      const own = await opened.state.getParameter(name);
      const spoilt = Float32Array.from(own.data as Float32Array);
      spoilt[spoilt.length - 1] = Number.NaN;
      await opened.state.updateParameter(name, { type: 'float32', dims: own.dims, data: spoilt });
      const outputs = await opened.session.trainStep({ ...feeds(batchFor(blocks, 4)), ...updates(false) });
      expect(outputs['loss']!.data[0], name).toBeNaN();
      await opened.state.updateParameter(name, own);
    }
  });
});

describe('the comparison notices', () => {
  const change = (op: string, to: (node: Node) => Node) => (graph: Graph) => {
    expect(graph.nodes.some((node) => node.op === op)).toBe(true);
    return lowered({ ...graph, nodes: graph.nodes.map((node) => (node.op === op ? to(node) : node)) });
  };
  const having =
    (name: string, value: number) =>
    (node: Node): Node => ({ ...node, attributes: { ...node.attributes, [name]: int(value) } });

  it.each<[string, BatchNormMode, (graph: Graph) => Graph]>([
    [
      'a forgotten share of a fan-out',
      'live',
      change('ConvolutionInputGradient', (node) => ({ ...node, inputs: node.inputs.with(2, '') })),
    ],
    ['a forgotten Relu in the gradient', 'live', change('BatchNormGradient', having('relu', 0))],
    ['a gradient as if the statistics were constants', 'live', change('BatchNormGradient', having('live', 0))],
    ["a gradient as if the statistics were the batch's", 'affine', change('BatchNormGradient', having('live', 1))],
    [
      'gradients that are never reset',
      'live',
      change('ConvolutionWeightGradient', (node) => ({ ...node, inputs: node.inputs.with(3, 'never') })),
    ],
    ['statistics that stay', 'live', change('BatchNorm', having('live', 0))],
  ])('%s', async (_what, batchNorm, tamper) => {
    const compared = compare(blocks, wholeNetwork(blocks, batchNorm, SGD), { tamper });
    await expect(compared).rejects.toMatchObject({ name: 'AssertionError' });
  });
});
