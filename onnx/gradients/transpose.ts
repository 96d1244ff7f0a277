import { ints } from '../graph.ts';
import type { GradientRule } from './rule.ts';

/** The axes put back in their old order. */
export const transpose: GradientRule = {
  backward({ graph, node, outputGradient, gradientOf }) {
    const [input] = node.inputs as [string];
    const perm = node.attributes['perm']?.value as readonly number[];
    graph.add('Transpose', [outputGradient], graph.like(gradientOf(input), input), {
      attributes: { perm: ints(...perm.map((_, axis) => perm.indexOf(axis))) },
    });
  },
};
