import { tensor } from '../graph.ts';
import { bufferOf, flagOf, RESET_FLAG } from '../names.ts';
import { ORTUNE } from '../native-update.ts';
import { sizeOf } from './native-pooling.ts';
import type { GradientRule } from './rule.ts';

/**
 * Convolution of channels-last maps. The weights' gradient goes into their buffer at once, and the input's on top of what
 * another reader of the input, as the shortcut of a residual block, has given it.
 */
export const nativeConvolution: GradientRule = {
  backward({ graph, node, outputGradient, needs, gradientOf, takePart, accumulates }) {
    const [input, weights] = node.inputs as [string, string];
    if (needs(weights)) {
      const inputs = [input, outputGradient, bufferOf(weights), RESET_FLAG];
      const done = graph.add('ConvolutionWeightGradient', inputs, tensor(flagOf(weights), 'bool', 1), {
        domain: ORTUNE,
        attributes: node.attributes,
      });
      accumulates(weights, done);
    }
    if (needs(input)) {
      const part = takePart(input);
      const inputs = [outputGradient, weights, ...(part === undefined ? [] : [part])];
      graph.add('ConvolutionInputGradient', inputs, graph.like(gradientOf(input), input), {
        domain: ORTUNE,
        attributes: { ...node.attributes, size: sizeOf(graph, input) },
      });
    }
  },
};
