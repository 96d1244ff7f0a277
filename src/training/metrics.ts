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

/** A mean over pictures, fed batch by batch: unlike a mean of batch means, a small last batch does not count double. */
export class PictureMean {
  #sum = 0;
  #count = 0;

  add(mean: number, size: number): void {
    this.#sum += mean * size;
    this.#count += size;
  }

  get value(): number {
    return this.#sum / this.#count;
  }
}
