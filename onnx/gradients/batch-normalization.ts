import { float, type GraphBuilder, int, MICROSOFT, tensor } from '../graph.ts';
import type { Attribute, Node } from '../model.ts';
import type { Backward, GradientRule } from './rule.ts';

const epsilonOf = (node: Node): Attribute => node.attributes['epsilon'] ?? float(1e-5);

/**
 * BatchNorm on the batch's own statistics. The kernel aliases its running statistics' outputs to the inputs, so the
 * checkpoint's own values move in place with each step. All five outputs must have names: an omitted one crashes the library.
 */
export const liveBatchNormalization: GradientRule = {
  always: true,

  forward(node, graph) {
    const [input, , , mean, variance] = node.inputs as [string, string, string, string, string];
    const [output] = node.outputs as [string];
    graph.addNode(
      'BatchNormInternal',
      node.inputs,
      [
        graph.like(output, input),
        graph.like(`${output}_running_mean`, mean),
        graph.like(`${output}_running_variance`, variance),
        graph.like(`${output}_saved_mean`, mean),
        graph.like(`${output}_saved_inverse_deviation`, mean),
      ],
      {
        name: node.name,
        domain: MICROSOFT,
        attributes: {
          epsilon: epsilonOf(node),
          momentum: node.attributes['momentum'] ?? float(0.9),
          training_mode: int(1),
        },
      },
    );
  },

  backward({ graph, node, outputGradient, needs, gradientOf }) {
    const [input, scale, offset] = node.inputs as [string, string, string];
    const [output] = node.outputs as [string];
    // BatchNormalizationGrad has no optional outputs: those that nobody wants still get a name.
    const name = (of: string) => (needs(of) ? gradientOf(of) : `${node.name}_unused_${of}`);
    graph.addNode(
      'BatchNormalizationGrad',
      [outputGradient, input, scale, `${output}_saved_mean`, `${output}_saved_inverse_deviation`],
      [graph.like(name(input), input), graph.like(name(scale), scale), graph.like(name(offset), offset)],
      { domain: MICROSOFT, attributes: { epsilon: epsilonOf(node) } },
    );
  },
};

/**
 * BatchNorm on its running statistics, which stay as they are: y = scale * (x - mean) / sqrt(variance + epsilon) + offset,
 * an affine map of each channel. No operator has this gradient (BatchNormalizationGrad would subtract the batch-mean
 * terms), so it is written out.
 */
export const frozenBatchNormalization: GradientRule = {
  backward(step) {
    const { graph, node, outputGradient, needs, gradientOf } = step;
    const [input, scale, offset, mean] = node.inputs as [string, string, string, string, string];
    if (needs(input)) {
      const factor = graph.add('Div', [scale, deviation(step)], graph.like(`${node.name}_factor`, scale));
      graph.add('Mul', [outputGradient, perChannel(graph, factor)], graph.like(gradientOf(input), input));
    }
    if (needs(offset)) sumOverChannel(graph, outputGradient, gradientOf(offset), offset);
    if (needs(scale)) {
      const centred = graph.add('Sub', [input, perChannel(graph, mean)], graph.like(`${node.name}_centred`, input));
      const product = graph.add('Mul', [centred, outputGradient], graph.like(`${node.name}_product`, input));
      const sum = sumOverChannel(graph, product, `${node.name}_product_sum`, scale);
      graph.add('Div', [sum, deviation(step)], graph.like(gradientOf(scale), scale));
    }
  },
};

/** sqrt(variance + epsilon), [channels]; made once for a node however many gradients use it. */
function deviation({ graph, node }: Backward): string {
  const variance = node.inputs[4] as string;
  const name = `${node.name}_deviation`;
  if (!graph.has(name)) {
    const epsilon = graph.constant(`${node.name}_epsilon`, Float32Array.of(epsilonOf(node).value as number));
    const shifted = graph.add('Add', [variance, epsilon], graph.like(`${node.name}_shifted`, variance));
    graph.add('Sqrt', [shifted], graph.like(name, variance));
  }
  return name;
}

/** [channels] to [channels, 1, 1], to be broadcast over a map. */
function perChannel(graph: GraphBuilder, vector: string): string {
  const { type, dims } = graph.value(vector);
  const axes = graph.constant('axes_map', BigInt64Array.of(1n, 2n));
  return graph.add('Unsqueeze', [vector, axes], tensor(`${vector}_map`, type, ...dims, 1, 1));
}

function sumOverChannel(graph: GraphBuilder, map: string, output: string, like: string): string {
  const axes = graph.constant('axes_batch_map', BigInt64Array.of(0n, 2n, 3n));
  return graph.add('ReduceSum', [map, axes], graph.like(output, like), { attributes: { keepdims: int(0) } });
}
