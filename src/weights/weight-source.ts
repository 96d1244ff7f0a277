import { OrtuneError } from '../errors.ts';
import { decode, MOST_DIMS } from './element-types.ts';
import type { WeightFile, WeightFormat, WeightInfo, WeightTensor } from './types.ts';

/** A tensor that a format's reader found: what it is, and how to get its little-endian, row-major bytes. */
export interface StoredTensor extends WeightInfo {
  bytes(): Promise<Uint8Array>;
}

export interface Contents {
  readonly format: WeightFormat;
  readonly path: string;
  readonly tensors: readonly StoredTensor[];
  readonly ignored?: readonly string[];
  readonly close?: () => Promise<void>;
}

/**
 * The face that every format's reader shows.
 * @throws OrtuneError `WEIGHTS_INVALID` when a name comes twice
 */
export function weightFile({ format, path, tensors: found, ignored = [], close }: Contents): WeightFile {
  const tensors = new Map<string, StoredTensor>();
  for (const tensor of found) {
    if (tensors.has(tensor.name)) throw invalid(`${path}: expected every tensor once, received '${tensor.name}' twice`);
    tensors.set(tensor.name, tensor);
  }
  return {
    format,
    path,
    tensors,
    ignored,
    async read(name: string): Promise<WeightTensor> {
      const tensor = tensors.get(name);
      if (!tensor) {
        throw new OrtuneError(
          'WEIGHTS_UNKNOWN_TENSOR',
          `${path}: expected the name of one of its tensors, received '${name}'`,
        );
      }
      const { type, dims } = tensor;
      return { name, type, dims, data: decode(type, await tensor.bytes()) };
    },
    close: close ?? (async () => {}),
  };
}

/**
 * A value out of a file, for a message. Lists and objects are not spelled out: a hostile file can nest or share them so
 * that their text would not end.
 */
export function describe(value: unknown): string {
  if (typeof value === 'string') return `'${value.slice(0, 100)}'`;
  return typeof value === 'object' && value !== null ? (Array.isArray(value) ? 'a list' : 'an object') : String(value);
}

export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Whether a value out of a file can be a shape. */
export function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.length <= MOST_DIMS && value.every(isCount);
}

/** An error about a file that breaks its format's rules. */
export function invalid(message: string, cause?: unknown): OrtuneError {
  return new OrtuneError('WEIGHTS_INVALID', message, cause === undefined ? undefined : { cause });
}
