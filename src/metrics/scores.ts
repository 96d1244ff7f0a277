/**
 * What a model said of one picture, from its row of scores. Of equal scores the first class goes before, as in numpy's
 * and scikit-learn's argmax.
 */
export interface RowResult {
  /** Class with the largest score. */
  readonly predicted: number;
  /** Its probability. */
  readonly confidence: number;
  /** The label's probability. */
  readonly probability: number;
  /** Negative logarithm of that. */
  readonly cost: number;
  /** How many classes go before the label: 0 when it is the predicted one. */
  readonly rank: number;
}

/** Probabilities below are taken for this in the cost, as in scikit-learn's log_loss of float32: 2^-23. */
const LEAST_PROBABILITY = 2 ** -23;

/**
 * @param scores one picture's, [classes]
 * @param label index of its class
 * @param kind `'logits'` go through a softmax in double precision
 * @returns `undefined` when a score is not finite
 */
export function readRow(scores: Float32Array, label: number, kind: 'probabilities' | 'logits'): RowResult | undefined {
  let predicted = 0;
  for (let index = 0; index < scores.length; index++) {
    if (!Number.isFinite(scores[index]!)) return undefined;
    if (scores[index]! > scores[predicted]!) predicted = index;
  }
  const own = scores[label]!;
  let rank = 0;
  for (let index = 0; index < scores.length; index++) {
    if (scores[index]! > own || (scores[index] === own && index < label)) rank++;
  }
  const top = scores[predicted]!;
  if (kind === 'probabilities') {
    return { predicted, confidence: top, probability: own, cost: -Math.log(Math.max(own, LEAST_PROBABILITY)), rank };
  }
  let sum = 0;
  for (const score of scores) sum += Math.exp(score - top);
  const cost = Math.log(sum) + top - own;
  return { predicted, confidence: 1 / sum, probability: Math.exp(-cost), cost, rank };
}
