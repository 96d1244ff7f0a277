import type { HeadVector } from './objective.ts';
import type { Matrix } from './products.ts';

/** Features are taken minus `mean`, [width], divided by `deviation`. */
export interface Scaling {
  readonly mean: Float64Array;
  readonly deviation: number;
}

/**
 * Means of the features, and the root of their mean variance. One deviation for all: with one for each, features that hardly
 * change count as much as those that tell the classes apart, and the head does worse on other pictures.
 */
export function measureScaling({ data, rows, columns }: Matrix): Scaling {
  const mean = new Float64Array(columns);
  for (let place = 0; place < data.length; place++) mean[place % columns]! += data[place]! / rows;
  let squares = 0;
  for (let place = 0; place < data.length; place++) squares += (data[place]! - mean[place % columns]!) ** 2;
  return { mean, deviation: Math.sqrt(squares / data.length) || 1 };
}

/** Some rows, scaled. */
export function scaledRows({ data, columns }: Matrix, rows: ArrayLike<number>, { mean, deviation }: Scaling): Matrix {
  const scaled = new Float32Array(rows.length * columns);
  for (let place = 0; place < rows.length; place++) {
    const from = rows[place]! * columns;
    for (let column = 0; column < columns; column++) {
      scaled[place * columns + column] = (data[from + column]! - mean[column]!) / deviation;
    }
  }
  return { data: scaled, rows: rows.length, columns };
}

/** The head that gives the same logits for features as they are. */
export function unscaledHead(
  head: HeadVector,
  classes: number,
  { mean, deviation }: Scaling,
): { weights: Float32Array; bias: Float32Array } {
  const width = mean.length;
  const weights = new Float32Array(width * classes);
  const bias = Float64Array.from(head.subarray(width * classes));
  for (let column = 0; column < width; column++) {
    for (let index = 0; index < classes; index++) {
      const weight = head[column * classes + index]! / deviation;
      weights[column * classes + index] = weight;
      bias[index]! -= weight * mean[column]!;
    }
  }
  return { weights, bias: Float32Array.from(bias) };
}
