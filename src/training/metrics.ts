/** Index of the largest of `classes` numbers from `offset`; the first of equals. */
export function argmax(values: Float32Array, offset: number, classes: number): number {
  let best = 0;
  for (let index = 1; index < classes; index++) {
    if (values[offset + index]! > values[offset + best]!) best = index;
  }
  return best;
}

/** How many rows of `logits` [labels.length, classes] have their largest value at the label; those of no class never do. */
export function countCorrect(logits: Float32Array, labels: BigInt64Array): number {
  const classes = logits.length / labels.length;
  let correct = 0;
  for (const [row, label] of labels.entries()) {
    if (argmax(logits, row * classes, classes) === Number(label)) correct++;
  }
  return correct;
}

/** A mean of batch means, each by its pictures or their weight: so a small last batch does not count double. */
export class WeightedMean {
  #sum: number;
  #weight: number;

  constructor(sum = 0, weight = 0) {
    this.#sum = sum;
    this.#weight = weight;
  }

  add(mean: number, weight: number): void {
    this.#sum += mean * weight;
    this.#weight += weight;
  }

  get value(): number {
    return this.#sum / this.#weight;
  }

  /** Sum and weight, of which it can be made again. */
  get parts(): [number, number] {
    return [this.#sum, this.#weight];
  }
}
