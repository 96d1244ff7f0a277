import { type LbfgsResult, minimise, norm } from './lbfgs.ts';
import { type HeadVector, headObjective, type LabelledFeatures } from './objective.ts';
import type { Products } from './products.ts';

export interface FitOptions {
  readonly products: Products;
  readonly classes: number;
  /** See {@link headObjective}. */
  readonly regularisation: number;
  /** Share of the gradient's norm at zero weights at which the fit is done. */
  readonly tolerance: number;
  readonly maxIterations: number;
  /** A head close to the one sought, such as that of a neighbouring regularisation. */
  readonly start?: HeadVector | undefined;
  /** `false` ends the search. */
  readonly onIteration?: (iteration: number, value: number) => boolean;
}

/** The head with the least regularised cost on scaled features. */
export async function fitHead(data: LabelledFeatures, options: FitOptions): Promise<LbfgsResult> {
  const { products, classes, regularisation, tolerance, maxIterations, start, onIteration } = options;
  const { rows, columns: width } = data.features;
  const objective = headObjective(products, data, classes, regularisation);
  // Strong regularisation curves the weights alone; biases counted in larger units keep up, which saves many steps.
  const unit = Math.sqrt(1 + (regularisation / rows) * classes);
  const rescale = (head: HeadVector, factor: number): HeadVector =>
    head.map((value, index) => (index < width * classes ? value : value * factor));
  const evaluate = async (point: HeadVector) => {
    const { value, gradient } = await objective(rescale(point, unit));
    return { value, gradient: rescale(gradient, unit) };
  };
  const untrained = rescale(priorHead(data, classes), 1 / unit);
  const referenceNorm = norm((await evaluate(untrained)).gradient);
  const found = await minimise(evaluate, start ? rescale(start, 1 / unit) : untrained, {
    maxIterations,
    tolerance,
    referenceNorm,
    ...(onIteration && { onIteration }),
  });
  return { ...found, point: rescale(found.point, unit) };
}

/** Zero weights, and biases that give each class its share of the rows; half a row to a class that has none. */
function priorHead({ features, labels }: LabelledFeatures, classes: number): HeadVector {
  const head = new Float64Array((features.columns + 1) * classes);
  const counts = new Float64Array(classes);
  for (const label of labels) counts[label]! += 1;
  for (const [label, count] of counts.entries()) {
    head[features.columns * classes + label] = Math.log(Math.max(count, 0.5) / labels.length);
  }
  return head;
}
