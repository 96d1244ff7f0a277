import { describe, expect, it } from 'vitest';
import { TO_CHANNELS_FIRST, TO_CHANNELS_LAST } from '../../onnx/channels-last.ts';
import { int, ints, tensor, valueInfo } from '../../onnx/graph.ts';
import {
  ADAM_DEFAULTS,
  type BatchNormMode,
  buildArtifacts,
  buildResNet,
  decodeModel,
  type Graph,
  type GraphOptimizer,
  headOnly,
  type Model,
  type Node,
  type Optimizer,
  ORTUNE,
  type ResNetOptions,
  type TrainingPlan,
  wholeNetwork,
} from '../../onnx/index.ts';
import type { Layers } from '../../onnx/layers.ts';
import { LAYER_MAPS } from '../../onnx/native-layers.ts';
import { oddConvolution, residualBlock, tinyNet, trainedLike } from './tiny-nets.ts';

const thin = (options: Partial<ResNetOptions>) =>
  buildResNet({ width: 1 / 32, imageSize: 32, classes: 3, ...options }, trainedLike(1));
const sgd: GraphOptimizer = {
  algorithm: { kind: 'sgd', momentum: 0.9, nesterov: false },
  weightDecay: 0,
  decays: () => true,
  rate: () => 1,
};

/** Of a ResNet: convolutions and residual blocks, and how many of these project their shortcut: thin, each stage's first. */
const networks = [
  { name: 'ResNet18', model: thin({ depth: 18 }), convolutions: 21, blocks: 8, projected: 4 },
  { name: 'ResNet50', model: thin({ depth: 50 }), convolutions: 53, blocks: 16, projected: 4 },
  { name: 'ResNet50, 1x1', model: thin({ depth: 50, strideIn: '1x1' }), convolutions: 53, blocks: 16, projected: 4 },
] as const;

const build = (model: Model, plan: TrainingPlan<Optimizer>) =>
  buildArtifacts(model, { ...plan, layers: 'native' } as TrainingPlan<Optimizer>);
const trainingGraph = (model: Model, plan: TrainingPlan<Optimizer>) =>
  decodeModel(build(model, plan).trainingModel).graph;

/** Number of nodes by operator, the addon's with their domain. */
function histogram({ nodes }: Graph): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { op, domain } of nodes) {
    const name = domain === ORTUNE ? `${domain}.${op}` : op;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

const native = ({ nodes }: Graph, op: string) => nodes.filter((node) => node.domain === ORTUNE && node.op === op);
const given = ({ outputs }: Node) => outputs.map((name) => name !== '');
const attribute = (node: Node, name: string) => node.attributes[name]?.value;

describe.each(networks)('the training graph of $name', ({ model, convolutions, blocks, projected }) => {
  describe.each<[string, Optimizer]>([
    ['the update in the graph', sgd],
    ["the library's Adam", ADAM_DEFAULTS],
  ])('with %s', (_, optimizer) => {
    it.each<BatchNormMode>(['live', 'affine', 'frozen'])(
      'has no stock layer but those of the pixels and the head, BatchNorm %s',
      (batchNorm) => {
        const plan = wholeNetwork(model, batchNorm, optimizer);
        const counts = histogram(trainingGraph(model, plan));
        const affine = batchNorm === 'frozen' ? 0 : 2 * convolutions;
        expect(counts).toMatchObject({
          'ortune.Convolution': convolutions,
          'ortune.BatchNorm': convolutions,
          'ortune.MaxPool': 1,
          'ortune.GlobalAveragePool': 1,
          'ortune.ConvolutionWeightGradient': convolutions,
          'ortune.ConvolutionInputGradient': convolutions - 1,
          'ortune.BatchNormGradient': convolutions,
          'ortune.MaxPoolGradient': 1,
          'ortune.GlobalAveragePoolGradient': 1,
          // The head's weights and bias.
          InPlaceAccumulatorV2: affine + 2,
          // Of the pixels, and into the first convolution.
          Transpose: 2,
          Gemm: 3,
          Flatten: 1,
        });
        const stock = ['Conv', 'ConvGrad', 'Relu', 'ReluGrad', 'Add', 'Sum', 'MaxPool', 'GatherElementsGrad', 'Expand'];
        for (const op of [...stock, 'BatchNormalization', 'BatchNormInternal', 'BatchNormalizationGrad'])
          expect(counts[op], op).toBeUndefined();
      },
    );
  });

  it('gives each BatchNorm its mode, its name, and no more outputs than are needed', () => {
    const mode = (name: string): BatchNormMode =>
      name.endsWith('2a') ? 'live' : name.endsWith('2b') ? 'affine' : 'frozen';
    const graph = trainingGraph(model, wholeNetwork(model, mode, sgd));
    const expected = model.graph.nodes.filter(({ op }) => op === 'BatchNormalization').map(({ name }) => name);
    const nodes = native(graph, 'BatchNorm');
    expect(nodes.map(({ name }) => name)).toEqual(expected);
    for (const node of nodes) expect(attribute(node, 'live'), node.name).toBe(Number(mode(node.name) === 'live'));
    const forward = new Map(nodes.map((node) => [node.outputs[1], node]));
    for (const gradient of native(graph, 'BatchNormGradient')) {
      const node = forward.get(gradient.inputs[4])!;
      const trained = mode(node.name) !== 'frozen';
      expect(given(gradient).slice(0, 3), node.name).toEqual([true, trained, trained]);
      expect(gradient.attributes).toEqual({ live: node.attributes['live'], relu: node.attributes['relu'] });
      expect(gradient.outputs[3] !== undefined).toBe(node.inputs[5] !== undefined);
      expect(gradient.inputs[6]).toBe(node.inputs[5] === undefined ? undefined : node.outputs[0]);
    }
  });

  it('fuses every Relu, and every shortcut into the BatchNorm that comes last', () => {
    const nodes = native(trainingGraph(model, wholeNetwork(model, 'live', sgd)), 'BatchNorm');
    expect(nodes.filter((node) => attribute(node, 'relu') === 1)).toHaveLength(convolutions - projected);
    const residual = nodes.filter(({ inputs }) => inputs[5] !== undefined);
    expect(residual).toHaveLength(blocks);
    expect(residual.filter(({ name }) => name.endsWith('branch1'))).toHaveLength(projected);
  });

  it("adds to the shortcut's gradient where it computes a block's", () => {
    const graph = trainingGraph(model, wholeNetwork(model, 'live', sgd));
    const addends = native(graph, 'ConvolutionInputGradient')
      .flatMap(({ inputs }) => inputs.slice(2, 3))
      .filter((name) => name !== '');
    expect(addends).toHaveLength(blocks);
    const makers = new Map(graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node.op])));
    const from = (op: string) => addends.filter((name) => makers.get(name) === op);
    expect(from('BatchNormGradient')).toHaveLength(blocks - projected);
    expect(from('ConvolutionInputGradient')).toHaveLength(projected);
  });

  it('stands beside the eval model and checkpoint of stock layers', () => {
    const plan = wholeNetwork(model, 'live', sgd);
    const [stock, other] = [buildArtifacts(model, plan), build(model, plan)];
    expect(Buffer.compare(other.evalModel, stock.evalModel)).toBe(0);
    expect(Buffer.compare(other.checkpoint, stock.checkpoint)).toBe(0);
    const [before, after] = [stock, other].map(({ trainingModel }) => decodeModel(trainingModel));
    expect(after!.graph.inputs).toEqual(before!.graph.inputs);
    expect(after!.graph.outputs).toEqual(before!.graph.outputs);
    expect([before!.opsets.get(ORTUNE), after!.opsets.get(ORTUNE)]).toEqual([undefined, 1]);
  });

  it("has no gradient but the head's where the head alone is trained", () => {
    for (const batchNorm of ['live', 'frozen'] as const) {
      const graph = trainingGraph(model, headOnly(batchNorm, sgd));
      expect(native(graph, 'Convolution')).toHaveLength(convolutions);
      expect(native(graph, 'BatchNorm').every((node) => attribute(node, 'live') === Number(batchNorm === 'live'))).toBe(
        true,
      );
      const gradients = graph.nodes.filter(({ domain, op }) => domain === ORTUNE && op.endsWith('Gradient'));
      expect(gradients).toEqual([]);
      expect(histogram(graph)['InPlaceAccumulatorV2']).toBe(2);
    }
  });

  it('has no gradient below the lowest trained layer', () => {
    const plan = wholeNetwork(model, 'affine', sgd);
    const trainable = new Set([...plan.trainable].filter((name) => /^(res5|bn5|fc)/.test(name)));
    const graph = trainingGraph(model, { ...plan, trainable });
    const stage = [...trainable].filter((name) => /^res5.*_weights$/.test(name));
    const filled = native(graph, 'ConvolutionWeightGradient').map(({ inputs }) => inputs[2]);
    expect(filled.toSorted()).toEqual(stage.map((name) => `${name}_grad.accumulation.buffer`).toSorted());
    // Nothing wants the gradient of what the stage's first two convolutions read.
    expect(native(graph, 'ConvolutionInputGradient')).toHaveLength(stage.length - 2);
    expect(native(graph, 'BatchNormGradient')).toHaveLength(stage.length);
  });

  it('declares every map as it lies, channels last', () => {
    const graph = trainingGraph(model, wholeNetwork(model, 'live', sgd));
    const stock = model.graph;
    for (const node of native(graph, 'Convolution')) {
      const [output] = node.outputs as [string];
      const { dims } = valueInfo(stock, output);
      expect(valueInfo(graph, output).dims).toEqual(TO_CHANNELS_LAST.map((axis) => dims[axis]));
      const [input] = node.inputs as [string];
      expect(valueInfo(graph, input).dims[3]).toBe(graph.inputs.find(({ name }) => name === node.inputs[1])?.dims[1]);
    }
    const [pooled] = native(graph, 'MaxPool') as [Node];
    const [map, places] = pooled.outputs.map((name) => valueInfo(graph, name));
    expect(places).toEqual({ ...map, name: places!.name, type: 'uint8' });
  });
});

describe.each(networks)('on bfloat16 maps, the training graph of $name', ({ model, convolutions }) => {
  const plan = { ...wholeNetwork(model, 'live', sgd), layers: 'native' } as const;
  const [single, half] = [buildArtifacts(model, plan), buildArtifacts(model, { ...plan, precision: 'bf16' })];
  const graph = decodeModel(half.trainingModel).graph;

  it('has the same nodes, the pixels cast to begin with', () => {
    const counts = histogram(decodeModel(single.trainingModel).graph);
    const { Cast, ...others } = histogram(graph);
    expect(Cast).toBe((counts['Cast'] ?? 0) + 1);
    expect(counts).toMatchObject(others);
    expect(others['ortune.Convolution']).toBe(convolutions);
  });

  it('has every map in bfloat16, and all else in float32', () => {
    const isHalf = (name: string) => valueInfo(graph, name).type === 'bfloat16';
    const nodes = graph.nodes.filter(({ domain, op }) => domain === ORTUNE && op in LAYER_MAPS);
    for (const { op, inputs, outputs } of nodes) {
      const { inputs: read, outputs: made } = LAYER_MAPS[op]!;
      const maps = (names: readonly string[], at: readonly number[]) =>
        names.map(
          (name, index) => name !== '' && at.includes(index) && !(op.startsWith('MaxPool') && /_places$/.test(name)),
        );
      expect(
        inputs.map((name) => name !== '' && isHalf(name)),
        op,
      ).toEqual(maps(inputs, read));
      expect(
        outputs.map((name) => name !== '' && isHalf(name)),
        op,
      ).toEqual(maps(outputs, made));
    }
    const parameters = [...graph.inputs, ...graph.outputs, ...graph.initializers.values()];
    expect(parameters.filter(({ type }) => type === 'bfloat16')).toEqual([]);
  });

  it('stands beside the same eval model and checkpoint', () => {
    expect(Buffer.compare(half.evalModel, single.evalModel)).toBe(0);
    expect(Buffer.compare(half.checkpoint, single.checkpoint)).toBe(0);
    const [before, after] = [single, half].map(({ trainingModel }) => decodeModel(trainingModel));
    expect(after!.graph.inputs).toEqual(before!.graph.inputs);
    expect(after!.graph.outputs).toEqual(before!.graph.outputs);
  });
});

describe('options', () => {
  const [{ model }] = networks;
  const plan = wholeNetwork(model, 'live', sgd);

  it.each([true, false])('exact %s stands in every convolution', (exact) => {
    const { graph } = decodeModel(buildArtifacts(model, { ...plan, layers: 'native', exact }).trainingModel);
    const nodes = graph.nodes.filter(({ op }) => op.startsWith('Convolution'));
    expect(new Set(nodes.map((node) => attribute(node, 'exact')))).toEqual(new Set([Number(exact)]));
  });

  it('half precision is refused, as no device has both', () => {
    expect(() => buildArtifacts(model, { ...plan, precision: 'fp16', layers: 'native' })).toThrow(
      'native kernels run on the CPU, half precision on CUDA',
    );
  });

  it('bfloat16 is refused without native layers, which alone take it', () => {
    expect(() => buildArtifacts(model, { ...plan, precision: 'bf16' })).toThrow('bfloat16 maps are for native layers');
  });

  it('layers and the update are chosen apart', () => {
    const domains = (kernels: 'stock' | 'native') => {
      const { graph } = decodeModel(buildArtifacts(model, { ...plan, layers: 'native', kernels }).trainingModel);
      const branch = graph.nodes.find(({ op }) => op === 'If')?.attributes['then_branch'];
      return branch?.kind === 'graph' ? new Set(branch.value.nodes.map(({ domain }) => domain)) : undefined;
    };
    expect(domains('native')?.has(ORTUNE)).toBe(true);
    expect(domains('stock')?.has(ORTUNE)).toBe(false);
  });
});

/** The body's training graph, and how often it has which operator. */
function converted(body: (layers: Layers, pixels: string) => string) {
  const model = tinyNet(body, { channels: 3, height: 8, width: 6 });
  const graph = trainingGraph(model, wholeNetwork(model, 'live', sgd));
  return { graph, counts: histogram(graph) };
}

/** Orders by which the Transposes before some node turn what it reads. */
const turns = (graph: Graph, reader: (node: Node) => boolean) =>
  graph.nodes
    .filter(reader)
    .flatMap(({ inputs }) =>
      graph.nodes.filter(({ op, outputs }) => op === 'Transpose' && inputs.includes(outputs[0]!)),
    )
    .map((node) => attribute(node, 'perm'));

describe('a network that is no ResNet', () => {
  it.each([
    ['where operators of ONNX Runtime read them and where their gradients are summed', residualBlock],
    [
      'about a convolution that the addon has no form for',
      (layers: Layers, pixels: string) =>
        layers.convolution(oddConvolution(layers, layers.convolution(pixels, 'a', 4, 3, 1), 'odd', 4), 'b', 4, 3, 1),
    ],
  ])('has its bfloat16 maps cast %s', (_what, body) => {
    const model = tinyNet(body, { channels: 3, height: 8, width: 6 });
    const plan = { ...wholeNetwork(model, 'live', sgd), layers: 'native', precision: 'bf16' } as const;
    const { graph } = decodeModel(buildArtifacts(model, plan).trainingModel);
    const { graph: single } = converted(body);
    const { Cast, ...others } = histogram(graph);
    expect(Cast).toBeGreaterThan(2);
    expect(histogram(single)).toMatchObject(others);
    const [ops, expected] = [graph, single].map(({ nodes }) => nodes.map(({ op }) => op).filter((op) => op !== 'Cast'));
    expect(ops).toEqual(expected);
  });

  it('gets its map back in order where a stock operator reads it', () => {
    const { graph, counts } = converted((layers, pixels) => layers.convolution(pixels, 'a', 4, 3, 1));
    expect(turns(graph, ({ op }) => op === 'Flatten')).toEqual([TO_CHANNELS_FIRST]);
    // In, out, and the gradient in again.
    expect(counts['Transpose']).toBe(3);
  });

  it('keeps a convolution that the addon has no form for', () => {
    const { graph, counts } = converted((layers, pixels) =>
      layers.convolution(oddConvolution(layers, layers.convolution(pixels, 'a', 4, 3, 1), 'odd', 4), 'b', 4, 3, 1),
    );
    expect(counts).toMatchObject({ Conv: 1, ConvGrad: 1, 'ortune.Convolution': 2, InPlaceAccumulatorV2: 3 });
    expect(turns(graph, ({ op }) => op === 'Conv')).toEqual([TO_CHANNELS_FIRST]);
  });

  it.each<[string, (model: Model, change: (node: Partial<Node>) => Model) => Model]>([
    ['groups', (_, change) => change({ attributes: { group: int(3), pads: ints(1, 1, 1, 1) } })],
    ['dilations', (_, change) => change({ attributes: { dilations: ints(2, 2), pads: ints(2, 2, 2, 2) } })],
    ['pads by name', (_, change) => change({ attributes: { auto_pad: { kind: 'string', value: 'SAME_UPPER' } } })],
  ])('keeps a convolution with %s', (_what, edit) => {
    const model = tinyNet((layers, pixels) => layers.convolution(pixels, 'a', 3, 3, 1));
    const edited = edit(model, (change) => ({
      ...model,
      graph: {
        ...model.graph,
        nodes: model.graph.nodes.map((node) => (node.op === 'Conv' ? { ...node, ...change } : node)),
      },
    }));
    const counts = histogram(trainingGraph(edited, wholeNetwork(edited, 'live', sgd)));
    expect([counts['Conv'], counts['ortune.Convolution']]).toEqual([1, undefined]);
  });

  it('keeps convolutions that share their weights, whose gradient none of them has alone', () => {
    const { counts } = converted((layers, pixels) => {
      const first = layers.convolution(pixels, 'a', 3, 3, 1);
      const value = { ...layers.graph.value(first), name: 'again' };
      const attributes = { kernel_shape: ints(3, 3), pads: ints(1, 1, 1, 1), strides: ints(1, 1) };
      return layers.graph.add('Conv', [first, 'a_weights'], value, {
        attributes: { ...attributes, dilations: ints(1, 1), group: int(1) },
      });
    });
    expect(counts).toMatchObject({ Conv: 2, ConvGrad: 2, Sum: 1 });
  });

  it('fuses nothing whose parts are read elsewhere, and adds in either layout', () => {
    const { graph, counts } = converted(residualBlock);
    expect(native(graph, 'BatchNorm').map((node) => [node.name, attribute(node, 'relu'), node.inputs.length])).toEqual([
      ['bn_stem', 1, 5],
      ['bn_a', 1, 5],
      ['bn_b', 1, 5],
      ['bn_c', 0, 5],
      ['bn_d', 1, 6],
    ]);
    expect(counts).toMatchObject({ Add: 2, Relu: 1, ReluGrad: 1 });
    for (const name of ['sides', 'second', 'second_relu']) {
      expect(valueInfo(graph, name)).toEqual(tensor(name, 'float32', 'batch', 4, 3, 4));
    }
    const { counts: alone } = converted((layers, pixels) => {
      const map = layers.batchNorm(layers.convolution(pixels, 'a', 3, 3, 1), 'bn_a');
      return layers.add(layers.relu(map, 'a_relu'), map, 'sum');
    });
    expect(alone).toMatchObject({ Add: 1, Relu: 1, ReluGrad: 1 });
  });
});
