import { isDeepStrictEqual } from 'node:util';
import { type Tail, tailsOf } from './fused-batch-norm.ts';
import { float, GraphBuilder, int, ints, tensor, valueInfo } from './graph.ts';
import { BATCH_NORM } from './layers.ts';
import type { Dimension, ElementType, Graph, Node } from './model.ts';
import { hasNativeForm, windowAttributes } from './native-layers.ts';
import { ORTUNE } from './native-update.ts';

/** Orders of a map's axes, as Transpose takes them: from [batch, channels, H, W] to [batch, H, W, channels] and back. */
export const TO_CHANNELS_LAST: readonly number[] = [0, 2, 3, 1];
export const TO_CHANNELS_FIRST: readonly number[] = [0, 3, 1, 2];

/** Operators that give each element by the elements of its own place: they take maps in either order. */
const LAYOUT_BLIND: ReadonlySet<string> = new Set(['Add', 'Relu']);

export interface LayerOptions {
  /** Whether a BatchNorm, by its node's name, is to train on the batch's statistics. */
  readonly isLive: (batchNorm: string) => boolean;
  /** Whether convolutions do without Winograd's algorithm, which saves multiplications and rounds a little more. */
  readonly exact: boolean;
  /**
   * `bf16`: what the addon's operators pass on to each other are bfloat16 maps, half the memory. They compute in float32, and
   * whatever has another reader is cast.
   */
  readonly precision: 'fp32' | 'bf16';
}

/**
 * The same forward graph, for training, with its convolutions, BatchNorms and pooling by the addon's operators, on maps
 * declared as what they are: [batch, H, W, channels]. A BatchNorm keeps its node's name and takes in the Add and the Relu
 * behind it. Inputs, outputs, none of which may be a map, and initializers stay as they are. So do nodes that the addon has
 * no operator for, on maps that are transposed for them.
 */
export function toChannelsLast(graph: Graph, { isLive, exact, precision }: LayerOptions): Graph {
  const builder = new GraphBuilder(graph.name);
  for (const input of graph.inputs) builder.input(input);
  for (const initializer of graph.initializers.values()) builder.initializer(initializer);
  for (const value of [...graph.values.values(), ...graph.outputs]) builder.declare(value);

  const element = precision === 'bf16' ? 'bfloat16' : 'float32';
  const turned = new Set<string>();
  const transposed = (name: string, order: readonly number[], output: string): string => {
    if (builder.has(output)) return output;
    const { type, dims } = builder.value(name);
    const value = { name: output, type, dims: inOrder(dims, order) };
    return builder.add('Transpose', [name], value, { attributes: { perm: ints(...order) } });
  };
  /** A tensor channels-last, float32 for operators of ONNX Runtime's. */
  const last = (name: string, type: ElementType = element) =>
    builder.cast(turned.has(name) ? name : transposed(name, TO_CHANNELS_LAST, `${name}_channels_last`), type);
  const first = (name: string) => {
    if (!turned.has(name)) return name;
    return transposed(builder.cast(name, 'float32'), TO_CHANNELS_FIRST, `${name}_channels_first`);
  };
  /** A tensor of the graph that is now made channels-last. */
  const map = (name: string, type: ElementType = element) => {
    turned.add(name);
    return { name, type, dims: inOrder(valueInfo(graph, name).dims, TO_CHANNELS_LAST) };
  };

  const layers: Readonly<Record<string, (node: Node, tail: Tail | undefined) => void>> = {
    Conv(node) {
      const [input, weights, output] = [...node.inputs, ...node.outputs] as [string, string, string];
      const attributes = { ...windowAttributes(node), exact: int(Number(exact)) };
      builder.addNode('Convolution', [last(input), weights], [map(output)], native(node, attributes));
    },
    BatchNormalization(node, tail) {
      const { residual, relu, output } = tail as Tail;
      const [input, scale, offset, mean, variance] = node.inputs as [string, string, string, string, string];
      const inputs = [last(input), scale, offset, mean, variance, ...(residual === undefined ? [] : [last(residual)])];
      const saved = (name: string) => builder.like(`${output}_${name}`, mean);
      const attributes = {
        live: int(Number(isLive(node.name))),
        relu: int(Number(relu)),
        epsilon: node.attributes['epsilon'] ?? float(BATCH_NORM.epsilon),
        momentum: node.attributes['momentum'] ?? float(BATCH_NORM.momentum),
      };
      const outputs = [map(output), saved('saved_mean'), saved('saved_inverse_deviation')];
      builder.addNode('BatchNorm', inputs, outputs, native(node, attributes));
    },
    MaxPool(node) {
      const [input, output] = [...node.inputs, ...node.outputs] as [string, string];
      const pooled = map(output);
      const attributes = { kernel_shape: node.attributes['kernel_shape'] ?? ints(), ...windowAttributes(node) };
      const places = tensor(`${output}_places`, 'uint8', ...pooled.dims);
      builder.addNode('MaxPool', [last(input)], [pooled, places], native(node, attributes));
    },
    GlobalAveragePool(node) {
      const [input, output] = [...node.inputs, ...node.outputs] as [string, string];
      builder.addNode('GlobalAveragePool', [last(input)], [valueInfo(graph, output)], native(node));
    },
  };

  const converted = graph.nodes.filter((node) => hasNativeForm(node, graph));
  const batchNorms = converted.filter(({ op }) => op === 'BatchNormalization');
  const tails = tailsOf(graph, batchNorms);
  const fused = new Set([...tails.values()].flatMap(({ nodes }) => nodes));
  const isConverted = new Set(converted);
  for (const node of graph.nodes) {
    if (fused.has(node)) continue;
    if (isConverted.has(node)) {
      layers[node.op]?.(node, tails.get(node));
    } else if (isLayoutBlind(node, graph) && node.inputs.some((name) => turned.has(name))) {
      const inputs = node.inputs.map((name) => last(name, 'float32'));
      for (const name of node.outputs) builder.declare(map(name, 'float32'));
      builder.copy({ ...node, inputs });
    } else {
      builder.copy({ ...node, inputs: node.inputs.map(first) });
    }
  }
  for (const { name } of graph.outputs) builder.output(name);
  return builder.build();
}

const native = ({ name }: Node, attributes: Node['attributes'] = {}) => ({ name, domain: ORTUNE, attributes });

const inOrder = (dims: readonly Dimension[], order: readonly number[]) => order.map((axis) => dims[axis] as Dimension);

/** Not an Add that broadcasts: which axis it does so along is a matter of layout. */
function isLayoutBlind({ op, domain, inputs, outputs }: Node, graph: Graph): boolean {
  if (domain !== '' || !LAYOUT_BLIND.has(op)) return false;
  const { dims } = valueInfo(graph, outputs[0] as string);
  return inputs.every((name) => isDeepStrictEqual(valueInfo(graph, name).dims, dims));
}
