import type { GradientRule } from './rule.ts';

/** Product of two tensors of one shape. */
export const mul: GradientRule = {
  backward({ graph, node, outputGradient, needs, gradientOf }) {
    const [left, right] = node.inputs as [string, string];
    const product = (of: string, other: string) => {
      if (needs(of)) graph.add('Mul', [outputGradient, other], graph.like(gradientOf(of), of));
    };
    product(left, right);
    product(right, left);
  },
};
