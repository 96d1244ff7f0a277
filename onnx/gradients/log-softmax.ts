import { int } from '../graph.ts';
import type { GradientRule } from './rule.ts';

/** Over the last axis of [batch, classes]: dX = dY - softmax(X) * sum(dY). */
export const logSoftmax: GradientRule = {
  backward({ graph, node, outputGradient, gradientOf }) {
    const [input] = node.inputs as [string];
    const [output] = node.outputs as [string];
    const name = (part: string) => `${node.name}_grad_${part}`;
    const { type, dims } = graph.value(input);
    const axes = graph.constant('axes_classes', BigInt64Array.of(1n));
    const sums = { name: name('sums'), type, dims: [dims[0] ?? 'batch', 1] };
    graph.add('ReduceSum', [outputGradient, axes], sums, { attributes: { keepdims: int(1) } });
    const softmax = graph.add('Exp', [output], graph.like(name('softmax'), input));
    const shares = graph.add('Mul', [softmax, sums.name], graph.like(name('shares'), input));
    graph.add('Sub', [outputGradient, shares], graph.like(gradientOf(input), input));
  },
};
