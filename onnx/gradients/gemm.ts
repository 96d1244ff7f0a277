import { float, type GraphBuilder, int } from '../graph.ts';
import type { GradientRule } from './rule.ts';

/** Fully connected layer: Y [N, C] = X [N, K] W [K, C] + b [C]. */
export const gemm: GradientRule = {
  backward({ graph, node, outputGradient, needs, gradientOf }) {
    const [input, weights, bias] = node.inputs as [string, string, string];
    const product = (left: string, right: string, transA: number, transB: number, of: string) =>
      multiply(graph, left, right, transA, transB, gradientOf(of), of);
    if (needs(weights)) product(input, outputGradient, 1, 0, weights);
    if (needs(input)) product(outputGradient, weights, 0, 1, input);
    if (needs(bias)) {
      const axes = graph.constant('axes_batch', BigInt64Array.of(0n));
      graph.add('ReduceSum', [outputGradient, axes], graph.like(gradientOf(bias), bias), {
        attributes: { keepdims: int(0) },
      });
    }
  },
};

function multiply(
  graph: GraphBuilder,
  left: string,
  right: string,
  transA: number,
  transB: number,
  output: string,
  like: string,
): void {
  graph.add('Gemm', [left, right], graph.like(output, like), {
    attributes: { alpha: float(1), beta: float(0), transA: int(transA), transB: int(transB) },
  });
}
