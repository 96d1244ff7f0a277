import { BATCH_NORM } from './layers.ts';
import { bytesOf, floatsOf, type Initializer, type Model, type Node } from './model.ts';

/**
 * The same network with every BatchNorm that follows a convolution's output alone worked into the convolution: its factor
 * into the weights, the rest into a bias `<convolution>_bias` [channels]. What comes out differs by rounding.
 *
 * @throws Error when a BatchNorm's parameters are no initializers
 */
export function foldBatchNorms(model: Model): Model {
  const { graph } = model;
  const initializers = new Map(graph.initializers);
  const values = new Map(graph.values);
  const readers = new Map<string, number>();
  for (const name of [...graph.nodes.flatMap(({ inputs }) => inputs), ...graph.outputs.map(({ name }) => name)]) {
    readers.set(name, (readers.get(name) ?? 0) + 1);
  }
  const numbers = (name: string): Float32Array => {
    const found = graph.initializers.get(name);
    if (!found) throw new Error(`graph '${graph.name}' has no initializer '${name}'`);
    return floatsOf(found);
  };
  const convolutions = new Map(
    graph.nodes.filter(({ op }) => op === 'Conv').map((node) => [node.outputs[0] as string, node]),
  );
  const replaced = new Map<Node, Node | undefined>();
  for (const node of graph.nodes) {
    const convolution = convolutions.get(node.inputs[0] ?? '');
    if (node.op !== 'BatchNormalization' || !convolution || readers.get(node.inputs[0] as string) !== 1) continue;
    const [input, weights, bias] = convolution.inputs as [string, string, string?];
    const [scale, offset, mean, variance] = node.inputs.slice(1, 5).map(numbers) as [
      Float32Array,
      Float32Array,
      Float32Array,
      Float32Array,
    ];
    const epsilon = (node.attributes['epsilon']?.value ?? BATCH_NORM.epsilon) as number;
    const factors = Float64Array.from(scale, (value, channel) => value / Math.sqrt(variance[channel]! + epsilon));
    const before = bias ? numbers(bias) : undefined;
    const folded = `${convolution.name}_bias`;
    initializers.set(weights, timesChannels(graph.initializers.get(weights) as Initializer, factors));
    initializers.set(folded, {
      name: folded,
      type: 'float32',
      dims: [factors.length],
      data: bytesOf(
        Float32Array.from(factors, (factor, channel) => {
          return offset[channel]! + ((before?.[channel] ?? 0) - mean[channel]!) * factor;
        }),
      ),
    });
    for (const name of node.inputs.slice(1, 5)) initializers.delete(name);
    values.delete(convolution.outputs[0] as string);
    replaced.set(convolution, { ...convolution, inputs: [input, weights, folded], outputs: node.outputs.slice(0, 1) });
    replaced.set(node, undefined);
  }
  const nodes = graph.nodes.flatMap((node) => (replaced.has(node) ? (replaced.get(node) ?? []) : node));
  return { ...model, graph: { ...graph, nodes, initializers, values } };
}

/** Weights [channels, ...] with each channel times its factor. */
function timesChannels(weights: Initializer, factors: Float64Array): Initializer {
  const values = floatsOf(weights);
  const length = values.length / factors.length;
  const scaled = new Float32Array(values.length);
  for (const [channel, factor] of factors.entries()) {
    for (let at = channel * length; at < (channel + 1) * length; at++) scaled[at] = values[at]! * factor;
  }
  return { ...weights, data: bytesOf(scaled) };
}
