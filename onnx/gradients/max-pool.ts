import { int, MICROSOFT, tensor } from '../graph.ts';
import type { Node } from '../model.ts';
import type { GradientRule } from './rule.ts';

/**
 * Max-pooling scatters each output's gradient to the place its maximum came from, which the forward node gives as
 * offsets into the whole input. MaxPoolGrad does the same but exists for the CPU alone and trusts the graph's shapes.
 */
export const maxPool: GradientRule = {
  forward(node, graph) {
    const [output] = node.outputs as [string];
    const { dims } = graph.value(output);
    graph.addNode('MaxPool', node.inputs, [graph.value(output), tensor(indices(node), 'int64', ...dims)], {
      name: node.name,
      attributes: node.attributes,
    });
  },

  backward({ graph, node, outputGradient, gradientOf }) {
    const [input] = node.inputs as [string];
    const name = (part: string) => `${node.name}_grad_${part}`;
    const flat = graph.constant('shape_flat', BigInt64Array.of(-1n));
    const flatten = (from: string, part: string, type: 'float32' | 'int64', length: number | string) =>
      graph.add('Reshape', [from, flat], tensor(name(part), type, length));

    const gradients = flatten(outputGradient, 'values', 'float32', name('outputs'));
    const places = flatten(indices(node), 'places', 'int64', name('outputs'));
    const shape = graph.add('Shape', [input], tensor(name('shape'), 'int64', 4));
    const size = graph.add('Size', [input], tensor(name('size'), 'int64'));
    const length = flatten(size, 'length', 'int64', 1);
    const scattered = graph.add(
      'GatherElementsGrad',
      [gradients, length, places],
      tensor(name('scattered'), 'float32', name('inputs')),
      { domain: MICROSOFT, attributes: { axis: int(0) } },
    );
    graph.add('Reshape', [scattered, shape], graph.like(gradientOf(input), input));
  },
};

const indices = (node: Node) => `${node.outputs[0]}_indices`;
