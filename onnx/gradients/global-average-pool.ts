import { int, MICROSOFT, tensor } from '../graph.ts';
import type { GradientRule } from './rule.ts';

/** Every place of the map gets the mean's gradient, divided by the number of places. */
export const globalAveragePool: GradientRule = {
  backward({ graph, node, outputGradient, gradientOf }) {
    const [input] = node.inputs as [string];
    const [, , height, width] = graph.value(input).dims as [unknown, unknown, number, number];
    const count = graph.constant(`${node.name}_grad_count`, Float32Array.of(height * width));
    const shape = graph.add('Shape', [input], tensor(`${node.name}_grad_shape`, 'int64', 4));
    const share = graph.add('Scale', [outputGradient, count], graph.like(`${node.name}_grad_share`, outputGradient), {
      domain: MICROSOFT,
      attributes: { scale_down: int(1) },
    });
    graph.add('Expand', [share, shape], graph.like(gradientOf(input), input));
  },
};
