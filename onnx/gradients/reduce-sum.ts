import { tensor } from '../graph.ts';
import type { GradientRule } from './rule.ts';

/** The sum of all elements: each has the sum's gradient. */
export const reduceSum: GradientRule = {
  backward({ graph, node, outputGradient, gradientOf }) {
    const [input] = node.inputs as [string];
    const rank = graph.value(input).dims.length;
    const shape = graph.add('Shape', [input], tensor(`${node.name}_grad_shape`, 'int64', rank));
    graph.add('Expand', [outputGradient, shape], graph.like(gradientOf(input), input));
  },
};
