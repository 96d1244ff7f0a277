import { describe, expect, it } from 'vitest';
import { float, valueInfo } from '../../onnx/graph.ts';
import {
  ADAM_DEFAULTS,
  buildArtifacts,
  buildResNet,
  decodeModel,
  type Graph,
  HEAD_PARAMETERS,
  headOnly,
  type Model,
  type Node,
  type TrainingPlan,
  wholeNetwork,
} from '../../onnx/index.ts';
import { runningStatistics } from '../../onnx/parameters.ts';
import { trainedLike } from './tiny-nets.ts';

const network = buildResNet({ width: 1 / 32, imageSize: 32, classes: 3 }, trainedLike(1));
const statistics = runningStatistics(network.graph);
const whole = wholeNetwork(network, 'live', ADAM_DEFAULTS).trainable;

const named = (values: Iterable<{ name: string }>) => [...values].map(({ name }) => name);
const histogram = ({ nodes }: Graph) => {
  const counts: Record<string, number> = {};
  for (const { op } of nodes) counts[op] = (counts[op] ?? 0) + 1;
  return counts;
};

interface Stage {
  readonly name: string;
  readonly plan: TrainingPlan;
  /** Number of parameters: trained, and merely moved. */
  readonly trained: number;
  readonly moved: number;
}

const stages: Stage[] = [
  { name: 'whole, live', plan: wholeNetwork(network, 'live', ADAM_DEFAULTS), trained: 161, moved: 106 },
  { name: 'whole, affine', plan: wholeNetwork(network, 'affine', ADAM_DEFAULTS), trained: 161, moved: 0 },
  { name: 'whole, frozen', plan: wholeNetwork(network, 'frozen', ADAM_DEFAULTS), trained: 55, moved: 0 },
  { name: 'head, live', plan: headOnly('live', ADAM_DEFAULTS), trained: 2, moved: 106 },
  { name: 'head, frozen', plan: headOnly('frozen', ADAM_DEFAULTS), trained: 2, moved: 0 },
];

describe.each(stages)('the artifacts of $name BatchNorm', ({ plan, trained, moved }) => {
  const artifacts = buildArtifacts(network, plan);
  const { graph: training, opsets } = decodeModel(artifacts.trainingModel);
  const evaluation = decodeModel(artifacts.evalModel);
  const parameters = named(network.graph.initializers.values()).filter(
    (name) => plan.trainable.has(name) || (moved > 0 && statistics.has(name)),
  );
  const trainable = parameters.filter((name) => plan.trainable.has(name));

  it('have inputs and outputs by the names and in the order that the library expects', () => {
    expect([trainable.length, parameters.length]).toEqual([trained, trained + moved]);
    const buffers = trainable.map((name) => `${name}_grad.accumulation.buffer`);
    expect(named(training.inputs)).toEqual(['image', 'label', ...parameters, ...buffers, 'lazy_reset_grad']);
    const flags = trainable.map((name) => `${name}_grad.accumulation.out`);
    expect(named(training.outputs)).toEqual(['loss', 'logits', ...flags]);
    // Outputs with such a name are not given to the caller.
    expect(named(training.outputs).filter((name) => name.endsWith('_grad'))).toEqual([]);
  });

  it('evaluate with the same parameters in the same order', () => {
    // The library pairs them by position: another order would silently evaluate another network.
    expect(evaluation.graph.inputs).toEqual(training.inputs.slice(0, 2 + parameters.length));
    expect(evaluation.graph.outputs).toEqual(training.outputs.slice(0, 2));
    expect(evaluation.opsets).toEqual(new Map([['', 17]]));
    const forward = histogram(evaluation.graph);
    expect([forward['BatchNormalization'], forward['SoftmaxCrossEntropyLoss']]).toEqual([53, 1]);
  });

  it('keep as constants what is no parameter', () => {
    for (const graph of [training, evaluation.graph]) {
      const both = named(graph.inputs).filter((name) => graph.initializers.has(name));
      expect(both).toEqual([]);
      for (const [name, { data }] of network.graph.initializers) {
        if (parameters.includes(name)) continue;
        expect(Buffer.compare(graph.initializers.get(name)!.data, data), name).toBe(0);
      }
    }
  });

  it('say of every tensor what type and static map size it has', () => {
    for (const graph of [training, evaluation.graph]) {
      for (const name of graph.nodes.flatMap(({ outputs }) => outputs).filter(Boolean)) {
        const { dims } = valueInfo(graph, name);
        expect(
          dims.slice(1).every((length) => typeof length === 'number' && length > 0),
          name,
        ).toBe(true);
      }
    }
  });

  it('accumulate a gradient of its own shape for each trained parameter', () => {
    const accumulators = training.nodes.filter(({ op }) => op === 'InPlaceAccumulatorV2');
    expect(accumulators).toHaveLength(trained);
    for (const [index, { domain, inputs, outputs }] of accumulators.entries()) {
      const name = trainable[index]!;
      const buffer = `${name}_grad.accumulation.buffer`;
      expect([domain, inputs[0], inputs[2]]).toEqual(['com.microsoft', buffer, 'lazy_reset_grad']);
      expect(outputs).toEqual([`${name}_grad.accumulation.out`]);
      const { dims } = network.graph.initializers.get(name)!;
      expect(valueInfo(training, inputs[1]!).dims).toEqual(dims);
      expect(valueInfo(training, buffer).dims).toEqual(dims);
    }
  });

  it('are in topological order, no tensor made twice', () => {
    const known = new Set([...named(training.inputs), ...training.initializers.keys(), '']);
    for (const { inputs, outputs } of training.nodes) {
      expect(inputs.filter((name) => !known.has(name))).toEqual([]);
      expect(outputs.filter((name) => name !== '' && known.has(name))).toEqual([]);
      for (const name of outputs) known.add(name);
    }
    expect(opsets).toEqual(
      new Map([
        ['', 17],
        ['com.microsoft', 1],
      ]),
    );
  });

  it("give each ConvGrad its Conv's attributes, all of them", () => {
    const convolutions = new Map(
      training.nodes.filter(({ op }) => op === 'Conv').map((node) => [node.inputs[1], node]),
    );
    const gradients = training.nodes.filter(({ op }) => op === 'ConvGrad');
    expect(gradients).toHaveLength(plan.trainable.size > 2 ? 53 : 0);
    for (const { inputs, attributes } of gradients) {
      const forward = convolutions.get(inputs[2]) as Node;
      expect(inputs[1]).toBe(forward.inputs[0]);
      expect(attributes).toEqual(forward.attributes);
      expect(Object.keys(attributes).sort()).toEqual(['dilations', 'group', 'kernel_shape', 'pads', 'strides']);
    }
  });
});

describe('the operators of a training step', () => {
  const count = (plan: TrainingPlan) => histogram(decodeModel(buildArtifacts(network, plan).trainingModel).graph);

  it('are those of the official generator, but for the CPU-only MaxPoolGrad, for the whole network', () => {
    const counts = count(stages[0]!.plan);
    expect(counts).toMatchObject({ Conv: 53, BatchNormInternal: 53, Relu: 49, Add: 16, SoftmaxCrossEntropyLoss: 1 });
    expect(counts).toMatchObject({ ConvGrad: 53, BatchNormalizationGrad: 53, ReluGrad: 49, Sum: 16, Gemm: 3 });
    expect(counts).toMatchObject({ InPlaceAccumulatorV2: 161, SoftmaxCrossEntropyLossGrad: 1, GatherElementsGrad: 1 });
    expect(counts['MaxPoolGrad'] ?? counts['BatchNormalization']).toBeUndefined();
  });

  it('stop at the features for the head alone', () => {
    const [live, frozen] = [count(stages[3]!.plan), count(stages[4]!.plan)];
    for (const counts of [live, frozen]) {
      expect(counts).toMatchObject({ Gemm: 2, ReduceSum: 1, SoftmaxCrossEntropyLossGrad: 1, InPlaceAccumulatorV2: 2 });
      expect(Object.keys(counts).filter((op) => /^(Conv|Relu|BatchNormalization)Grad$/.test(op))).toEqual([]);
    }
    expect([live['BatchNormInternal'], live['BatchNormalization']]).toEqual([53, undefined]);
    expect([frozen['BatchNormInternal'], frozen['BatchNormalization']]).toEqual([undefined, 53]);
  });

  it('hold the numbers of the optimizer that was asked for', () => {
    const plan = headOnly('frozen', { beta1: 0.8, beta2: 0.99, epsilon: 1e-4 });
    const [node] = decodeModel(buildArtifacts(network, plan).optimizerModel).graph.nodes as [Node];
    const rounded = (value: number) => float(Math.fround(value));
    expect(node.attributes).toMatchObject({ alpha: rounded(0.8), beta: rounded(0.99), epsilon: rounded(1e-4) });
  });
});

describe('a plan that cannot be', () => {
  const build =
    (model: Model, ...names: string[]) =>
    () =>
      buildArtifacts(model, { trainable: new Set(names), batchNorm: 'frozen', optimizer: ADAM_DEFAULTS });

  it('is refused when it trains what is no parameter', () => {
    expect(build(network, 'fc_0.w_0', 'fc_0.w_1')).toThrow("cannot train 'fc_0.w_1'");
    const caffe = buildResNet({ width: 1 / 64, imageSize: 32, inputNorm: 'caffe' }, trainedLike(1));
    expect(build(caffe, 'input_channels')).toThrow("cannot train 'input_channels'");
  });

  it('is refused when an operator on the way has no gradient', () => {
    const nodes = network.graph.nodes.map((node) => (node.op === 'Relu' ? { ...node, op: 'Elu' } : node));
    const model = { ...network, graph: { ...network.graph, nodes } };
    expect(build(model, 'conv1_weights')).toThrow('no gradient rule for operator Elu');
    expect(build(model, ...HEAD_PARAMETERS)).not.toThrow();
  });

  it('never trains running statistics or the constants of the pixels', () => {
    expect(whole.size).toBe(161);
    expect([...whole].filter((name) => statistics.has(name) || name.startsWith('input_'))).toEqual([]);
  });
});
