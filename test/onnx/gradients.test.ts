import { describe, expect, it } from 'vitest';
import { ints } from '../../onnx/graph.ts';
import {
  ADAM_DEFAULTS,
  type BatchNormMode,
  buildArtifacts,
  decodeModel,
  HEAD_PARAMETERS,
  headOnly,
  type LossOptions,
  type Model,
  type TrainingPlan,
  wholeNetwork,
} from '../../onnx/index.ts';
import type { Graph, Node } from '../../onnx/model.ts';
import { batchFor, differences, disagreement, lossOf, runtimeStep } from './gradients.ts';
import { oddConvolution, residualBlock, type TinyInput, tinyNet } from './tiny-nets.ts';

const BATCH = 3;
/** float32 gradients of these networks differ from exact ones by 2e-6 of their largest entry at most, wrong ones by 0.1 and more. */
const TOLERANCE = 2e-5;

/** Compares a step's gradients with differences of the reference's loss; returns the largest disagreement. */
async function compare(model: Model, plan: TrainingPlan, tamper?: (graph: Graph) => Graph): Promise<number> {
  const batch = batchFor(model, BATCH);
  const step = await runtimeStep(model, plan, batch, tamper);
  const loss = lossOf(model, plan, batch, step.masks);
  // The reference is the function that the runtime trains: else its differences would say nothing.
  expect(step.loss).toBeCloseTo(loss(), 5);
  if (plan.batchNorm === 'affine' && !plan.loss) expect(step.evalLoss).toBeCloseTo(loss(), 5);
  const errors = [...plan.trainable].map((name) => {
    const actual = step.gradients.get(name)!;
    const expected = differences(loss, model, name);
    expect(
      Math.max(...expected.map(Math.abs)),
      `${name}: the case is no test if its gradient vanishes`,
    ).toBeGreaterThan(1e-3);
    return disagreement(actual, expected);
  });
  return Math.max(...errors);
}

const whole = (model: Model, batchNorm: BatchNormMode) => wholeNetwork(model, batchNorm, ADAM_DEFAULTS);

/** Networks in which one rule stands between parameters, so that its inputs' gradients count as well as its own. */
const cases: [string, Model][] = [
  ['Gemm, Flatten, SoftmaxCrossEntropyLoss', tinyNet((_, pixels) => pixels)],
  ['GlobalAveragePool', tinyNet((layers, pixels) => layers.convolution(pixels, 'a', 3, 3, 1), {}, 'pool')],
  ['Conv 1x1', twoConvolutions(1, 1)],
  ['Conv 1x1, stride 2', twoConvolutions(1, 2)],
  ['Conv 3x3', twoConvolutions(3, 1)],
  ['Conv 3x3, stride 2', twoConvolutions(3, 2)],
  ['Conv 7x7, stride 2', twoConvolutions(7, 2)],
  [
    'Conv with uneven kernel, pads, strides and dilations',
    tinyNet((layers, pixels) => oddConvolution(layers, layers.convolution(pixels, 'a', 3, 3, 1), 'b', 2)),
  ],
  ['Relu', tinyNet((layers, pixels) => layers.relu(layers.convolution(pixels, 'a', 3, 3, 1), 'a_relu'))],
  ['MaxPool', maxPooled({ height: 6, width: 6 })],
  ['MaxPool on an odd map', maxPooled({ height: 7, width: 5 })],
  ['MaxPool padded behind', maxPooled({ height: 6, width: 8 }, [0, 0, 1, 1])],
  ['Add of two branches', added((layers, left, right) => layers.add(left, right, 'sum'))],
  [
    'Add of a tensor to itself',
    added((layers, left, right) => layers.add(layers.add(left, left, 'double'), right, 'sum')),
  ],
];

function twoConvolutions(kernel: number, stride: number): Model {
  return tinyNet((layers, pixels) =>
    layers.convolution(layers.convolution(pixels, 'a', 3, 3, 1), 'b', 2, kernel, stride),
  );
}

function maxPooled(input: Partial<TinyInput>, pads: [number, number, number, number] = [1, 1, 1, 1]): Model {
  return tinyNet((layers, pixels) => layers.maxPool(layers.convolution(pixels, 'a', 3, 3, 1), 'pool', pads), input);
}

/** A stem that three readers share: two convolutions and the second Add. */
function added(sum: (layers: Parameters<typeof residualBlock>[0], left: string, right: string) => string): Model {
  return tinyNet((layers, pixels) => {
    const stem = layers.convolution(pixels, 'stem', 3, 3, 1);
    const both = sum(layers, layers.convolution(stem, 'left', 3, 1, 1), layers.convolution(stem, 'right', 3, 3, 1));
    return layers.add(stem, both, 'all');
  });
}

describe('gradients equal central differences', () => {
  it.each(cases)('%s', async (_name, model) => {
    expect(await compare(model, whole(model, 'live'))).toBeLessThan(TOLERANCE);
  });

  it('of some parameters, with BatchNorm live here and frozen there', async () => {
    const block = tinyNet(residualBlock, { height: 5, width: 4 });
    const plan = {
      trainable: new Set(['c_weights', 'bn_c_scale', 'bn_c_offset', 'bn_a_scale', ...HEAD_PARAMETERS]),
      batchNorm: (node: string): BatchNormMode => (node === 'bn_c' ? 'affine' : node === 'bn_stem' ? 'frozen' : 'live'),
      optimizer: ADAM_DEFAULTS,
    };
    expect(await compare(block, plan)).toBeLessThan(TOLERANCE);
    // What is not trained and does not move stays inside, where the runtime folds it.
    const { initializers } = decodeModel(buildArtifacts(block, plan).trainingModel).graph;
    const inside = ['stem_weights', 'a_weights', 'bn_stem_mean', 'bn_stem_scale', 'bn_c_mean', 'bn_c_variance'];
    expect(inside.filter((name) => !initializers.has(name))).toEqual([]);
    expect([...plan.trainable, 'bn_a_mean', 'bn_d_variance'].filter((name) => initializers.has(name))).toEqual([]);
  });

  describe.each<BatchNormMode>(['live', 'affine'])('with BatchNorm %s', (batchNorm) => {
    const normalised = tinyNet((layers, pixels) => {
      return layers.batchNorm(layers.convolution(layers.batchNorm(pixels, 'bn_a'), 'b', 3, 3, 1), 'bn_b');
    });
    const block = tinyNet(residualBlock, { height: 5, width: 4 });

    it('BatchNormalization', async () => {
      expect(await compare(normalised, whole(normalised, batchNorm))).toBeLessThan(TOLERANCE);
    });

    it.each(['bn_a_scale', 'bn_a_offset', 'b_weights', 'bn_b_scale', 'bn_b_offset'])('%s alone', async (name) => {
      const plan = { ...whole(normalised, batchNorm), trainable: new Set([name]) };
      expect(await compare(normalised, plan)).toBeLessThan(TOLERANCE);
    });

    it('a residual block', async () => {
      expect(await compare(block, whole(block, batchNorm))).toBeLessThan(TOLERANCE);
    });

    it('the head alone', async () => {
      expect(await compare(block, headOnly(batchNorm, ADAM_DEFAULTS))).toBeLessThan(TOLERANCE);
    });

    // On the CPU the runtime computes it in float32 all the same: what is proven is where the casts are, and the scale.
    it('a residual block in mixed precision', async () => {
      expect(await compare(block, { ...whole(block, batchNorm), precision: 'fp16' })).toBeLessThan(TOLERANCE);
    });
  });

  it.each<[string, LossOptions]>([
    ['class weights', { classWeights: [0.2, 1, 2.5] }],
    ['label smoothing: LogSoftmax, Mul, ReduceSum', { labelSmoothing: 0.2 }],
    ['both', { classWeights: [0.2, 1, 2.5], labelSmoothing: 0.2 }],
  ])('with %s', async (_name, loss) => {
    const model = twoConvolutions(3, 1);
    expect(await compare(model, { ...whole(model, 'live'), loss })).toBeLessThan(TOLERANCE);
  });

  it('Dropout, by the mask of the step', async () => {
    const model = tinyNet((layers, pixels) =>
      layers.dropout(layers.convolution(pixels, 'a', 3, 3, 1), 'dropped', 0.4, 5),
    );
    expect(await compare(model, whole(model, 'live'))).toBeLessThan(TOLERANCE);
  });
});

describe('the comparison notices', () => {
  const change = (op: string, to: (node: Node) => Node) => (graph: Graph) => {
    expect(graph.nodes.some((node) => node.op === op)).toBe(true);
    return { ...graph, nodes: graph.nodes.map((node) => (node.op === op ? to(node) : node)) };
  };
  const without =
    (...names: string[]) =>
    (node: Node) => {
      const kept = Object.entries(node.attributes).filter(([name]) => !names.includes(name));
      return { ...node, attributes: Object.fromEntries(kept) };
    };
  const swapInputs = (node: Node) => ({ ...node, inputs: node.inputs.toReversed() });
  // Of the odd convolution alone, and only to what keeps its map's size, which the kernel trusts.
  const having = (attributes: Node['attributes']) => (node: Node) =>
    node.inputs[2] === 'b_weights' ? { ...node, attributes: { ...node.attributes, ...attributes } } : node;
  const odd = cases.find(([name]) => name.startsWith('Conv with uneven'))![1];
  const block = tinyNet(residualBlock, { height: 5, width: 4 });
  const wrong: [string, BatchNormMode, Model, (graph: Graph) => Graph][] = [
    [
      'a ConvGrad with other strides',
      'live',
      odd,
      change('ConvGrad', having({ strides: ints(1, 1), dilations: ints(2, 2) })),
    ],
    [
      'a ConvGrad with other dilations',
      'live',
      odd,
      change('ConvGrad', having({ dilations: ints(1, 1), pads: ints(1, 0, 0, 1) })),
    ],
    [
      'a ConvGrad with its pads on the other sides',
      'live',
      odd,
      change('ConvGrad', having({ pads: ints(0, 2, 1, 0) })),
    ],
    [
      'a forgotten share of a fan-out',
      'live',
      block,
      change('Sum', (node) => ({ ...node, inputs: node.inputs.slice(0, 1) })),
    ],
    ['a mean taken for a sum', 'live', cases[1]![1], change('Scale', without('scale_down'))],
    ['the wrong sign', 'affine', block, change('Sub', swapInputs)],
    ['a forgotten variance', 'affine', block, change('Sqrt', (node) => ({ ...node, op: 'Identity' }))],
  ];
  it.each(wrong)('%s', async (_name, batchNorm, model, tamper) => {
    expect(await compare(model, whole(model, batchNorm), tamper)).toBeGreaterThan(0.1);
  });
});
