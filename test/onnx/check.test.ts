import { describe, expect, it } from 'vitest';
import { int, ints, tensor } from '../../onnx/graph.ts';
import type { Graph, Node } from '../../onnx/index.ts';
import {
  type Case,
  check,
  first,
  isFirst,
  isOp,
  network,
  rename,
  replace,
  right,
  type Spoiled,
  sgd,
  wired,
  withGraph,
  without,
} from './spoil.ts';

const BUFFER = 'fc_0.w_0_grad.accumulation.buffer';

const live = right('live');
const frozen = right('frozen');
const updating = right('frozen', sgd);

describe('right artifacts pass', () => {
  it.each<[string, Case]>([
    ['live', live],
    ['frozen', frozen],
    ['with the update in the graph', updating],
    ['live, with the update in the graph', right('live', sgd)],
    ['with native kernels', right('live', sgd, { kernels: 'native' })],
    ['in mixed precision', right('live', sgd, { precision: 'fp16' })],
  ])('%s', (_, known) => {
    expect(() => check(known)).not.toThrow();
  });
});

const cuda: Spoiled[] = [
  [
    'opset 21',
    () => ({ ...live, training: { ...live.training, opsets: new Map([['', 21]]) } }),
    'every operator has a CUDA kernel: opset 21',
  ],
  [
    'MaxPoolGrad',
    () => replace(live, isOp('GatherElementsGrad'), (node) => [{ ...node, op: 'MaxPoolGrad', domain: '' }]),
    "kernel: node 'pool_grad_scattered' (MaxPoolGrad)",
  ],
];

const order: Spoiled[] = [
  [
    'two nodes of one name',
    () => replace(live, isFirst(live, 'Relu'), (node) => [{ ...node, name: first(live, 'Conv').name }]),
    "node names are unique: 'stem' comes twice",
  ],
  [
    'a tensor that nobody makes',
    () => replace(live, isFirst(live, 'Relu'), () => []),
    "before it is read: node 'pool' reads 'stem_relu'",
  ],
  [
    'a tensor read before it is made',
    () => withGraph(live, 'training', { nodes: live.training.graph.nodes.toReversed() }),
    'every tensor is made once, and before it is read: node',
  ],
  [
    'a tensor made twice',
    () => replace(live, isFirst(live, 'Relu'), (node) => [node, { ...node, name: 'again' }]),
    "node 'again' makes 'stem_relu' again",
  ],
  [
    'a tensor of a branch that nobody makes',
    () =>
      replace(updating, isOp('If'), (node) => {
        const branch = node.attributes['then_branch'] as { kind: 'graph'; value: Graph };
        const value = { ...branch.value, nodes: branch.value.nodes.slice(1) };
        return [{ ...node, attributes: { ...node.attributes, then_branch: { kind: 'graph', value } } }];
      }),
    'every tensor is made once, and before it is read: node',
  ],
];

const names: Spoiled[] = [
  [
    'parameters of one shape changed about in evaluation',
    () => {
      const { inputs } = live.evaluation.graph;
      const [left, right] = ['bn_a1_scale', 'bn_a1_offset'].map((name) => inputs.findIndex((it) => it.name === name));
      return withGraph(live, 'evaluation', {
        inputs: inputs.with(left!, inputs[right!]!).with(right!, inputs[left!]!),
      });
    },
    "in their order: parameter 6 is 'bn_a1_scale' in training, 'bn_a1_offset' in evaluation",
  ],
  [
    'a parameter that evaluation lacks',
    () => withGraph(updating, 'evaluation', { inputs: updating.evaluation.graph.inputs.slice(0, -1) }),
    "is 'fc_0.b_0.momentum' in training, 'undefined' in evaluation",
  ],
  [
    'a parameter of the checkpoint that is no input',
    () => ({ ...live, purpose: { ...live.purpose, parameters: new Set([...live.purpose.parameters, 'lost']) } }),
    "parameter 'lost' is no input",
  ],
  ...['out_grad', 'logits_grad.accumulation.out', 'logits_grad.accumulation.buffer'].map(
    (name): Spoiled => [
      `an output '${name}'`,
      () => withGraph(live, 'training', rename(live.training.graph, 'logits', name)),
      `only gradients have gradients' names: output '${name}'`,
    ],
  ),
  [
    'an input that ends as a gradient does',
    () => withGraph(live, 'training', rename(live.training.graph, 'pixels', 'pixels_grad')),
    "only gradients have gradients' names: input 'pixels_grad'",
  ],
  [
    "evaluation's output that ends as a gradient does",
    () => withGraph(live, 'evaluation', rename(live.evaluation.graph, 'logits', 'logits_grad')),
    "names: evaluation's 'logits_grad'",
  ],
];

const isAccumulator = ({ inputs }: Node) => inputs[0] === BUFFER;
const accumulation: Spoiled[] = [
  [
    'a buffer of another shape',
    () => {
      const { inputs } = live.training.graph;
      return withGraph(live, 'training', {
        inputs: inputs.map((input) => (input.name === BUFFER ? tensor(BUFFER, 'float32', 3, 8) : input)),
      });
    },
    "every trained parameter has a buffer of its shape: parameter 'fc_0.w_0'",
  ],
  [
    'a trained parameter without a buffer',
    () => ({ ...live, purpose: { ...live.purpose, trainable: new Set([...live.purpose.trainable, 'bn_a1_mean']) } }),
    "has a buffer of its shape: parameter 'bn_a1_mean'",
  ],
  [
    'a buffer without an accumulator',
    () =>
      replace(live, isAccumulator, (node) => [
        { ...node, op: 'Identity', domain: '', inputs: ['lazy_reset_grad'], outputs: node.outputs },
      ]),
    // As it is no accumulator's output, its name is found out first.
    "only gradients have gradients' names: output 'fc_0.w_0_grad.accumulation.out'",
  ],
  [
    'a buffer without an accumulator and its flag',
    () => {
      const less = replace(live, isAccumulator, () => []);
      const outputs = less.training.graph.outputs.filter(({ name }) => !name.startsWith('fc_0.w_0_grad'));
      return withGraph(less, 'training', { outputs });
    },
    `that can be reset: buffer '${BUFFER}'`,
  ],
  [
    'an accumulator that is never reset',
    () => replace(live, isAccumulator, (node) => [{ ...node, inputs: node.inputs.slice(0, 2) }]),
    "that can be reset: node 'fc_0.w_0_grad.accumulation.out'",
  ],
  [
    'an accumulator of a gradient of another shape',
    () => replace(live, isAccumulator, (node) => [wired(node, 'inputs', 1, 'fc_0.b_0_grad')]),
    "that can be reset: node 'fc_0.w_0_grad.accumulation.out'",
  ],
  [
    'two accumulators of one buffer',
    () => replace(live, isAccumulator, (node) => [node, wired({ ...node, name: 'again' }, 'outputs', 0, 'again')]),
    `'${BUFFER}' comes twice`,
  ],
  [
    'a reset flag of another type',
    () =>
      withGraph(live, 'training', {
        inputs: live.training.graph.inputs.map((input) =>
          input.name === 'lazy_reset_grad' ? { ...input, type: 'int64' } : input,
        ),
      }),
    "no input 'lazy_reset_grad' bool [1]",
  ],
];

const gradients: Spoiled[] = [
  ...['pads', 'strides', 'dilations', 'kernel_shape', 'group'].map(
    (attribute): Spoiled => [
      `ConvGrad without ${attribute}`,
      () => replace(live, isFirst(live, 'ConvGrad'), (node) => [without(attribute, node)]),
      'ConvGrad has the attributes of its Conv: node',
    ],
  ),
  [
    'ConvGrad with other strides',
    () =>
      replace(live, isFirst(live, 'ConvGrad'), (node) => [
        { ...node, attributes: { ...node.attributes, strides: ints(3, 3) } },
      ]),
    'ConvGrad has the attributes of its Conv: node',
  ],
  [
    "ConvGrad of another's weights",
    () => replace(live, isFirst(live, 'ConvGrad'), (node) => [wired(node, 'inputs', 2, 'stem_weights')]),
    'ConvGrad has the attributes of its Conv: node',
  ],
  [
    'a map of unknown height',
    () => {
      const { values } = live.training.graph;
      const old = values.get('a1')!;
      return withGraph(live, 'training', {
        values: new Map(values).set('a1', { ...old, dims: [...old.dims.slice(0, 2), 'height', 20] }),
      });
    },
    "but for the batch, lengths: 'a1' of node",
  ],
  [
    'a gradient of no known type',
    () => {
      const values = new Map(live.training.graph.values);
      expect(values.delete('a1_grad')).toBe(true);
      return withGraph(live, 'training', { values });
    },
    "but for the batch, lengths: 'a1_grad' of node",
  ],
];

const batchNorm: Spoiled[] = [
  [
    'live where it is to be frozen',
    () => ({ ...live, purpose: { ...live.purpose, isLive: (name) => name !== 'bn_a1' } }),
    "nowhere else: node 'bn_a1' is live",
  ],
  [
    'frozen where it is to be live',
    () => ({ ...frozen, purpose: { ...frozen.purpose, isLive: (name) => name === 'bn_a1' } }),
    "nowhere else: node 'bn_a1' is frozen",
  ],
  [
    'live in evaluation',
    () =>
      replace(
        live,
        ({ name }) => name === 'bn_a1',
        (node) => [{ ...node, op: 'BatchNormInternal' }],
        'evaluation',
      ),
    "nowhere else: evaluation's node 'bn_a1'",
  ],
  [
    'frozen, with training_mode 1',
    () =>
      replace(
        frozen,
        ({ name }) => name === 'bn_a1',
        (node) => [{ ...node, attributes: { ...node.attributes, training_mode: int(1) } }],
      ),
    "nowhere else: node 'bn_a1'",
  ],
  [
    'live over constant statistics',
    () => {
      const { graph } = live.training;
      const keep = ({ name }: { name: string }) => name !== 'bn_a1_mean';
      const mean = network.graph.initializers.get('bn_a1_mean')!;
      const parameters = new Set([...live.purpose.parameters].filter((name) => name !== mean.name));
      const change = {
        inputs: graph.inputs.filter(keep),
        initializers: new Map([...graph.initializers, [mean.name, mean]]),
      };
      return { ...withGraph(live, 'training', change), purpose: { ...live.purpose, parameters } };
    },
    "lie in the checkpoint: 'bn_a1_mean' of node 'bn_a1'",
  ],
  ...[1, 2, 3, 4].map(
    (place): Spoiled => [
      `live without its output ${place}`,
      () => replace(live, isOp('BatchNormInternal'), (node) => [wired(node, 'outputs', place, '')]),
      // The gradient reads the last two, so that their loss is found out first.
      place < 3 ? "omit no output: node 'bn_stem'" : 'before it is read: node',
    ],
  ),
  [
    "live, in the operator's inference mode",
    () =>
      replace(live, isFirst(live, 'BatchNormInternal'), (node) => [
        { ...node, attributes: { ...node.attributes, training_mode: int(0) } },
      ]),
    "omit no output: node 'bn_stem'",
  ],
  [
    'gradient with an output omitted that nobody reads',
    () => {
      // The network's first BatchNorm, were nothing before it trained, would have no use for its input's gradient.
      const grad = live.training.graph.nodes.findLast(isOp('BatchNormalizationGrad')) as Node;
      const [input] = grad.outputs as [string];
      const cut = replace(
        live,
        (node) => node === grad,
        (node) => [wired(node, 'outputs', 0, '')],
      );
      return replace(
        cut,
        ({ inputs }) => inputs.includes(input),
        (node) => [{ ...node, inputs: node.inputs.map((name) => (name === input ? 'stem' : name)) }],
      );
    },
    'omit no output: node',
  ],
  [
    'gradient without epsilon',
    () => replace(live, isFirst(live, 'BatchNormalizationGrad'), (node) => [without('epsilon', node)]),
    'belong together and omit no output: node',
  ],
  [
    'gradient on running statistics',
    () =>
      replace(live, isFirst(live, 'BatchNormalizationGrad'), (node) => [
        wired(wired(node, 'inputs', 3, 'bn_b2_mean'), 'inputs', 4, 'bn_b2_variance'),
      ]),
    'belong together and omit no output: node',
  ],
];

describe.each([
  ['operators', cuda],
  ['the order of nodes', order],
  ['names', names],
  ['accumulation', accumulation],
  ['gradients', gradients],
  ['BatchNorm', batchNorm],
])('wrong in %s', (_, cases) => {
  it.each(cases)('%s', (_what, known, complaint) => {
    expect(() => check(known())).toThrow(complaint);
  });
});
