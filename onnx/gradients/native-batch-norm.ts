import { int } from '../graph.ts';
import { ORTUNE } from '../native-update.ts';
import type { GradientRule } from './rule.ts';

/**
 * BatchNorm of channels-last maps, on the batch's statistics or its running ones, with a residual added and Relu behind it
 * where the forward node has them. Without Relu the residual's gradient is the output's, as for Add. Without a residual the
 * operator knows by its input what Relu let through, so that its output need not be kept.
 */
export const nativeBatchNorm: GradientRule = {
  backward({ graph, node, outputGradient, needs, gradientOf, pass }) {
    const [input, scale, offset, , , residual] = node.inputs as [string, string, string, string, string, string?];
    const { live = int(0), relu = int(0) } = node.attributes;
    const [output] = node.outputs as [string];
    const masked = relu.value === 1;
    const gradient = (name: string) => (needs(name) ? graph.like(gradientOf(name), name) : undefined);

    const outputs = [gradient(input), gradient(scale), gradient(offset)];
    const inputs = [outputGradient, input, scale, offset, ...node.outputs.slice(1)];
    if (residual !== undefined && masked) {
      // The operator masks the output's gradient there, whether or not the residual wants it.
      outputs.push(gradient(residual) ?? graph.like(`${outputGradient}_masked`, residual));
      inputs.push(output);
    } else if (residual !== undefined && needs(residual)) pass(residual, outputGradient);
    if (![input, scale, offset, residual ?? ''].some(needs)) return;
    graph.addNode('BatchNormGradient', inputs, outputs, { domain: ORTUNE, attributes: { live, relu } });
  },
};
