import { MICROSOFT, tensor } from '../graph.ts';
import type { GradientRule } from './rule.ts';

/**
 * In training a share `ratio` of the elements becomes 0 and the rest grows by 1 / (1 - ratio); which ones, says the mask,
 * by which the gradient goes. In inference form, without its third input, the operator passes its input on.
 */
export const dropout: GradientRule = {
  always: true,

  forward(node, graph) {
    const [input, ratio] = node.inputs as [string, string];
    const [output] = node.outputs as [string];
    const training = graph.constant('training', Uint8Array.of(1), []);
    const mask = tensor(`${output}_mask`, 'bool', ...graph.value(input).dims);
    graph.addNode('Dropout', [input, ratio, training], [graph.like(output, input), mask], {
      name: node.name,
      attributes: node.attributes,
    });
  },

  backward({ graph, node, outputGradient, gradientOf }) {
    const [input, ratio] = node.inputs as [string, string];
    const inputs = [outputGradient, `${node.outputs[0]}_mask`, ratio, 'training'];
    graph.add('DropoutGrad', inputs, graph.like(gradientOf(input), input), { domain: MICROSOFT });
  },
};
