import { describe, expect, it } from 'vitest';
import { type Node, ORTUNE } from '../../onnx/index.ts';
import { type Case, check, replace, right, type Spoiled, sgd, wired, withGraph } from './spoil.ts';

const half = right('live', sgd, { layers: 'native', precision: 'bf16' });

const isNative = (op: string, name?: string) => (node: Node) =>
  node.domain === ORTUNE && node.op === op && (name === undefined || node.name === name);
const identity = (input: string): Node => {
  return { op: 'Identity', domain: '', name: 'other', inputs: [input], outputs: ['other'], attributes: {} };
};

describe('right artifacts with bfloat16 maps pass', () => {
  it.each([
    ['live', half],
    ['affine', right('affine', sgd, { layers: 'native', precision: 'bf16' })],
  ])('%s', (_, known) => check(known));
});

const HALF = "bfloat16 maps are between the addon's operators, and else only cast: ";
/** The case with another type for a tensor. */
function typed(known: Case, name: string, type: 'float32' | 'bfloat16'): Case {
  const { values } = known.training.graph;
  return withGraph(known, 'training', { values: new Map(values).set(name, { ...values.get(name)!, type }) });
}
const types: Spoiled[] = [
  ...['Add', 'Relu', 'Sum', 'Transpose', 'Identity', 'MaxPool'].map(
    (op): Spoiled => [
      `a bfloat16 map that a stock ${op} reads`,
      () => replace(half, isNative('GlobalAveragePool'), (node) => [node, { ...identity('b_relu'), op }]),
      `${HALF}'b_relu' of node 'other'`,
    ],
  ),
  [
    'a bfloat16 map that a branch reads',
    () => {
      const branch = { ...half.training.graph, nodes: [identity('b_relu')], inputs: [], outputs: [] };
      const attributes = { then_branch: { kind: 'graph', value: branch } } as const;
      const node = { ...identity('never'), op: 'If', attributes, outputs: ['branched'] };
      return replace(half, isNative('GlobalAveragePool'), (pool) => [pool, node]);
    },
    `${HALF}'b_relu' of node 'other'`,
  ],
  [
    'a bfloat16 map that a stock operator makes',
    () => typed(half, 'pixels_channels_last', 'bfloat16'),
    `${HALF}'pixels_channels_last' of node 'pixels_channels_last'`,
  ],
  ['maps of two types at an operator', () => typed(half, 'a1', 'float32'), `${HALF}'a1' of node 'a1'`],
  [
    'pixels that nobody rounds',
    () => {
      const node = half.training.graph.nodes.find(isNative('Convolution'))!;
      return replace(
        half,
        (one) => one === node,
        () => [wired(node, 'inputs', 0, 'pixels_channels_last')],
      );
    },
    `${HALF}'pixels_channels_last' of node 'stem'`,
  ],
  [
    'bfloat16 in the place of a vector',
    () => {
      const added = replace(half, isNative('BatchNorm', 'bn_a1'), (node) => [wired(node, 'inputs', 1, 'scale_16')]);
      const { values } = added.training.graph;
      const scale = { name: 'scale_16', type: 'bfloat16', dims: [6] } as const;
      const node = { ...identity('bn_a1_scale'), op: 'Cast', name: 'scale_16', outputs: ['scale_16'] };
      const cast = replace(added, isNative('Convolution', 'stem'), (stem) => [node, stem]);
      return withGraph(cast, 'training', { values: new Map(values).set('scale_16', scale) });
    },
    `${HALF}'scale_16' of node 'bn_a1'`,
  ],
  [
    'a bfloat16 output',
    () => {
      const { outputs } = half.training.graph;
      return withGraph(half, 'training', { outputs: [...outputs, { name: 'label_16', type: 'bfloat16', dims: [1] }] });
    },
    `label_16`,
  ],
];

describe('wrong in types', () => {
  it.each(types)('%s', (_what, known, complaint) => {
    expect(() => check(known())).toThrow(complaint);
  });
});
