import { byteLength, type StoredType } from './element-types.ts';
import { PickleGlobal, PickleObject } from './pickle.ts';
import { columnMajorStrides, rowMajorStrides, type StridedView } from './strided.ts';
import { describe, isCounts } from './weight-source.ts';

/** numpy's type strings, without the byte order. */
const NUMPY_TYPES: ReadonlyMap<string, StoredType> = new Map([
  ['f4', 'float32'],
  ['f2', 'float16'],
  ['f8', 'float64'],
  ['i1', 'int8'],
  ['u1', 'uint8'],
  ['i2', 'int16'],
  ['u2', 'uint16'],
  ['i4', 'int32'],
  ['i8', 'int64'],
  ['b1', 'bool'],
]);

class NumpyType extends PickleObject {
  readonly type: StoredType;

  constructor(text: unknown) {
    super();
    const type = NUMPY_TYPES.get(typeof text === 'string' ? text : '');
    if (!type)
      throw new TypeError(
        `expected one of the numpy types ${[...NUMPY_TYPES.keys()].join(', ')}, received ${describe(text)}`,
      );
    this.type = type;
  }

  /** The state: version, byte order, and what only structured types have. */
  override setState(state: unknown): void {
    const order = Array.isArray(state) ? state[1] : undefined;
    if (order !== '<' && order !== '|')
      throw new TypeError(`expected a little-endian numpy type, received order ${describe(order)}`);
  }
}

/** A numpy array as its pickle describes it: empty until its state comes. */
export class NumpyArray extends PickleObject {
  type: StoredType = 'float32';
  view: StridedView = { dims: [0], strides: [1] };
  data: Uint8Array = new Uint8Array();

  /** The state: version, shape, type, whether column-major, and the bytes. */
  override setState(state: unknown): void {
    const [, dims, type, columnMajor, data] = Array.isArray(state) ? state : [];
    if (!(isCounts(dims) && type instanceof NumpyType && data instanceof Uint8Array)) {
      throw new TypeError('expected a numpy array of numbers: shape, type and bytes');
    }
    const expected = byteLength(type.type, dims, 'numpy array');
    if (data.length !== expected)
      throw new RangeError(`expected ${expected} bytes for [${dims.join(', ')}], received ${data.length}`);
    this.type = type.type;
    this.view = { dims, strides: columnMajor ? columnMajorStrides(dims) : rowMajorStrides(dims) };
    this.data = data;
  }
}

/** What a pickle of numpy arrays may name; numpy 2 moved its inner modules. */
export const NUMPY_GLOBALS: readonly PickleGlobal[] = [
  new PickleGlobal('numpy.ndarray'),
  new PickleGlobal('numpy.dtype', (text) => new NumpyType(text)),
  new PickleGlobal('numpy.core.multiarray._reconstruct', () => new NumpyArray()),
  new PickleGlobal('numpy._core.multiarray._reconstruct', () => new NumpyArray()),
];
