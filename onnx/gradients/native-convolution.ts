import { tensor } from '../graph.ts';
import type { Node } from '../model.ts';
import { bufferOf, flagOf, RESET_FLAG } from '../names.ts';
import { ORTUNE } from '../native-update.ts';
import { sizeOf } from './native-pooling.ts';
import type { GradientRule } from './rule.ts';

/**
 * Convolution of channels-last maps. The weights' gradient goes into their buffer at once, and the input's on top of what
 * another reader of the input, as the shortcut of a residual block, has given it.
 *
 * An input made by BatchNorm and Relu is made again, out of the BatchNorm's own input: that is kept for the BatchNorm's
 * gradient, and two maps of a layer would take twice the memory.
 */
export const nativeConvolution: GradientRule = {
  backward({ graph, node, outputGradient, needs, gradientOf, takePart, accumulates }) {
    const [input, weights] = node.inputs as [string, string];
    // ONNX Runtime would leave the weights' gradients to the end, and keep all maps' gradients until then.
    let before: string | undefined;
    if (needs(weights)) {
      const [kept, ...remaking] = withoutBatchNorm(input, graph.maker(input));
      const inputs = [kept, outputGradient, bufferOf(weights), RESET_FLAG, ...remaking];
      before = graph.add('ConvolutionWeightGradient', inputs, tensor(flagOf(weights), 'bool', 1), {
        domain: ORTUNE,
        attributes: node.attributes,
      });
      accumulates(weights, before);
    }
    if (needs(input)) {
      const part = takePart(input);
      const inputs = [outputGradient, weights, part ?? '', ...(before === undefined ? [] : [before])];
      graph.add('ConvolutionInputGradient', inputs, graph.like(gradientOf(input), input), {
        domain: ORTUNE,
        attributes: { ...node.attributes, size: sizeOf(graph, input) },
      });
    }
  },
};

/** What a convolution's input is made from: itself, or a map and a BatchNorm's scale, offset, mean and inverse deviation. */
export function withoutBatchNorm(input: string, maker: Node | undefined): readonly [string, ...string[]] {
  if (maker?.op !== 'BatchNorm' || maker.attributes['relu']?.value !== 1 || maker.inputs.length > 5) return [input];
  const [before, scale, offset] = maker.inputs as [string, string, string];
  return [before, scale, offset, ...maker.outputs.slice(1)];
}
