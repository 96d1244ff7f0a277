import { tensor } from '../graph.ts';
import type { GradientRule } from './rule.ts';

/** The gradient in the input's shape again. */
export const flatten: GradientRule = {
  backward({ graph, node, outputGradient, gradientOf }) {
    const [input] = node.inputs as [string];
    const rank = graph.value(input).dims.length;
    const shape = graph.add('Shape', [input], tensor(`${node.name}_grad_shape`, 'int64', rank));
    graph.add('Reshape', [outputGradient, shape], graph.like(gradientOf(input), input));
  },
};
