import { MICROSOFT } from '../graph.ts';
import type { GradientRule } from './rule.ts';

/**
 * Conv without bias. ConvGrad takes the forward node's attributes as they are: with one missing it does not fail but
 * computes wrong gradients.
 */
export const convolution: GradientRule = {
  backward({ graph, node, outputGradient, needs, gradientOf }) {
    const [input, weights] = node.inputs as [string, string];
    const output = (name: string) => (needs(name) ? graph.like(gradientOf(name), name) : undefined);
    graph.addNode('ConvGrad', [outputGradient, input, weights], [output(input), output(weights)], {
      domain: MICROSOFT,
      attributes: node.attributes,
    });
  },
};
