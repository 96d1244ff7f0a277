import { MICROSOFT } from '../graph.ts';
import type { GradientRule } from './rule.ts';

/** The output serves as the mask: it is kept for the next convolution anyway, the input is not. */
export const relu: GradientRule = {
  backward({ graph, node, outputGradient, gradientOf }) {
    const [input] = node.inputs as [string];
    const [output] = node.outputs as [string];
    graph.add('ReluGrad', [outputGradient, output], graph.like(gradientOf(input), input), {
      domain: MICROSOFT,
    });
  },
};
