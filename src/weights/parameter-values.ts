import { OrtuneError } from '../errors.ts';
import type { TensorData } from './element-types.ts';
import { toRowMajor } from './strided.ts';
import type { WeightFile } from './types.ts';

/**
 * A floating-point tensor's values as the float32 values of a parameter.
 * @param source the name in the file
 * @param transpose whether the file keeps the matrix the other way round
 * @throws OrtuneError `WEIGHTS_VALUES` for NaN, an infinity (also a float64 beyond float32) or a negative variance
 */
export async function parameterValues(
  file: WeightFile,
  source: string,
  parameter: string,
  transpose: boolean,
): Promise<Float32Array> {
  const { data, dims } = await file.read(source);
  const values = toFloat32(data);
  const isVariance = parameter.endsWith('_variance');
  const fault = firstOutside(values, isVariance ? 0 : -Number.MAX_VALUE);
  if (fault >= 0) {
    throw new OrtuneError(
      'WEIGHTS_VALUES',
      `${file.path}: tensor '${source}' (${parameter}): expected ${isVariance ? 'variances from 0 up' : 'finite numbers'}, ` +
        `received ${values[fault]} at element ${fault}. The weights are damaged or their training diverged: take others.`,
    );
  }
  return transpose ? transposed(values, dims) : values;
}

/** Index of the first value that is below `lowest` or not finite, or -1. A plain loop: weights have millions of values. */
function firstOutside(values: Float32Array, lowest: number): number {
  for (let index = 0; index < values.length; index++) {
    const value = values[index]!;
    // NaN fails every comparison.
    if (!(value >= lowest && value <= Number.MAX_VALUE)) return index;
  }
  return -1;
}

function toFloat32(data: TensorData): Float32Array<ArrayBuffer> {
  return data instanceof Float32Array ? data : Float32Array.from(data, Number);
}

/** Turns a row-major matrix [rows, columns] into [columns, rows]. */
function transposed(values: Float32Array<ArrayBuffer>, [rows = 0, columns = 0]: readonly number[]): Float32Array {
  const view = { dims: [columns, rows], strides: [1, columns] };
  return new Float32Array(toRowMajor(new Uint8Array(values.buffer), view, 4).buffer);
}
