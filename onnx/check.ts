import { isDeepStrictEqual } from 'node:util';
import { LAYER_RULES } from './check-layers.ts';
import { madeBeforeRead, readBeforeWritten } from './check-order.ts';
import {
  accumulations,
  complete,
  isNative,
  liveBatchNorms,
  makersOf,
  nameOf,
  ofOp,
  type Purpose,
  type Rule,
  repeated,
  type Subject,
  sameShape,
  withBranches,
  writesOf,
} from './check-subject.ts';
import { LOSS_SCALE, OVERFLOW } from './loss-scale.ts';
import type { Graph, Model, Node, ValueInfo } from './model.ts';
import { BUFFER_ENDING, bufferOf, FLAG_ENDING, RESET_FLAG, stateOf } from './names.ts';
import { NATIVE_STATE } from './native-update.ts';
import { UPDATE_INPUTS } from './update.ts';

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

  'every tensor is made once, and before it is read': madeBeforeRead,

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
    const accumulators = new Set<unknown>(accumulations(training).map(({ node }) => node));
    for (const { name } of training.inputs.filter(ends)) if (!taken.has(name)) yield `input '${name}'`;
    for (const { name } of training.outputs.filter(ends)) {
      if (!accumulators.has(makers.get(name))) yield `output '${name}'`;
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
    const filled = accumulations(training);
    yield* repeated(filled.map(({ buffer }) => buffer));
    const all = new Set(filled.map(({ buffer }) => buffer));
    for (const name of trainable) if (!all.has(bufferOf(name))) yield `buffer '${bufferOf(name)}'`;
    for (const { node, reset } of filled) if (reset !== RESET_FLAG) yield `node '${node.name}'`;
    for (const { name, inputs } of ofOp(training, 'InPlaceAccumulatorV2')) {
      if (!sameShape(values, inputs[0] ?? '', inputs[1] ?? '')) yield `node '${name}'`;
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
    const live = new Set(liveBatchNorms(training).map(nameOf));
    for (const { name } of ofOp(evaluation, 'BatchNormalization')) {
      if (live.has(name) !== isLive(name)) yield `node '${name}' is ${live.has(name) ? 'live' : 'frozen'}`;
    }
    for (const node of [training, evaluation].flatMap((graph) => ofOp(graph, 'BatchNormalization'))) {
      if (node.outputs.length > 1 || node.attributes['training_mode']?.value === 1) yield `node '${node.name}'`;
    }
  },

  // The kernel writes over them: what is no input of the checkpoint's would be lost, or a constant changed.
  "live BatchNorm's statistics lie in the checkpoint": function* ({ training, parameters, trainable }) {
    for (const { name, inputs } of liveBatchNorms(training)) {
      for (const statistic of inputs.slice(3, 5)) {
        if (!parameters.has(statistic) || trainable.has(statistic) || training.initializers.has(statistic)) {
          yield `'${statistic}' of node '${name}'`;
        }
      }
    }
  },

  'no two BatchNorms move the same statistics': function* ({ training }) {
    yield* repeated(liveBatchNorms(training).flatMap(({ inputs }) => inputs.slice(3, 5)));
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
      if (domain === '') continue;
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

  // No other ONNX Runtime knows them, and none of CUDA.
  "operators of ortune's own are where they may be": function* ({ training, evaluation, native }) {
    const nodes = (graph: Graph) => withBranches(graph).flatMap(({ nodes }) => nodes.filter(isNative));
    const strays = [...nodes(training).filter(({ op }) => !native.has(op)), ...nodes(evaluation)];
    for (const { name, op } of strays) yield `node '${name}' (${op})`;
  },

  'an update in the graph moves every trained parameter': function* ({ training, trainable }) {
    if (!training.inputs.some(({ name }) => name === UPDATE_INPUTS.update)) return;
    const moved = new Set(ofOp(training, 'If').flatMap(writesOf));
    for (const name of trainable) if (!moved.has(name)) yield `parameter '${name}'`;
  },

  // The kernel would write over whatever it is given of the right shape.
  'a native update is of one parameter, with its own gradient and state': function* (subject) {
    const { training, trainable, parameters, values } = subject;
    const isUpdate = (node: Node) => isNative(node) && node.op in NATIVE_STATE;
    const nodes = withBranches(training).flatMap(({ nodes }) => nodes.filter(isUpdate));
    yield* repeated(nodes.map(({ inputs }) => inputs[0] as string));
    for (const { name, op, inputs } of nodes) {
      const [parameter = '', gradient] = inputs;
      if (!trainable.has(parameter) || gradient !== bufferOf(parameter)) yield `node '${name}'`;
      for (const [input, slot] of NATIVE_STATE[op] ?? []) {
        const tensor = inputs[input] ?? '';
        if (tensor === '') continue;
        const own = tensor === stateOf(parameter, slot) && parameters.has(tensor);
        if (!own || !sameShape(values, parameter, tensor)) yield `'${tensor}' of node '${name}'`;
      }
    }
  },

  ...LAYER_RULES,

  'what is written in place is read before, a gradient after': readBeforeWritten,
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
