/** A view of an array: element (i, j, ...) lies at `i * strides[0] + j * strides[1] + ...`. */
export interface StridedView {
  readonly dims: readonly number[];
  /** In elements. */
  readonly strides: readonly number[];
}

/** Strides of a row-major array, in elements. */
export function rowMajorStrides(dims: readonly number[]): number[] {
  const strides: number[] = [];
  let step = 1;
  for (const length of dims.toReversed()) {
    strides.unshift(step);
    step *= length;
  }
  return strides;
}

/** Strides of a column-major (Fortran) array, in elements. */
export function columnMajorStrides(dims: readonly number[]): number[] {
  return rowMajorStrides(dims.toReversed()).reverse();
}

/** Number of elements from the view's first to its last, both included; 0 for a view without elements. */
export function extent({ dims, strides }: StridedView): number {
  if (dims.includes(0)) return 0;
  return dims.reduce((sum, length, axis) => sum + (length - 1) * strides[axis]!, 1);
}

/** Whether the view's elements already lie in row-major order without gaps; a stride over one element says nothing. */
export function isRowMajor({ dims, strides }: StridedView): boolean {
  const expected = rowMajorStrides(dims);
  return dims.includes(0) || dims.every((length, axis) => length === 1 || strides[axis] === expected[axis]);
}

/**
 * Copies a view's elements into row-major order.
 * @param source bytes from the view's first element to its last
 * @param elementBytes size of one element
 */
export function toRowMajor(source: Uint8Array, view: StridedView, elementBytes: number): Uint8Array {
  if (isRowMajor(view)) return source;
  const { dims, strides } = view;
  const count = dims.reduce((product, length) => product * length, 1);
  const result = new Uint8Array(count * elementBytes);
  const index = dims.map(() => 0);
  let from = 0;
  for (let element = 0; element < count; element++) {
    for (let byte = 0; byte < elementBytes; byte++) {
      result[element * elementBytes + byte] = source[from * elementBytes + byte]!;
    }
    // Count the index up as an odometer, moving `from` along.
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      from += strides[axis]!;
      index[axis]!++;
      if (index[axis]! < dims[axis]!) break;
      from -= index[axis]! * strides[axis]!;
      index[axis] = 0;
    }
  }
  return result;
}
