import { describe, expect, it } from 'vitest';
import type { Graph, Node } from '../../onnx/index.ts';
import { check, isFirst, isOp, replace, right, type Spoiled, sgd, wired, withGraph } from './spoil.ts';

const updating = right('frozen', sgd);

/** The case with another branch that updates. */
const withBranch = (change: (nodes: readonly Node[]) => readonly Node[]) =>
  replace(updating, isOp('If'), (node) => {
    const { value } = node.attributes['then_branch'] as { value: Graph };
    const branch = { kind: 'graph', value: { ...value, nodes: change(value.nodes) } } as const;
    return [{ ...node, attributes: { ...node.attributes, then_branch: branch } }];
  });

const update: Spoiled[] = [
  [
    'an update that leaves out a parameter',
    () =>
      withBranch((nodes) =>
        nodes.map((node) =>
          node.inputs[0] === 'fc_0.w_0' && node.op === 'InPlaceAccumulatorV2'
            ? { ...node, op: 'Identity', domain: '', inputs: ['always'] }
            : node,
        ),
      ),
    "moves every trained parameter: parameter 'fc_0.w_0'",
  ],
  [
    'an update that does not wait for the accumulators',
    () => replace(updating, isOp('If'), (node) => [wired(node, 'inputs', 0, 'update')]),
    "a gradient after: node 'updated' does not wait for",
  ],
  [
    'an update that does not wait for one accumulator',
    () => replace(updating, isOp('Concat'), (node) => [{ ...node, inputs: node.inputs.slice(0, -1) }]),
    "node 'updated' does not wait for 'fc_0.b_0_grad.accumulation.out'",
  ],
  [
    'a reader of a parameter that the update does not wait for',
    () =>
      replace(updating, isOp('If'), (node) => [
        { op: 'Identity', domain: '', name: 'late', inputs: ['fc_0.w_0'], outputs: ['late'], attributes: {} },
        node,
      ]),
    "node 'updated' does not wait for 'late'",
  ],
  [
    'a reader of a parameter beside its store in the branch',
    () =>
      withBranch((nodes) => [
        ...nodes,
        { op: 'Identity', domain: '', name: 'late', inputs: ['fc_0.w_0'], outputs: ['late'], attributes: {} },
      ]),
    "node 'fc_0.w_0.stored' does not wait for 'late'",
  ],
];

const half = right('live', sgd, 'fp16');
const precision: Spoiled[] = [
  [
    'no way to say the loss scale',
    () =>
      withGraph(half, 'training', { inputs: half.training.graph.inputs.filter(({ name }) => name !== 'loss_scale') }),
    "reads 'loss_scale'",
  ],
  [
    'an overflow that nobody hears of',
    () =>
      withGraph(half, 'training', { outputs: half.training.graph.outputs.filter(({ name }) => name !== 'overflow') }),
    "tells of an overflow: no output 'overflow'",
  ],
  [
    'a gradient with the loss scale in it',
    () =>
      replace(half, isFirst(half, 'InPlaceAccumulatorV2'), (node) => [
        wired(node, 'inputs', 1, (node.inputs[1] as string).replace('_unscaled', '_grad')),
      ]),
    "taken out of every gradient, and tells of an overflow: node 'stem_weights_grad.accumulation.out'",
  ],
  [
    'a gradient in half precision for a buffer in single',
    () =>
      replace(half, isFirst(half, 'InPlaceAccumulatorV2'), (node) => [
        wired(node, 'inputs', 1, 'stem_weights_float16_grad'),
      ]),
    "of a gradient of its shape, that can be reset: node 'stem_weights_grad.accumulation.out'",
  ],
];

describe.each([
  ['the update', update],
  ['half precision', precision],
])('wrong in %s', (_, cases) => {
  it.each(cases)('%s', (_what, known, complaint) => {
    expect(() => check(known())).toThrow(complaint);
  });
});
