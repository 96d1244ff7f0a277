import { isDeepStrictEqual } from 'node:util';
import { MICROSOFT } from './graph.ts';
import { LOSS_SCALE, OVERFLOW } from './loss-scale.ts';
import type { Attribute, Graph, Model, Node, ValueInfo } from './model.ts';
import { BUFFER_ENDING, bufferOf, FLAG_ENDING, RESET_FLAG, stateOf } from './names.ts';
import { NATIVE_STATE, ORTUNE } from './native-update.ts';
import { UPDATE_INPUTS } from './update.ts';

/** What a pair of models was built for. */
export interface Purpose {
  /** Names of the trained parameters. */
  readonly trainable: ReadonlySet<string>;
  /** Names of all that lies in the checkpoint: what is trained, and what merely moves. */
  readonly parameters: ReadonlySet<string>;
  /** Whether a BatchNorm, by its node's name, trains on the batch's statistics. */
  readonly isLive: (batchNorm: string) => boolean;
  /** Whether it may have operators of ortune's own, for a session on the CPU. */
  readonly native: boolean;
}

interface Subject extends Purpose {
  readonly training: Graph;
  readonly evaluation: Graph;
  readonly opsets: readonly number[];
  /** Type and shape of the training graph's tensors. */
  readonly values: ReadonlyMap<string, ValueInfo>;
  /** The training graph's node that makes a tensor. */
  readonly makers: ReadonlyMap<string, Node>;
}

/** Finds what breaks a rule: each complaint names the node or the tensor. */
type Rule = (subject: Subject) => Iterable<string>;

/** By these endings ONNX Runtime takes an input for a gradient's buffer, and keeps an output from the caller. */
const GRADIENT_ENDINGS = [BUFFER_ENDING, FLAG_ENDING, '_grad'];
/** From opset 21 on, operators have definitions that the CUDA library lacks: their nodes would run on the CPU. */
const NEWEST_OPSET = 20;

const RULES: Readonly<Record<string, Rule>> = {
  'every operator has a CUDA kernel': function* ({ opsets, training }) {
    for (const opset of opsets) if (opset > NEWEST_OPSET) yield `opset ${opset}, newer than ${NEWEST_OPSET}`;
    for (const { op, name } of training.nodes) if (op === 'MaxPoolGrad') yield `node '${name}' (MaxPoolGrad)`;
  },

  'node names are unique': function* ({ training, evaluation }) {
    for (const graph of [training, evaluation].flatMap(withBranches)) yield* repeated(graph.nodes.map(nameOf));
  },

  'every tensor is made once, and before it is read': function* ({ training, evaluation }) {
    yield* outOfOrder(training, new Set());
    yield* outOfOrder(evaluation, new Set());
  },

  'evaluation has the parameters of training, in their order': function* ({ training, evaluation, parameters }) {
    // The library pairs them by position alone.
    const [trained, evaluated] = [training, evaluation].map(({ inputs }) =>
      inputs.filter(({ name }) => parameters.has(name)),
    ) as [ValueInfo[], ValueInfo[]];
    const names = new Set(trained.map(nameOf));
    for (const name of parameters) if (!names.has(name)) yield `parameter '${name}' is no input`;
    for (let index = 0; index < Math.max(trained.length, evaluated.length); index++) {
      if (isDeepStrictEqual(trained[index], evaluated[index])) continue;
      yield `parameter ${index} is '${trained[index]?.name}' in training, '${evaluated[index]?.name}' in evaluation`;
    }
  },

  "only gradients have gradients' names": function* ({ training, evaluation, trainable, makers }) {
    const ends = ({ name }: ValueInfo) => GRADIENT_ENDINGS.some((ending) => name.endsWith(ending));
    const taken = new Set([RESET_FLAG, ...[...trainable].map(bufferOf)]);
    for (const { name } of training.inputs.filter(ends)) if (!taken.has(name)) yield `input '${name}'`;
    for (const { name } of training.outputs.filter(ends)) {
      if (makers.get(name)?.op !== 'InPlaceAccumulatorV2') yield `output '${name}'`;
    }
    for (const { name } of [...evaluation.inputs, ...evaluation.outputs].filter(ends)) yield `evaluation's '${name}'`;
  },

  'every trained parameter has a buffer of its shape': function* ({ training, trainable, values }) {
    const inputs = new Set(training.inputs.map(nameOf));
    for (const name of trainable) {
      if (!inputs.has(bufferOf(name)) || !sameShape(values, name, bufferOf(name))) yield `parameter '${name}'`;
    }
  },

  'every buffer has one accumulator, of a gradient of its shape, that can be reset': function* (subject) {
    const { training, trainable, values } = subject;
    const flag = training.inputs.find(({ name }) => name === RESET_FLAG);
    if (flag?.type !== 'bool' || !isDeepStrictEqual(flag.dims, [1])) yield `no input '${RESET_FLAG}' bool [1]`;
    const accumulators = training.nodes.filter(({ op }) => op === 'InPlaceAccumulatorV2');
    const filled = accumulators.map(({ inputs }) => inputs[0] as string);
    yield* repeated(filled);
    const all = new Set(filled);
    for (const name of trainable) if (!all.has(bufferOf(name))) yield `buffer '${bufferOf(name)}'`;
    for (const { name, inputs } of accumulators) {
      const [buffer = '', gradient = '', reset] = inputs;
      if (reset !== RESET_FLAG || !sameShape(values, buffer, gradient)) yield `node '${name}'`;
    }
  },

  'ConvGrad has the attributes of its Conv': function* ({ training }) {
    const key = (input?: string, weights?: string) => `${input}\n${weights}`;
    const forward = new Map(ofOp(training, 'Conv').map((node) => [key(...node.inputs), node]));
    for (const { name, inputs, attributes } of ofOp(training, 'ConvGrad')) {
      const conv = forward.get(key(inputs[1], inputs[2]));
      if (!conv || !isDeepStrictEqual(conv.attributes, attributes)) yield `node '${name}'`;
    }
  },

  'BatchNorm is live where the plan says so, and nowhere else': function* ({ training, evaluation, isLive }) {
    for (const { name } of ofOp(evaluation, 'BatchNormInternal')) yield `evaluation's node '${name}'`;
    const live = new Set(ofOp(training, 'BatchNormInternal').map(nameOf));
    for (const { name } of ofOp(evaluation, 'BatchNormalization')) {
      if (live.has(name) !== isLive(name)) yield `node '${name}' is ${live.has(name) ? 'live' : 'frozen'}`;
    }
    for (const node of [training, evaluation].flatMap((graph) => ofOp(graph, 'BatchNormalization'))) {
      if (node.outputs.length > 1 || node.attributes['training_mode']?.value === 1) yield `node '${node.name}'`;
    }
  },

  // The kernel writes over them: what is no input of the checkpoint's would be lost, or a constant changed.
  "live BatchNorm's statistics lie in the checkpoint": function* ({ training, parameters, trainable }) {
    for (const { name, inputs } of ofOp(training, 'BatchNormInternal')) {
      for (const statistic of inputs.slice(3, 5)) {
        if (!parameters.has(statistic) || trainable.has(statistic) || training.initializers.has(statistic)) {
          yield `'${statistic}' of node '${name}'`;
        }
      }
    }
  },

  'live BatchNorm and its gradient belong together and omit no output': function* ({ training, makers }) {
    for (const { name, outputs, attributes } of ofOp(training, 'BatchNormInternal')) {
      if (!complete(outputs, 5) || attributes['training_mode']?.value !== 1) yield `node '${name}'`;
    }
    for (const { name, inputs, outputs, attributes } of ofOp(training, 'BatchNormalizationGrad')) {
      const forward = makers.get(inputs[3] ?? '');
      const paired =
        forward?.op === 'BatchNormInternal' &&
        isDeepStrictEqual(inputs.slice(1), [...forward.inputs.slice(0, 2), ...forward.outputs.slice(3)]) &&
        isDeepStrictEqual(attributes['epsilon'], forward.attributes['epsilon']);
      if (!paired || !complete(outputs, 3)) yield `node '${name}'`;
    }
  },

  // Kernels allocate by these shapes; a dimension that is unknown crashes them.
  'gradients have a type and, but for the batch, lengths': function* ({ training, values }) {
    for (const { domain, name, inputs, outputs } of training.nodes) {
      if (domain !== MICROSOFT) continue;
      for (const tensor of [...inputs, ...outputs]) {
        const known = values
          .get(tensor)
          ?.dims.slice(1)
          .every((length) => typeof length === 'number' && length > 0);
        if (tensor !== '' && !known) yield `'${tensor}' of node '${name}'`;
      }
    }
  },

  // Without, small gradients vanish and large ones are infinite; the CPU, which has no half precision, would not show it.
  'half precision has a loss scale, taken out of every gradient, and tells of an overflow': function* (subject) {
    const { training, values, makers } = subject;
    if (![...values.values()].some(({ type }) => type === 'float16')) return;
    if (!training.inputs.some(({ name }) => name === LOSS_SCALE)) yield `no input '${LOSS_SCALE}'`;
    if (!training.outputs.some(({ name }) => name === OVERFLOW)) yield `no output '${OVERFLOW}'`;
    for (const { name, inputs } of ofOp(training, 'InPlaceAccumulatorV2')) {
      const maker = makers.get(inputs[1] ?? '');
      if (maker?.op !== 'Div' || maker.inputs[1] !== LOSS_SCALE) yield `node '${name}'`;
    }
  },

  'an update in the graph moves every trained parameter': function* ({ training, trainable }) {
    if (!training.inputs.some(({ name }) => name === UPDATE_INPUTS.update)) return;
    const moved = new Set(ofOp(training, 'If').flatMap(writesOf));
    for (const name of trainable) if (!moved.has(name)) yield `parameter '${name}'`;
  },

  // No other ONNX Runtime knows them, and none of CUDA.
  "operators of ortune's own are where they may be": function* ({ training, evaluation, native }) {
    const graphs = [...(native ? [] : withBranches(training)), ...withBranches(evaluation)];
    for (const { name, op } of graphs.flatMap(({ nodes }) => nodes.filter(isNative))) yield `node '${name}' (${op})`;
  },

  // The kernel would write over whatever it is given of the right shape.
  'a native update is of one parameter, with its own gradient and state': function* (subject) {
    const { training, trainable, parameters, values } = subject;
    const nodes = withBranches(training).flatMap(({ nodes }) => nodes.filter(isNative));
    yield* repeated(nodes.map(({ inputs }) => inputs[0] as string));
    for (const { name, op, inputs } of nodes) {
      const [parameter = '', gradient] = inputs;
      const state = NATIVE_STATE[op];
      if (!state) yield `node '${name}' (${op})`;
      if (!trainable.has(parameter) || gradient !== bufferOf(parameter)) yield `node '${name}'`;
      for (const [input, slot] of state ?? []) {
        const tensor = inputs[input] ?? '';
        if (tensor === '') continue;
        const own = tensor === stateOf(parameter, slot) && parameters.has(tensor);
        if (!own || !sameShape(values, parameter, tensor)) yield `'${tensor}' of node '${name}'`;
      }
    }
  },

  'what is written in place is read before, a gradient after': function* ({ training }) {
    for (const graph of withBranches(training)) yield* races(graph);
  },
};

/**
 * Checks training artifacts for what ONNX Runtime takes without complaint and then trains wrongly, or crashes on. Labels
 * are not a matter of the graph: no kernel checks that they lie within the classes.
 *
 * @throws Error naming the rule and the node or tensor that breaks it: a defect of what built the graphs
 */
export function checkArtifacts(training: Model, evaluation: Model, purpose: Purpose): void {
  const { graph } = training;
  const subject: Subject = {
    ...purpose,
    training: graph,
    evaluation: evaluation.graph,
    opsets: [training, evaluation].map(({ opsets }) => opsets.get('') ?? 0),
    values: new Map(
      [...graph.initializers.values(), ...graph.values.values(), ...graph.inputs, ...graph.outputs].map((value) => [
        value.name,
        value,
      ]),
    ),
    makers: makersOf(graph),
  };
  for (const [rule, broken] of Object.entries(RULES)) {
    for (const complaint of broken(subject)) throw new Error(`wrong training graph: ${rule}: ${complaint}`);
  }
}

const nameOf = ({ name }: { readonly name: string }) => name;
const isNative = ({ domain }: Node) => domain === ORTUNE;
const ofOp = ({ nodes }: Graph, wanted: string) => nodes.filter(({ op }) => op === wanted);
const complete = (outputs: readonly string[], count: number) => outputs.length === count && !outputs.includes('');
const makersOf = ({ nodes }: Graph) => new Map(nodes.flatMap((node) => node.outputs.map((output) => [output, node])));

function sameShape(values: Subject['values'], left: string, right: string): boolean {
  const [one, other] = [values.get(left), values.get(right)];
  return one !== undefined && one.type === other?.type && isDeepStrictEqual(one.dims, other.dims);
}

function* repeated(names: readonly string[]): Generator<string> {
  const seen = new Set<string>();
  for (const name of names) {
    if (name !== '' && seen.has(name)) yield `'${name}' comes twice`;
    seen.add(name);
  }
}

function branchesOf({ op, attributes }: Node): Graph[] {
  if (op !== 'If') return [];
  const isGraph = (attribute: Attribute) => attribute.kind === 'graph';
  return Object.values(attributes)
    .filter(isGraph)
    .map(({ value }) => value);
}

function withBranches(graph: Graph): Graph[] {
  return [graph, ...graph.nodes.flatMap(branchesOf).flatMap(withBranches)];
}

/** Tensors that a node reads, those of the graph around its branches among them. */
function readsOf(node: Node): readonly string[] {
  const branches = branchesOf(node);
  return branches.length === 0
    ? node.inputs
    : [...node.inputs, ...branches.flatMap(({ nodes }) => nodes.flatMap(readsOf))];
}

/** Tensors that a node changes in place. */
function writesOf(node: Node): string[] {
  if (node.op === 'InPlaceAccumulatorV2') return node.inputs.slice(0, 1);
  if (node.op === 'BatchNormInternal') return node.inputs.slice(3, 5);
  if (isNative(node)) {
    const written = new Set([0, ...(NATIVE_STATE[node.op] ?? []).map(([input]) => input)]);
    return node.inputs.filter((tensor, input) => written.has(input) && tensor !== '');
  }
  return branchesOf(node).flatMap(({ nodes }) => nodes.flatMap(writesOf));
}

function* outOfOrder(graph: Graph, around: ReadonlySet<string>): Generator<string> {
  const known = new Set([...around, ...graph.inputs.map(nameOf), ...graph.initializers.keys(), '']);
  for (const node of graph.nodes) {
    for (const input of node.inputs) if (!known.has(input)) yield `node '${node.name}' reads '${input}'`;
    for (const branch of branchesOf(node)) yield* outOfOrder(branch, known);
    for (const output of node.outputs) {
      if (output !== '' && known.has(output)) yield `node '${node.name}' makes '${output}' again`;
      known.add(output);
    }
  }
  for (const { name } of graph.outputs) if (!known.has(name)) yield `output '${name}' of '${graph.name}'`;
}

/** The runtime orders nodes by the tensors they pass on, of which a write in place is none. */
function* races(graph: Graph): Generator<string> {
  const writers = new Map(graph.nodes.flatMap((node) => writesOf(node).map((tensor) => [tensor, node])));
  const earlier = new Map<Node, Set<Node>>();
  const order = (first: Node, then: Node) => earlier.set(then, (earlier.get(then) ?? new Set()).add(first));
  for (const reader of graph.nodes) {
    for (const tensor of readsOf(reader)) {
      const writer = writers.get(tensor);
      if (!writer || reader === writer) continue;
      if (tensor.endsWith(BUFFER_ENDING)) order(writer, reader);
      else order(reader, writer);
    }
  }
  const makers = makersOf(graph);
  for (const [node, wanted] of earlier) {
    for (const other of missedOnTheWay(node, wanted, makers))
      yield `node '${node.name}' does not wait for '${other.name}'`;
  }
}

/** Those of some nodes that a node does not depend on; breadth first, as they are mostly near. */
function missedOnTheWay(node: Node, wanted: ReadonlySet<Node>, makers: ReadonlyMap<string, Node>): Set<Node> {
  const missed = new Set(wanted);
  const reached = new Set([node]);
  for (const at of reached) {
    missed.delete(at);
    if (missed.size === 0) break;
    for (const input of readsOf(at)) {
      const maker = makers.get(input);
      if (maker) reached.add(maker);
    }
  }
  return missed;
}
