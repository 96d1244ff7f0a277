import { describe, expect, it } from 'vitest';
import { type Graph, type Node, ORTUNE } from '../../onnx/index.ts';
import { check, isFirst, isOp, replace, right, type Spoiled, sgd, wired, withGraph } from './spoil.ts';

const updating = right('frozen', sgd);

/** The case with another branch that updates. */
const withBranch = (change: (nodes: readonly Node[]) => readonly Node[], known = updating) =>
  replace(known, isOp('If'), (node) => {
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

const atOnce = right('frozen', { ...sgd, averages: true }, { kernels: 'native' });
/** The native case with another node that moves the head's weights: inputs parameter, gradient, rate, momentum, clip, average. */
const withMove = (change: (node: Node) => readonly Node[]) =>
  withBranch((nodes) => {
    const isMove = ({ domain, inputs }: Node) => domain === ORTUNE && inputs[0] === 'fc_0.w_0';
    expect(nodes.filter(isMove)).toHaveLength(1);
    return nodes.flatMap((node) => (isMove(node) ? change(node) : [node]));
  }, atOnce);
const OWN = 'with its own gradient and state: ';
const native: Spoiled[] = [
  [
    "an operator of ortune's where the plan has none",
    () => ({ ...atOnce, purpose: { ...atOnce.purpose, native: new Set() } }),
    "operators of ortune's own are where they may be: node '",
  ],
  [
    "an operator of ortune's in evaluation",
    () => {
      const { graph } = atOnce.evaluation;
      const [node, ...nodes] = graph.nodes as [Node, ...Node[]];
      return withGraph(atOnce, 'evaluation', { nodes: [{ ...node, domain: ORTUNE }, ...nodes] });
    },
    'are where they may be: node',
  ],
  [
    'an operator that is unknown',
    () => withMove((node) => [{ ...node, op: 'Other' }]),
    "are where they may be: node 'fc_0.w_0.stored' (Other)",
  ],
  [
    'an update that leaves out a parameter',
    () => withMove((node) => [{ ...node, op: 'Identity', domain: '', inputs: ['never'] }]),
    "moves every trained parameter: parameter 'fc_0.w_0'",
  ],
  [
    'an update of a parameter twice',
    () => withMove((node) => [node, { ...node, name: 'again', outputs: ['again'] }]),
    "'fc_0.w_0' comes twice",
  ],
  [
    "an update by another parameter's gradient",
    () => withMove((node) => [wired(node, 'inputs', 1, 'fc_0.b_0_grad.accumulation.buffer')]),
    `${OWN}node 'fc_0.w_0.stored'`,
  ],
  [
    "an update with another parameter's momentum",
    () => withMove((node) => [wired(node, 'inputs', 3, 'fc_0.b_0.momentum')]),
    `${OWN}'fc_0.b_0.momentum' of node 'fc_0.w_0.stored'`,
  ],
  [
    'an update that takes the momentum for the average',
    () => withMove((node) => [wired(node, 'inputs', 5, 'fc_0.w_0.momentum')]),
    `${OWN}'fc_0.w_0.momentum' of node 'fc_0.w_0.stored'`,
  ],
  [
    'an update of state that is not in the checkpoint',
    () => {
      const { purpose } = atOnce;
      const parameters = new Set([...purpose.parameters].filter((name) => name !== 'fc_0.w_0.momentum'));
      return { ...atOnce, purpose: { ...purpose, parameters } };
    },
    `${OWN}'fc_0.w_0.momentum' of node 'fc_0.w_0.stored'`,
  ],
  [
    'an update of state of another shape',
    () => {
      const spoil = (known: typeof atOnce, part: 'training' | 'evaluation') =>
        withGraph(known, part, {
          inputs: known[part].graph.inputs.map((one) =>
            one.name === 'fc_0.w_0.average' ? { ...one, dims: [1] } : one,
          ),
        });
      return spoil(spoil(atOnce, 'training'), 'evaluation');
    },
    `${OWN}'fc_0.w_0.average' of node 'fc_0.w_0.stored'`,
  ],
  [
    'a reader of a parameter beside its update',
    () =>
      withMove((node) => [
        node,
        { op: 'Identity', domain: '', name: 'late', inputs: ['fc_0.w_0.average'], outputs: ['late'], attributes: {} },
      ]),
    "node 'fc_0.w_0.stored' does not wait for 'late'",
  ],
  [
    'a reader of state that the update does not wait for',
    () =>
      replace(atOnce, isOp('If'), (node) => [
        { op: 'Identity', domain: '', name: 'late', inputs: ['fc_0.w_0.momentum'], outputs: ['late'], attributes: {} },
        node,
      ]),
    "node 'updated' does not wait for 'late'",
  ],
];

const half = right('live', sgd, { precision: 'fp16' });
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
  ['the update by native kernels', native],
  ['half precision', precision],
])('wrong in %s', (_, cases) => {
  it.each(cases)('%s', (_what, known, complaint) => {
    expect(() => check(known())).toThrow(complaint);
  });
});
