import { isDeepStrictEqual } from 'node:util';
import { TO_CHANNELS_FIRST, TO_CHANNELS_LAST } from './channels-last.ts';
import {
  complete,
  isNative,
  ofNative,
  ofOp,
  type Rule,
  readsOf,
  repeated,
  type Subject,
  sameShape,
} from './check-subject.ts';
import { withoutBatchNorm } from './gradients/native-convolution.ts';
import type { Attribute, ElementType, Node } from './model.ts';
import { averageOf, bufferOf } from './names.ts';
import { LAYER_MAPS } from './native-layers.ts';

/** Operators that are right on maps of either layout, as long as all are of one. */
const LAYOUT_BLIND: ReadonlySet<string> = new Set(['Add', 'Cast', 'Relu', 'ReluGrad', 'Sum']);

/** Of the addon's operators on channels-last maps. */
export const LAYER_RULES: Readonly<Record<string, Rule>> = {
  // ONNX Runtime would refuse some such nodes, and compute others by a kernel for another type.
  "bfloat16 maps are between the addon's operators, and else only cast": function* ({ training, values }) {
    const is = (type: ElementType) => (name: string) => values.get(name)?.type === type;
    for (const node of training.nodes) {
      if (node.op === 'Cast' && !isNative(node)) continue;
      const maps = isNative(node) ? LAYER_MAPS[node.op] : undefined;
      const own = new Set([
        ...node.inputs.filter((_, index) => maps?.inputs.includes(index)),
        ...node.outputs.filter((_, index) => maps?.outputs.includes(index)),
      ]);
      const halves = [...readsOf(node), ...node.outputs].filter(is('bfloat16'));
      const wrong =
        halves.length === 0 ? [] : [...halves.filter((name) => !own.has(name)), ...[...own].filter(is('float32'))];
      for (const name of wrong) yield `'${name}' of node '${node.name}'`;
    }
    for (const { name } of [...training.inputs, ...training.outputs].filter(({ type }) => type === 'bfloat16')) {
      yield `'${name}' of the graph`;
    }
  },

  // The numbers are there in any case, in another order.
  'a channels-last map is read as such, and no other map is': function* ({ training }) {
    const last = new Set<string>();
    const isLast = (name: string) => last.has(name);
    for (const node of training.nodes) {
      const { name, op, inputs, outputs } = node;
      const maps = isNative(node) ? LAYER_MAPS[op] : undefined;
      const read = inputs.filter((input) => input !== '');
      if (maps) {
        for (const [index, input] of inputs.entries()) {
          if (input !== '' && isLast(input) !== maps.inputs.includes(index)) yield `'${input}' of node '${name}'`;
        }
        for (const index of maps.outputs) last.add(outputs[index] ?? '');
      } else if (isTransposeBy(node, TO_CHANNELS_LAST)) {
        for (const input of read.filter(isLast)) yield `'${input}' of node '${name}'`;
        last.add(outputs[0] ?? '');
      } else if (LAYOUT_BLIND.has(op) && read.some(isLast)) {
        for (const input of read.filter((one) => !isLast(one))) yield `'${input}' of node '${name}'`;
        for (const output of outputs) last.add(output);
      } else if (!isTransposeBy(node, TO_CHANNELS_FIRST)) {
        for (const input of read.filter(isLast)) yield `'${input}' of node '${name}'`;
      }
    }
    for (const { name } of training.outputs) if (isLast(name)) yield `output '${name}'`;
  },

  'native convolutions and their gradients belong together': function* ({ training, values, makers }) {
    const convolutions = ofNative(training, 'Convolution');
    yield* repeated(convolutions.map(({ inputs }) => inputs[1] as string));
    const weightGradients = new Map(
      ofNative(training, 'ConvolutionWeightGradient').map((node) => [node.inputs[2], node]),
    );
    const same = (left?: string, right?: string) => sameShape(values, left ?? '', right ?? '');
    for (const { name, inputs, outputs, attributes } of ofNative(training, 'ConvolutionInputGradient')) {
      const [gradient, weights, addend = '', before] = inputs;
      const forward = convolutions.find((node) => node.inputs[1] === weights);
      const [input] = forward?.inputs ?? [];
      const paired =
        isDeepStrictEqual(attributes, withSize(forward, values, input)) &&
        same(gradient, forward?.outputs[0]) &&
        same(outputs[0], input) &&
        (addend === '' || same(addend, input)) &&
        (before === undefined || makers.get(before) === weightGradients.get(bufferOf(weights ?? '')));
      if (!paired) yield `node '${name}'`;
    }
    for (const { name, inputs, attributes } of ofNative(training, 'ConvolutionWeightGradient')) {
      const [, gradient, buffer] = inputs;
      const forward = convolutions.find((node) => bufferOf(node.inputs[1] ?? '') === buffer);
      const input = forward?.inputs[0] ?? '';
      const paired =
        isDeepStrictEqual(inputs.toSpliced(1, 3), withoutBatchNorm(input, makers.get(input))) &&
        isDeepStrictEqual(attributes, forward?.attributes) &&
        same(gradient, forward?.outputs[0]);
      if (!paired) yield `node '${name}'`;
    }
  },

  'a native BatchNorm and its gradient belong together': function* ({ training, makers }) {
    for (const { name, outputs } of ofNative(training, 'BatchNorm')) if (!complete(outputs, 3)) yield `node '${name}'`;
    for (const { name, inputs, outputs, attributes } of ofNative(training, 'BatchNormGradient')) {
      const forward = makers.get(inputs[4] ?? '');
      const { live, relu } = forward?.attributes ?? {};
      const [output, ...saved] = forward?.outputs ?? [];
      const paired =
        forward?.op === 'BatchNorm' &&
        isDeepStrictEqual(attributes, { live, relu }) &&
        isDeepStrictEqual(inputs.slice(1), [
          ...forward.inputs.slice(0, 3),
          ...saved,
          ...(masksResidual(forward) ? [output] : []),
        ]) &&
        (outputs[3] !== undefined) === masksResidual(forward);
      if (!paired) yield `node '${name}'`;
    }
  },

  // Else the checkpoint would get the statistics of another layer.
  'a native BatchNorm has the parameters of its counterpart in evaluation': function* ({ training, evaluation }) {
    const counterparts = new Map(ofOp(evaluation, 'BatchNormalization').map((node) => [node.name, node]));
    for (const { name, inputs } of ofNative(training, 'BatchNorm')) {
      const evaluated = counterparts.get(name)?.inputs ?? [];
      for (const [index, parameter] of inputs.slice(1, 5).entries()) {
        const counterpart = evaluated[index + 1];
        if (counterpart !== parameter && counterpart !== averageOf(parameter)) yield `'${parameter}' of node '${name}'`;
      }
    }
  },

  'native pooling and its gradient belong together': function* ({ training, values, makers }) {
    for (const { name, inputs, outputs, attributes } of ofNative(training, 'MaxPoolGradient')) {
      const forward = makers.get(inputs[1] ?? '');
      const [input = ''] = forward?.inputs ?? [];
      const paired =
        forward?.op === 'MaxPool' &&
        inputs[1] === forward.outputs[1] &&
        isDeepStrictEqual(attributes, withSize(forward, values, input)) &&
        sameShape(values, outputs[0] ?? '', input);
      if (!paired) yield `node '${name}'`;
    }
    const means = new Map(ofNative(training, 'GlobalAveragePool').map((node) => [node.inputs[0], node.outputs[0]]));
    for (const { name, inputs, outputs } of ofNative(training, 'GlobalAveragePoolGradient')) {
      const [gradient = '', map = ''] = inputs;
      const paired = sameShape(values, gradient, means.get(map) ?? '') && sameShape(values, outputs[0] ?? '', map);
      if (!paired) yield `node '${name}'`;
    }
  },
};

/** Whether a BatchNorm's gradient must know its output: what Relu let through of a sum. */
function masksResidual({ inputs, attributes }: Node): boolean {
  return attributes['relu']?.value === 1 && inputs[5] !== undefined;
}

function isTransposeBy({ op, attributes }: Node, order: readonly number[]): boolean {
  return op === 'Transpose' && isDeepStrictEqual(attributes['perm']?.value, order);
}

function sizeOf(values: Subject['values'], map: string | undefined): Attribute {
  return { kind: 'ints', value: (values.get(map ?? '')?.dims.slice(1, 3) ?? []) as number[] };
}

/** The attributes of a gradient that gives a channels-last map: its forward node's, and how large the map is. */
function withSize(forward: Node | undefined, values: Subject['values'], map: string | undefined): Node['attributes'] {
  return { ...forward?.attributes, size: sizeOf(values, map) };
}
