import { describe, expect, it } from 'vitest';
import { float, int, ints } from '../../onnx/graph.ts';
import { type Node, ORTUNE } from '../../onnx/index.ts';
import { type Case, check, replace, right, type Spoiled, sgd, wired, withGraph, without } from './spoil.ts';

const live = right('live', sgd, { layers: 'native', kernels: 'native' });
const affine = right('affine', sgd, { layers: 'native' });

const isNative = (op: string, name?: string) => (node: Node) =>
  node.domain === ORTUNE && node.op === op && (name === undefined || node.name === name);
/** The case with one of its nodes of the addon's, the first of an operator or one by its name, changed. */
function change(known: Case, op: string, to: (node: Node) => Node, name?: string): Case {
  const wanted = known.training.graph.nodes.find(isNative(op, name));
  return replace(
    known,
    (node) => node === wanted,
    (node) => [to(node)],
  );
}
const having = (attributes: Node['attributes']) => (node: Node) => ({
  ...node,
  attributes: { ...node.attributes, ...attributes },
});
const find = (op: string, name?: string) => live.training.graph.nodes.find(isNative(op, name)) as Node;
const identity = (input: string): Node => {
  return { op: 'Identity', domain: '', name: 'other', inputs: [input], outputs: ['other'], attributes: {} };
};
const reading = (...nodes: Node[]) => replace(live, isNative('GlobalAveragePool'), (node) => [...nodes, node]);

describe('right artifacts with native layers pass', () => {
  it.each<[string, Case]>([
    ['live', live],
    ['affine', affine],
    ['frozen', right('frozen', sgd, { layers: 'native' })],
    ['with running averages', right('live', { ...sgd, averages: true }, { layers: 'native' })],
    ["with the library's Adam", right('live', undefined, { layers: 'native' })],
  ])('%s', (_, known) => {
    expect(() => check(known)).not.toThrow();
  });
});

const LAYOUT = 'a channels-last map is read as such, and no other map is: ';
const layout: Spoiled[] = [
  [
    'a map that a stock operator reads',
    () => reading({ ...identity('b_relu'), op: 'GlobalAveragePool' }),
    `${LAYOUT}'b_relu' of node 'other'`,
  ],
  [
    'a map that comes to a stock operator by way of another',
    () =>
      reading(
        { ...identity('b_relu'), op: 'Relu', name: 'blind', outputs: ['blind'] },
        { ...identity('blind'), op: 'Shape' },
      ),
    `${LAYOUT}'blind' of node 'other'`,
  ],
  [
    'a sum of maps in two layouts',
    () => reading({ ...identity('pixels'), op: 'Add', inputs: ['pixels', 'pixels_channels_last'] }),
    `${LAYOUT}'pixels' of node 'other'`,
  ],
  [
    'pixels that nobody turned',
    () => change(live, 'Convolution', (node) => wired(node, 'inputs', 0, 'pixels')),
    `${LAYOUT}'pixels' of node 'stem'`,
  ],
  [
    'pixels that are turned another way',
    () =>
      replace(
        live,
        ({ op }) => op === 'Transpose',
        (node) => [having({ perm: ints(0, 3, 2, 1) })(node)],
      ),
    `${LAYOUT}'pixels_channels_last' of node 'stem'`,
  ],
  [
    'a map that is turned twice',
    () => reading({ ...identity('b_relu'), op: 'Transpose', attributes: { perm: ints(0, 2, 3, 1) } }),
    `${LAYOUT}'b_relu' of node 'other'`,
  ],
  [
    'a map in the place of a vector',
    () => change(affine, 'BatchNorm', (node) => wired(node, 'inputs', 1, 'stem')),
    `${LAYOUT}'stem' of node 'bn_stem'`,
  ],
  [
    'a map among the outputs',
    () =>
      withGraph(live, 'training', { outputs: [...live.training.graph.outputs, live.training.graph.values.get('a1')!] }),
    `${LAYOUT}output 'a1'`,
  ],
];

const CONVOLUTIONS = 'native convolutions and their gradients belong together: ';
const otherStrides = having({ strides: ints(3, 3) });
const convolutions: Spoiled[] = [
  ...['ConvolutionInputGradient', 'ConvolutionWeightGradient'].flatMap((op): Spoiled[] => [
    [`${op} with other strides`, () => change(live, op, otherStrides), `${CONVOLUTIONS}node`],
    [`${op} without pads`, () => change(live, op, (node) => without('pads', node)), `${CONVOLUTIONS}node`],
    [`${op} by another algorithm`, () => change(live, op, having({ exact: int(1) })), `${CONVOLUTIONS}node`],
  ]),
  [
    'a gradient of another size',
    () => change(live, 'ConvolutionInputGradient', having({ size: ints(20, 19) })),
    `${CONVOLUTIONS}node`,
  ],
  [
    "a gradient of another's weights",
    () => change(live, 'ConvolutionInputGradient', (node) => wired(node, 'inputs', 1, 'stem_weights')),
    `${CONVOLUTIONS}node`,
  ],
  [
    'an addend of another shape',
    () =>
      replace(
        live,
        (node) => isNative('ConvolutionInputGradient')(node) && node.inputs[2] !== '',
        (node) => [wired(node, 'inputs', 2, 'pixels_channels_last')],
      ),
    `${CONVOLUTIONS}node`,
  ],
  [
    "a gradient that waits for another's",
    () => change(live, 'ConvolutionInputGradient', (node) => wired(node, 'inputs', 3, flagOf('b3')), 'a1_relu_grad'),
    `${CONVOLUTIONS}node`,
  ],
  [
    'a gradient of another map',
    () => change(live, 'ConvolutionWeightGradient', (node) => wired(node, 'inputs', 0, 'a2'), flagOf('a2')),
    `${CONVOLUTIONS}node '${flagOf('a2')}'`,
  ],
  [
    "another parameter's buffer",
    () => {
      const swapped = change(
        live,
        'ConvolutionWeightGradient',
        (n) => wired(n, 'inputs', 2, bufferOf('a2')),
        flagOf('a1'),
      );
      return change(swapped, 'ConvolutionWeightGradient', (n) => wired(n, 'inputs', 2, bufferOf('a1')), flagOf('a2'));
    },
    `${CONVOLUTIONS}node`,
  ],
  [
    "a buffer that another's gradient is in",
    () => change(live, 'ConvolutionWeightGradient', (node) => wired(node, 'inputs', 2, bufferOf('a2')), flagOf('a1')),
    `'${bufferOf('a2')}' comes twice`,
  ],
  [
    'a buffer that is never reset',
    () => change(live, 'ConvolutionWeightGradient', (node) => wired(node, 'inputs', 3, 'never')),
    'that can be reset: node',
  ],
  [
    'a map of unknown height',
    () => {
      const { values } = live.training.graph;
      const old = values.get('a1')!;
      return withGraph(live, 'training', {
        values: new Map(values).set('a1', { ...old, dims: ['batch', 'height', 20, 6] }),
      });
    },
    "but for the batch, lengths: 'a1' of node",
  ],
];

const BATCH_NORM = 'a native BatchNorm and its gradient belong together: node';
const PARAMETERS = 'has the parameters of its counterpart in evaluation: ';
const batchNorm: Spoiled[] = [
  [
    'live where it is to be affine',
    () => ({ ...live, purpose: { ...live.purpose, isLive: (name) => name !== 'bn_a1' } }),
    "nowhere else: node 'bn_a1' is live",
  ],
  [
    'affine where it is to be live',
    () => ({ ...affine, purpose: { ...affine.purpose, isLive: (name) => name === 'bn_a1' } }),
    "nowhere else: node 'bn_a1' is frozen",
  ],
  [
    'live over statistics that are not in the checkpoint',
    () => change(affine, 'BatchNorm', having({ live: int(1) })),
    "nowhere else: node 'bn_stem' is live",
  ],
  [
    'live over constant statistics, as planned',
    () => {
      const known = change(affine, 'BatchNorm', having({ live: int(1) }));
      return { ...known, purpose: { ...known.purpose, isLive: (name) => name === 'bn_stem' } };
    },
    "lie in the checkpoint: 'bn_stem_mean' of node 'bn_stem'",
  ],
  [
    "live over another's statistics",
    () => change(live, 'BatchNorm', (node) => wired(node, 'inputs', 3, 'bn_a1_mean'), 'bn_a2'),
    "no two BatchNorms move the same statistics: 'bn_a1_mean' comes twice",
  ],
  [
    'statistics changed about',
    () =>
      change(
        live,
        'BatchNorm',
        (n) => wired(wired(n, 'inputs', 3, 'bn_a1_variance'), 'inputs', 4, 'bn_a1_mean'),
        'bn_a1',
      ),
    `${PARAMETERS}'bn_a1_variance' of node 'bn_a1'`,
  ],
  [
    "affine on another's statistics",
    () => change(affine, 'BatchNorm', (node) => wired(node, 'inputs', 3, 'bn_a1_mean'), 'bn_a2'),
    `${PARAMETERS}'bn_a1_mean' of node 'bn_a2'`,
  ],
  [
    'a name that evaluation does not know',
    () => change(affine, 'BatchNorm', (node) => ({ ...node, name: 'bn' })),
    `${PARAMETERS}'bn_stem_scale' of node 'bn'`,
  ],
  [
    'an output omitted',
    () => {
      const { name, outputs } = find('BatchNorm', 'bn_b3');
      const cut = change(live, 'BatchNorm', (node) => wired(node, 'outputs', 1, ''), name);
      return replace(
        cut,
        ({ inputs }) => inputs.includes(outputs[1]!),
        (node) => [wired(node, 'inputs', 4, 'bn_b3_mean')],
      );
    },
    `${BATCH_NORM} 'bn_b3'`,
  ],
  ...(['live', 'relu'] as const).map(
    (attribute): Spoiled => [
      `a gradient with another '${attribute}'`,
      () =>
        change(live, 'BatchNormGradient', (node) =>
          having({ [attribute]: int(1 - Number(node.attributes[attribute]?.value)) })(node),
        ),
      BATCH_NORM,
    ],
  ),
  ['a gradient with epsilon', () => change(live, 'BatchNormGradient', having({ epsilon: float(1e-5) })), BATCH_NORM],
  [
    'a gradient on running statistics',
    () =>
      change(live, 'BatchNormGradient', (n) =>
        wired(wired(n, 'inputs', 3, 'bn_b3_mean'), 'inputs', 4, 'bn_b3_variance'),
      ),
    BATCH_NORM,
  ],
  [
    "a gradient by another's scale",
    () => change(live, 'BatchNormGradient', (node) => wired(node, 'inputs', 2, 'bn_b2_scale')),
    BATCH_NORM,
  ],
  [
    'a gradient masked by another map',
    () =>
      replace(
        live,
        (node) => isNative('BatchNormGradient')(node) && node.inputs.length > 6,
        (node) => [wired(node, 'inputs', 6, 'b2')],
      ),
    BATCH_NORM,
  ],
  [
    "a gradient of a residual that isn't there",
    () => {
      const added = replace(
        live,
        (node) => isNative('BatchNormGradient')(node) && node.inputs[1] === 'a1',
        (node) => [{ ...node, outputs: [...node.outputs, 'residual'] }],
      );
      const { values } = added.training.graph;
      return withGraph(added, 'training', {
        values: new Map(values).set('residual', { ...values.get('a1')!, name: 'residual' }),
      });
    },
    BATCH_NORM,
  ],
];

const POOLING = 'native pooling and its gradient belong together: node';
const pooling: Spoiled[] = [
  ['a gradient with other strides', () => change(live, 'MaxPoolGradient', otherStrides), POOLING],
  ['a gradient of another size', () => change(live, 'MaxPoolGradient', having({ size: ints(19, 20) })), POOLING],
  [
    'a gradient without its window',
    () => change(live, 'MaxPoolGradient', (node) => without('kernel_shape', node)),
    POOLING,
  ],
  [
    'a gradient by the maxima',
    () => change(live, 'MaxPoolGradient', (node) => wired(node, 'inputs', 1, 'pool')),
    POOLING,
  ],
  [
    'a mean over another map',
    () => change(live, 'GlobalAveragePoolGradient', (node) => wired(node, 'inputs', 1, 'b2')),
    POOLING,
  ],
  [
    'a mean of other channels',
    () => change(live, 'GlobalAveragePoolGradient', (node) => wired(node, 'inputs', 0, 'logits')),
    POOLING,
  ],
];

const orders: Spoiled[] = [
  [
    'an operator that the plan has none of',
    () => ({ ...live, purpose: { ...live.purpose, native: new Set(['SgdUpdate']) } }),
    "operators of ortune's own are where they may be: node 'stem' (Convolution)",
  ],
  [
    'a reader of a buffer that does not wait for its gradient',
    () => reading(identity(bufferOf('a1'))),
    `node 'other' does not wait for '${flagOf('a1')}'`,
  ],
  [
    'a reader of statistics that live BatchNorm does not wait for',
    () => reading(identity('bn_a1_mean')),
    "node 'bn_a1' does not wait for 'other'",
  ],
];

function bufferOf(convolution: string): string {
  return `${convolution}_weights_grad.accumulation.buffer`;
}
function flagOf(convolution: string): string {
  return `${convolution}_weights_grad.accumulation.out`;
}

describe.each([
  ['the layout of maps', layout],
  ['convolutions', convolutions],
  ['BatchNorm', batchNorm],
  ['pooling', pooling],
  ['place and order', orders],
])('wrong in %s', (_, cases) => {
  it.each(cases)('%s', (_what, known, complaint) => {
    expect(() => check(known())).toThrow(complaint);
  });
});
