import { setImmediate } from 'node:timers/promises';
import { decode, STORED_TYPES, type StoredType } from '../weights/element-types.ts';
import type { HeldTensor, ValueSummary } from './types.ts';

/** Elements between two turns of the event loop: some ten milliseconds. */
const STRIDE = 2 ** 21;

/** A tensor's values as numbers; `undefined` where the file does not hold them or their type has none here. */
export function numbersOf({ type, data }: HeldTensor): ArrayLike<number> | undefined {
  if (!data || !isStored(type)) return undefined;
  const values = decode(type, data);
  return values instanceof BigInt64Array || values instanceof BigUint64Array
    ? Float64Array.from(values, Number)
    : values;
}

/** Bytes of an element; `undefined` for types that are not read. */
export function elementBytes(type: string): number | undefined {
  return isStored(type) ? STORED_TYPES[type].bytes : undefined;
}

const isStored = (type: string): type is StoredType => Object.hasOwn(STORED_TYPES, type);

export async function summariseValues(values: ArrayLike<number>): Promise<ValueSummary> {
  let [squares, sum, min, max, nonFinite] = [0, 0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0];
  await inStrides(values.length, (from, to) => {
    for (let index = from; index < to; index++) {
      const value = values[index] as number;
      if (!Number.isFinite(value)) {
        nonFinite++;
        continue;
      }
      squares += value * value;
      sum += value;
      if (value < min) min = value;
      if (value > max) max = value;
    }
  });
  const finite = values.length - nonFinite;
  if (finite === 0) [min, max] = [Number.NaN, Number.NaN];
  return { norm: Math.sqrt(squares), mean: sum / finite, min, max, nonFinite };
}

/** How far `after` is from `before`, both of one length. */
export interface ValueChange {
  /** Norm of the difference over the norm of the first; infinite where that is 0. */
  readonly relative: number;
  /** Largest difference of two values. */
  readonly largest: number;
}

export async function compareValues(before: ArrayLike<number>, after: ArrayLike<number>): Promise<ValueChange> {
  let [squares, reference, largest] = [0, 0, 0];
  await inStrides(before.length, (from, to) => {
    for (let index = from; index < to; index++) {
      const value = before[index] as number;
      const change = (after[index] as number) - value;
      squares += change * change;
      reference += value * value;
      // Written so that NaN stays.
      if (!(Math.abs(change) <= largest)) largest = Math.abs(change);
    }
  });
  return { relative: squares === 0 ? 0 : Math.sqrt(squares / reference), largest };
}

async function inStrides(length: number, work: (from: number, to: number) => void): Promise<void> {
  for (let from = 0; from < length; from += STRIDE) {
    work(from, Math.min(length, from + STRIDE));
    await setImmediate();
  }
}
