/** How a model does on one class. Shares are from 0 to 1. */
export interface ClassResult {
  readonly name: string;
  /** Pictures of the class. */
  readonly support: number;
  /** Pictures predicted as it. */
  readonly predicted: number;
  /** Pictures that are both. */
  readonly correct: number;
  /** correct / predicted; `null` when it was never predicted. */
  readonly precision: number | null;
  /** correct / support; `null` when it has no picture. */
  readonly recall: number | null;
  /** Harmonic mean of both, 2 correct / (predicted + support); `null` when there is neither. */
  readonly f1: number | null;
}

/**
 * Precision, recall and F1 of each class, as scikit-learn's precision_recall_fscore_support with `zero_division=nan`: what
 * has no value is `null`, not 0.
 *
 * @param confusion counts [label, predicted], row by row
 * @param support pictures of each label: more than the row's sum where some were predicted as nothing
 */
export function classResults(names: readonly string[], confusion: Uint32Array, support: Uint32Array): ClassResult[] {
  const size = names.length;
  const predicted = new Float64Array(size);
  for (const [place, count] of confusion.entries()) predicted[place % size]! += count;
  const share = (part: number, whole: number) => (whole > 0 ? part / whole : null);
  return names.map((name, label) => {
    const correct = confusion[label * size + label]!;
    const [own, given] = [support[label]!, predicted[label]!];
    return {
      name,
      support: own,
      predicted: given,
      correct,
      precision: share(correct, given),
      recall: share(correct, own),
      f1: share(2 * correct, own + given),
    };
  });
}

/** Mean of the values that are there; `null` when none is. */
export function mean(values: readonly (number | null)[]): number | null {
  const there = values.filter((value) => value !== null);
  return there.length > 0 ? there.reduce((sum, value) => sum + value, 0) / there.length : null;
}
