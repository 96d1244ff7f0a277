import { int } from '../graph.ts';
import { ELEMENT_TYPES } from '../model.ts';
import type { GradientRule } from './rule.ts';

/** To another floating-point type: the gradient goes back to the input's own. */
export const cast: GradientRule = {
  backward({ graph, node, outputGradient, gradientOf }) {
    const [input] = node.inputs as [string];
    const { code } = ELEMENT_TYPES[graph.value(input).type];
    graph.add('Cast', [outputGradient], graph.like(gradientOf(input), input), { attributes: { to: int(code) } });
  },
};
