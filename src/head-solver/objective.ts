import type { Evaluated } from './lbfgs.ts';
import type { Matrix, Products } from './products.ts';

/** Features with their labels. */
export interface LabelledFeatures {
  readonly features: Matrix;
  /** Index of each row's class. */
  readonly labels: Int32Array;
}

/** A linear classifier's parameters in one vector: weights [width, classes], then biases [classes]. */
export type HeadVector = Float64Array;

/**
 * Multinomial logistic regression: the rows' cross-entropies, summed, plus `regularisation` / 2 times the squared norm of
 * the weights (not of the biases), all divided by the number of rows. scikit-learn's LogisticRegression has the same
 * minimum at C = 1 / `regularisation`.
 *
 * Products are in float32, sums over rows in double precision.
 */
export function headObjective(
  products: Products,
  { features, labels }: LabelledFeatures,
  classes: number,
  regularisation: number,
): (head: HeadVector) => Promise<Evaluated> {
  const { rows, columns: width } = features;
  return async (head) => {
    const logits = await logitsOf(products, features, head, classes);
    const biasGradient = new Float64Array(classes);
    let cost = 0;
    for (let row = 0; row < rows; row++) {
      const own = logits.subarray(row * classes, (row + 1) * classes);
      const label = labels[row]!;
      const { largest, sum } = exponentials(own);
      cost += Math.log(sum) + largest - own[label]!;
      for (let index = 0; index < classes; index++) {
        const residual = Math.exp(own[index]! - largest) / sum - (index === label ? 1 : 0);
        own[index] = residual;
        biasGradient[index]! += residual;
      }
    }
    const weightGradient = await products.backward(features, { data: logits, rows, columns: classes });
    const gradient = new Float64Array(head.length);
    let squares = 0;
    for (let index = 0; index < width * classes; index++) {
      const weight = head[index]!;
      squares += weight * weight;
      gradient[index] = (weightGradient[index]! + regularisation * weight) / rows;
    }
    for (let index = 0; index < classes; index++) gradient[width * classes + index] = biasGradient[index]! / rows;
    return { value: (cost + (regularisation / 2) * squares) / rows, gradient };
  };
}

/** Mean cross-entropy and share of right answers, without regularisation. */
export async function scoreHead(
  products: Products,
  { features, labels }: LabelledFeatures,
  classes: number,
  head: HeadVector,
): Promise<{ cost: number; accuracy: number }> {
  const logits = await logitsOf(products, features, head, classes);
  let cost = 0;
  let correct = 0;
  for (let row = 0; row < features.rows; row++) {
    const own = logits.subarray(row * classes, (row + 1) * classes);
    const label = labels[row]!;
    const { largest, sum } = exponentials(own);
    cost += Math.log(sum) + largest - own[label]!;
    if (own.indexOf(largest) === label) correct++;
  }
  return { cost: cost / features.rows, accuracy: correct / features.rows };
}

async function logitsOf(products: Products, features: Matrix, head: HeadVector, classes: number) {
  const size = features.columns * classes;
  const weights = { data: Float32Array.from(head.subarray(0, size)), rows: features.columns, columns: classes };
  const logits = await products.forward(features, weights);
  for (let row = 0; row < features.rows; row++) {
    for (let index = 0; index < classes; index++) logits[row * classes + index]! += head[size + index]!;
  }
  return logits;
}

/** The largest logit, and the sum of the exponentials of all minus it. */
function exponentials(logits: Float32Array): { largest: number; sum: number } {
  let largest = logits[0]!;
  for (let index = 1; index < logits.length; index++) if (logits[index]! > largest) largest = logits[index]!;
  let sum = 0;
  for (let index = 0; index < logits.length; index++) sum += Math.exp(logits[index]! - largest);
  return { largest, sum };
}
