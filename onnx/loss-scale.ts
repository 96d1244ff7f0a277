import { type GraphBuilder, int, tensor } from './graph.ts';

/**
 * float32 []: factor on the loss in backpropagation, so that small gradients do not vanish in half precision; what the
 * parameters get is divided by it again. Only in training models of mixed precision.
 */
export const LOSS_SCALE = 'loss_scale';
/** bool [1]: some gradient of this step is infinite or not a number, so that its update must be left out. */
export const OVERFLOW = 'overflow';

const LARGEST_FLOAT = 3.4028234663852886e38;

/** @returns the tensor that backpropagation starts from: `lossGradient`, scaled */
export function addLossScale(graph: GraphBuilder, lossGradient: string): string {
  const scale = graph.input(tensor(LOSS_SCALE, 'float32'));
  return graph.add('Mul', [lossGradient, scale], graph.like('scaled_loss_gradient', scale));
}

/**
 * Takes the scale out of the parameters' gradients, and tells whether all of them are finite.
 *
 * Finite is a sum of squares below the largest float: no number is below it that is infinite or none at all, and the
 * squares of what fits in half precision are far from it.
 *
 * @returns the gradients by parameter, and a flag, bool [1]: whether they are finite
 */
export function addUnscaled(graph: GraphBuilder, gradients: ReadonlyMap<string, string>) {
  const unscaled = new Map<string, string>();
  for (const [parameter, gradient] of gradients) {
    const output = graph.like(`${parameter}_unscaled`, parameter);
    unscaled.set(parameter, graph.add('Div', [gradient, LOSS_SCALE], output));
  }
  const squares = [...unscaled.values()].map((gradient) =>
    graph.add('ReduceSumSquare', [gradient], tensor(`${gradient}_square`, 'float32'), {
      attributes: { keepdims: int(0) },
    }),
  );
  const sum = graph.add('Sum', squares, tensor('unscaled_square', 'float32'));
  const vector = graph.constant('shape_vector', BigInt64Array.of(1n));
  const total = graph.add('Reshape', [sum, vector], tensor('unscaled_square_vector', 'float32', 1));
  const largest = graph.constant('largest_float', Float32Array.of(LARGEST_FLOAT));
  const finite = graph.add('Less', [total, largest], tensor('gradients_finite', 'bool', 1));
  graph.add('Not', [finite], tensor(OVERFLOW, 'bool', 1));
  return { gradients: unscaled, finite };
}
