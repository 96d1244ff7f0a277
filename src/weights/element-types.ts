import { OrtuneError } from '../errors.ts';

/** Element types that the formats share, under ONNX's names. */
export type StoredType = keyof typeof STORED_TYPES;

/** Elements of a tensor, in their own array. */
export type TensorData =
  | Float32Array<ArrayBuffer>
  | Float64Array<ArrayBuffer>
  | Int8Array<ArrayBuffer>
  | Uint8Array<ArrayBuffer>
  | Int16Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | BigInt64Array<ArrayBuffer>
  | BigUint64Array<ArrayBuffer>;

interface TypeRule {
  readonly bytes: number;
  readonly floating: boolean;
  /** Reads little-endian bytes; every platform that ortune runs on is little-endian, so a typed array will do. */
  readonly decode: (buffer: ArrayBuffer) => TensorData;
}

/** Size in bytes and decoder of every element type that a weights file may hold. */
export const STORED_TYPES = {
  float32: { bytes: 4, floating: true, decode: (buffer) => new Float32Array(buffer) },
  float16: { bytes: 2, floating: true, decode: (buffer) => widenFloat16(new Uint16Array(buffer)) },
  bfloat16: { bytes: 2, floating: true, decode: (buffer) => widenBfloat16(new Uint16Array(buffer)) },
  float64: { bytes: 8, floating: true, decode: (buffer) => new Float64Array(buffer) },
  int8: { bytes: 1, floating: false, decode: (buffer) => new Int8Array(buffer) },
  uint8: { bytes: 1, floating: false, decode: (buffer) => new Uint8Array(buffer) },
  int16: { bytes: 2, floating: false, decode: (buffer) => new Int16Array(buffer) },
  uint16: { bytes: 2, floating: false, decode: (buffer) => new Uint16Array(buffer) },
  int32: { bytes: 4, floating: false, decode: (buffer) => new Int32Array(buffer) },
  uint32: { bytes: 4, floating: false, decode: (buffer) => new Uint32Array(buffer) },
  int64: { bytes: 8, floating: false, decode: (buffer) => new BigInt64Array(buffer) },
  uint64: { bytes: 8, floating: false, decode: (buffer) => new BigUint64Array(buffer) },
  bool: { bytes: 1, floating: false, decode: (buffer) => new Uint8Array(buffer) },
} as const satisfies Record<string, TypeRule>;

/** Most dimensions of a tensor: as many as numpy and torch allow. */
export const MOST_DIMS = 64;

/**
 * Number of bytes that a tensor fills.
 * @param where file and tensor, for the message
 * @throws OrtuneError `WEIGHTS_INVALID` when there are too many dimensions, one is no whole number, or the product leaves
 *   the safe integers
 */
export function byteLength(type: StoredType, dims: readonly number[], where: string): number {
  if (dims.length > MOST_DIMS) {
    throw new OrtuneError(
      'WEIGHTS_INVALID',
      `${where}: expected a shape of at most ${MOST_DIMS} dimensions, received ${dims.length}`,
    );
  }
  let bytes: number = STORED_TYPES[type].bytes;
  // A zero anywhere makes the product harmless, but [2^52, 2^52, 0] is no honest shape: every step is checked.
  for (const length of dims) {
    bytes *= length;
    if (!Number.isSafeInteger(length) || length < 0 || !Number.isSafeInteger(bytes)) {
      throw new OrtuneError(
        'WEIGHTS_INVALID',
        `${where}: expected a shape of whole numbers whose product a file can hold, received [${dims.join(', ')}]`,
      );
    }
  }
  return bytes;
}

/** The values under little-endian, row-major bytes. */
export function decode(type: StoredType, bytes: Uint8Array): TensorData {
  // The copy gives an aligned buffer of exactly this tensor: the bytes are often a view into a larger read.
  return STORED_TYPES[type].decode(new Uint8Array(bytes).buffer);
}

/** IEEE 754 binary16 to binary32, exactly: subnormals, infinities and NaNs included. */
function widenFloat16(halves: Uint16Array): Float32Array<ArrayBuffer> {
  const values = new Float32Array(halves.length);
  for (let index = 0; index < halves.length; index++) {
    const half = halves[index]!;
    const exponent = (half >> 10) & 0x1f;
    const fraction = half & 0x3ff;
    const sign = half & 0x8000 ? -1 : 1;
    if (exponent === 0) values[index] = sign * fraction * 2 ** -24;
    else if (exponent === 0x1f) values[index] = fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
    else values[index] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  return values;
}

/** bfloat16 is the upper half of a binary32. */
function widenBfloat16(halves: Uint16Array): Float32Array<ArrayBuffer> {
  return new Float32Array(Uint32Array.from(halves, (half) => half << 16).buffer);
}
