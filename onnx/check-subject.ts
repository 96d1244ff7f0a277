import { isDeepStrictEqual } from 'node:util';
import type { Attribute, Graph, Node, ValueInfo } from './model.ts';
import { NATIVE_STATE, ORTUNE } from './native-update.ts';

/** What a pair of models was built for. */
export interface Purpose {
  /** Names of the trained parameters. */
  readonly trainable: ReadonlySet<string>;
  /** Names of all that lies in the checkpoint: what is trained, and what merely moves. */
  readonly parameters: ReadonlySet<string>;
  /** Whether a BatchNorm, by its node's name, trains on the batch's statistics. */
  readonly isLive: (batchNorm: string) => boolean;
  /** Those of ortune's own operators that it may have, for a session on the CPU. */
  readonly native: ReadonlySet<string>;
}

/** What the rules look at. */
export interface Subject extends Purpose {
  readonly training: Graph;
  readonly evaluation: Graph;
  readonly opsets: readonly number[];
  /** Type and shape of the training graph's tensors. */
  readonly values: ReadonlyMap<string, ValueInfo>;
  /** The training graph's node that makes a tensor. */
  readonly makers: ReadonlyMap<string, Node>;
}

/** Finds what breaks a rule: each complaint names the node or the tensor. */
export type Rule = (subject: Subject) => Iterable<string>;

export const nameOf = ({ name }: { readonly name: string }) => name;
export const isNative = ({ domain }: Node) => domain === ORTUNE;
/** Nodes of ONNX Runtime's operators. */
export const ofOp = ({ nodes }: Graph, wanted: string) => nodes.filter((node) => node.op === wanted && !isNative(node));
/** Nodes of ortune's own operators. */
export const ofNative = ({ nodes }: Graph, wanted: string) =>
  nodes.filter((node) => node.op === wanted && isNative(node));
export const complete = (outputs: readonly string[], count: number) =>
  outputs.length === count && !outputs.includes('');
export const makersOf = ({ nodes }: Graph) =>
  new Map(nodes.flatMap((node) => node.outputs.map((output) => [output, node])));

/** BatchNorms of a training graph that are on the batch's statistics, whoever's operators they are. */
export function liveBatchNorms(graph: Graph): Node[] {
  const native = ofNative(graph, 'BatchNorm').filter(({ attributes }) => attributes['live']?.value === 1);
  return [...ofOp(graph, 'BatchNormInternal'), ...native];
}

/** Nodes that fill a parameter's gradient buffer, with the buffer and the tensor that tells whether to reset it. */
export function accumulations(graph: Graph) {
  const from = (node: Node, buffer: number, reset: number) => ({
    node,
    buffer: node.inputs[buffer] ?? '',
    reset: node.inputs[reset] ?? '',
  });
  return [
    ...ofOp(graph, 'InPlaceAccumulatorV2').map((node) => from(node, 0, 2)),
    ...ofNative(graph, 'ConvolutionWeightGradient').map((node) => from(node, 2, 3)),
  ];
}

export function sameShape(values: Subject['values'], left: string, right: string): boolean {
  const [one, other] = [values.get(left), values.get(right)];
  return one !== undefined && one.type === other?.type && isDeepStrictEqual(one.dims, other.dims);
}

export function* repeated(names: readonly string[]): Generator<string> {
  const seen = new Set<string>();
  for (const name of names) {
    if (name !== '' && seen.has(name)) yield `'${name}' comes twice`;
    seen.add(name);
  }
}

export function branchesOf({ op, attributes }: Node): Graph[] {
  if (op !== 'If') return [];
  const isGraph = (attribute: Attribute) => attribute.kind === 'graph';
  return Object.values(attributes)
    .filter(isGraph)
    .map(({ value }) => value);
}

export function withBranches(graph: Graph): Graph[] {
  return [graph, ...graph.nodes.flatMap(branchesOf).flatMap(withBranches)];
}

/** Tensors that a node reads, those of the graph around its branches among them. */
export function readsOf(node: Node): readonly string[] {
  const branches = branchesOf(node);
  return branches.length === 0
    ? node.inputs
    : [...node.inputs, ...branches.flatMap(({ nodes }) => nodes.flatMap(readsOf))];
}

/** Tensors that a node changes in place. */
export function writesOf(node: Node): string[] {
  if (isNative(node)) return nativeWrites(node);
  if (node.op === 'InPlaceAccumulatorV2') return node.inputs.slice(0, 1);
  if (node.op === 'BatchNormInternal') return node.inputs.slice(3, 5);
  return branchesOf(node).flatMap(({ nodes }) => nodes.flatMap(writesOf));
}

function nativeWrites({ op, inputs, attributes }: Node): string[] {
  if (op === 'BatchNorm') return attributes['live']?.value === 1 ? inputs.slice(3, 5) : [];
  if (op === 'ConvolutionWeightGradient') return inputs.slice(2, 3);
  const state = NATIVE_STATE[op];
  if (!state) return [];
  const written = new Set([0, ...state.map(([input]) => input)]);
  return inputs.filter((tensor, input) => written.has(input) && tensor !== '');
}
