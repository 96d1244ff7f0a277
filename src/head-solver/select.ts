import { fitHead } from './fit.ts';
import { stratifiedFolds } from './folds.ts';
import type { LbfgsResult } from './lbfgs.ts';
import { type HeadVector, type LabelledFeatures, scoreHead } from './objective.ts';
import type { Products } from './products.ts';
import { measureScaling, type Scaling, scaledRows, unscaledHead } from './scaling.ts';
import type { HeadFit, HeadProblem, HeadSolution } from './solve.ts';

/** Regularisation per row, from strong to weak: each fit starts from the one before. */
const GRID = Array.from({ length: 9 }, (_, step) => 10 ** (-step / 2));
/** Fits in a row that are worse on held-out rows than the best one, after which weaker ones are not tried. */
const PATIENCE = 2;
/** Held-out figures settle long before the last digit of the weights does. */
const [ROUGH, FINE] = [2e-3, 3e-4];
const MAX_ITERATIONS = 500;

interface Run {
  readonly products: Products;
  /** `false` when the work is to stop. */
  onFit(fit: HeadFit): boolean;
  goOn(): boolean;
}

/** What a worker computes for `solveHead`. `undefined` when it was stopped. */
export async function solve(problem: HeadProblem, run: Run): Promise<HeadSolution | undefined> {
  const { classes, regularisation: given, tolerance = FINE } = problem;
  const history: HeadFit[] = [];
  const chosen = given !== undefined ? { regularisation: given } : await select(problem, run, history);
  if (!chosen) return undefined;
  const all = labelledRows(problem, (_, row) => row >= 0);
  const fit = await fitHead(all.data, { ...fitOptions(problem, run), ...chosen, tolerance });
  if (!run.goOn()) return undefined;
  const { cost, accuracy } = await scoreHead(run.products, all.data, classes, fit.point);
  return {
    ...unscaledHead(fit.point, classes, all.scaling),
    regularisation: chosen.regularisation,
    history,
    trainCost: cost,
    trainAccuracy: accuracy,
    iterations: fit.iterations,
    converged: fit.converged,
  };
}

/** The regularisation that does best on held-out parts, and a head fitted with it to the others. */
async function select(problem: HeadProblem, run: Run, history: HeadFit[]) {
  const { labels, classes, folds = 5, rounds = 1, seed = 0, groups } = problem;
  const part = stratifiedFolds(labels, folds, seed, groups);
  const starts: (HeadVector | undefined)[] = Array.from({ length: rounds });
  let best: { fit: HeadFit; start: HeadVector | undefined } | undefined;
  let worse = 0;
  for (const perRow of GRID) {
    const regularisation = perRow * labels.length;
    let [cost, accuracy, iterations] = [0, 0, 0];
    for (let round = 0; round < rounds; round++) {
      const fitted = labelledRows(problem, (_, row) => part[row] !== round);
      const held = labelledRows(problem, (_, row) => part[row] === round, fitted.scaling);
      const options = { ...fitOptions(problem, run), regularisation, tolerance: ROUGH, start: starts[round] };
      const fit: LbfgsResult = await fitHead(fitted.data, options);
      if (!run.goOn()) return undefined;
      starts[round] = fit.point;
      const score = await scoreHead(run.products, held.data, classes, fit.point);
      cost += score.cost / rounds;
      accuracy += score.accuracy / rounds;
      iterations += fit.iterations;
    }
    const fit: HeadFit = { regularisation, cost, accuracy, iterations };
    history.push(fit);
    if (!run.onFit(fit)) return undefined;
    worse = best && fit.cost >= best.fit.cost ? worse + 1 : 0;
    if (worse === 0) best = { fit, start: starts[0] };
    if (worse === PATIENCE) break;
  }
  return best && { regularisation: best.fit.regularisation, start: best.start };
}

function fitOptions({ classes }: HeadProblem, { products, goOn }: Run) {
  return { products, classes, maxIterations: MAX_ITERATIONS, onIteration: goOn };
}

/** Some of the rows, scaled by their own measures or by those of others. */
function labelledRows(
  { features, width, labels }: HeadProblem,
  wanted: (label: number, row: number) => boolean,
  scaling?: Scaling,
): { data: LabelledFeatures; scaling: Scaling } {
  const rows = Int32Array.from(labels.keys()).filter((row) => wanted(labels[row]!, row));
  const matrix = { data: features, rows: labels.length, columns: width };
  const unit = { mean: new Float64Array(width), deviation: 1 };
  const measures = scaling ?? measureScaling(scaledRows(matrix, rows, unit));
  return {
    data: { features: scaledRows(matrix, rows, measures), labels: rows.map((row) => labels[row]!) },
    scaling: measures,
  };
}
