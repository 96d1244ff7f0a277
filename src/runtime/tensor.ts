import { OrtuneError } from '../errors.ts';

/**
 * What goes into and comes out of a session: row-major elements with dimensions, the type's own array holding them.
 * `bool` is one byte per element, 0 or 1. A scalar has no dimensions and one element.
 */
export type Tensor =
  | { readonly type: 'uint8' | 'bool'; readonly dims: readonly number[]; readonly data: Uint8Array }
  | { readonly type: 'float32'; readonly dims: readonly number[]; readonly data: Float32Array }
  | { readonly type: 'int64'; readonly dims: readonly number[]; readonly data: BigInt64Array };

export type TensorType = Tensor['type'];

/** A tensor as the addon takes and gives it: the same elements as bytes. */
export interface NativeTensor {
  type: TensorType;
  dims: readonly number[];
  data: Uint8Array;
}

const ARRAYS = {
  uint8: Uint8Array,
  bool: Uint8Array,
  float32: Float32Array,
  int64: BigInt64Array,
} as const;

/** A view of a tensor's bytes; the addon copies them during the call. `what` names the tensor in errors. */
export function toNative(what: string, tensor: Tensor): NativeTensor {
  if (typeof tensor !== 'object' || tensor === null) {
    throw new OrtuneError('INVALID_TENSOR', `${what} must be a tensor, but is ${String(tensor)}`);
  }
  const { type, dims, data } = tensor;
  if (!Object.hasOwn(ARRAYS, type)) {
    const valid = Object.keys(ARRAYS).join(', ');
    throw new OrtuneError('INVALID_TENSOR', `${what}: type must be one of ${valid}, but is ${String(type)}`);
  }
  const expected = ARRAYS[type].name;
  // Not `instanceof`: a typed array of another realm (a test runner's, say) is as good.
  const given = ArrayBuffer.isView(data) ? data[Symbol.toStringTag] : typeof data;
  if (given !== expected) {
    throw new OrtuneError('INVALID_TENSOR', `${what}: ${type} needs a ${expected} as data, but has ${given}`);
  }
  return { type, dims, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}

/** The reverse: the bytes are the caller's own, in a buffer of their own. */
export function fromNative({ type, dims, data }: NativeTensor): Tensor {
  switch (type) {
    case 'float32':
      return { type, dims, data: new Float32Array(data.buffer, data.byteOffset, data.byteLength / 4) };
    case 'int64':
      return { type, dims, data: new BigInt64Array(data.buffer, data.byteOffset, data.byteLength / 8) };
    default:
      return { type, dims, data };
  }
}
