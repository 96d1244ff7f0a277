import type { GradientRule } from './rule.ts';

/** Both summands, of the same shape, have the sum's gradient. */
export const add: GradientRule = {
  backward({ node, outputGradient, needs, pass }) {
    for (const input of node.inputs) if (needs(input)) pass(input, outputGradient);
  },
};
