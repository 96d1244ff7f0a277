import { int } from '../graph.ts';
import { ORTUNE } from '../native-update.ts';
import type { GradientRule } from './rule.ts';

/**
 * BatchNorm of channels-last maps, on the batch's statistics or its running ones, with a residual added and Relu behind it
 * where the forward node has them. Without Relu the residual's gradient is the output's, as for Add.
 */
export const nativeBatchNorm: GradientRule = {
  backward({ graph, node, outputGradient, needs, gradientOf, pass }) {
    const [input, scale, offset, , , residual] = node.inputs as [string, string, string, string, string, string?];
    const { live = int(0), relu = int(0) } = node.attributes;
    const [output] = node.outputs as [string];
    const masked = relu.value === 1;
    const gradient = (name: string) => (needs(name) ? graph.like(gradientOf(name), name) : undefined);

    const outputs = [gradient(input), gradient(scale), gradient(offset)];
    if (residual !== undefined && masked) outputs.push(gradient(residual));
    else if (residual !== undefined && needs(residual)) pass(residual, outputGradient);
    if (outputs.every((one) => one === undefined)) return;
    const inputs = [outputGradient, input, scale, ...node.outputs.slice(1), ...(masked ? [output] : [])];
    graph.addNode('BatchNormGradient', inputs, outputs, { domain: ORTUNE, attributes: { live, relu } });
  },
};
