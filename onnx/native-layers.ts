import { ints, valueInfo } from './graph.ts';
import type { Graph, Node } from './model.ts';

/**
 * The addon's operators on channels-last maps, [batch, H, W, channels], each with those of its inputs and outputs that are
 * such maps: all of a node float32, or all bfloat16, but for the places of maxima. All else is as ONNX has it, float32 in
 * any case: weights [out, in, k, k], pooled means [batch, channels, 1, 1].
 */
export const LAYER_MAPS: Readonly<
  Record<string, { readonly inputs: readonly number[]; readonly outputs: readonly number[] }>
> = {
  Convolution: { inputs: [0], outputs: [0] },
  ConvolutionInputGradient: { inputs: [0, 2], outputs: [0] },
  ConvolutionWeightGradient: { inputs: [0, 1], outputs: [] },
  BatchNorm: { inputs: [0, 5], outputs: [0] },
  BatchNormGradient: { inputs: [0, 1, 6], outputs: [0, 3] },
  MaxPool: { inputs: [0], outputs: [0, 1] },
  MaxPoolGradient: { inputs: [0, 1], outputs: [0] },
  GlobalAveragePool: { inputs: [0], outputs: [] },
  GlobalAveragePoolGradient: { inputs: [1], outputs: [0] },
};

/** A place within a pooling window must fit in a byte. */
const LARGEST_WINDOW = 256;

/** Whether the addon has an operator for a node of ai.onnx: not for every attribute that ONNX allows. */
export function hasNativeForm(node: Node, graph: Graph): boolean {
  if (node.domain !== '') return false;
  const form = FORMS[node.op];
  return form !== undefined && isMap(graph, node.inputs[0] as string) && form(node, graph);
}

const FORMS: Readonly<Record<string, (node: Node, graph: Graph) => boolean>> = {
  Conv(node, graph) {
    const [, weights = '', bias = ''] = node.inputs;
    const kernel = graph.initializers.get(weights)?.dims ?? [];
    // The operator adds the gradient to the weights' buffer by itself: no other may have a part in it.
    const own = graph.nodes.flatMap(({ inputs }) => inputs).filter((name) => name === weights).length === 1;
    return (
      own &&
      bias === '' &&
      kernel.length === 4 &&
      kernel[2] === kernel[3] &&
      (node.attributes['group']?.value ?? 1) === 1 &&
      isUndilated(node) &&
      isPaddedByNumbers(node)
    );
  },
  BatchNormalization: ({ outputs }) => outputs.length === 1,
  MaxPool(node) {
    const [height = 0, width = 0] = numbers(node, 'kernel_shape', []);
    return (
      node.outputs.length === 1 &&
      height * width <= LARGEST_WINDOW &&
      (node.attributes['ceil_mode']?.value ?? 0) === 0 &&
      isUndilated(node) &&
      isPaddedByNumbers(node)
    );
  },
  GlobalAveragePool: () => true,
};

function isMap(graph: Graph, name: string): boolean {
  const { type, dims } = valueInfo(graph, name);
  return type === 'float32' && dims.length === 4 && dims.slice(1).every((length) => typeof length === 'number');
}

const isUndilated = (node: Node) => numbers(node, 'dilations', [1, 1]).every((dilation) => dilation === 1);
const isPaddedByNumbers = (node: Node) => (node.attributes['auto_pad']?.value ?? 'NOTSET') === 'NOTSET';

function numbers(node: Node, name: string, otherwise: readonly number[]): readonly number[] {
  const attribute = node.attributes[name];
  return attribute?.kind === 'ints' ? attribute.value : otherwise;
}

/** Strides and pads of a Conv or MaxPool: ONNX's own where the node leaves them out. */
export function windowAttributes(node: Node) {
  return {
    strides: ints(...numbers(node, 'strides', [1, 1])),
    pads: ints(...numbers(node, 'pads', [0, 0, 0, 0])),
  };
}
