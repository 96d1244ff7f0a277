import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Random } from '../../src/random.ts';
import { damage } from './mutate.ts';

/** A reader, and how its files are made and damaged. */
export interface Target {
  readonly name: string;
  /** Of all inputs, in proportion: what reads from memory gets more of them than what writes folders. */
  readonly share: number;
  /** A whole file. */
  readonly sample: Uint8Array;
  /** A damaged one, by its structure. */
  readonly damage: (random: Random) => Uint8Array;
  /**
   * Reads it to its end.
   * @param folder for the file itself, and for what is made of it
   */
  readonly read: (bytes: Uint8Array, folder: string) => unknown;
}

/** Every so many inputs one is the file cut short, by one byte more each time. */
const CUT_EVERY = 8;
const BYTES_EVERY = 8;

/** The input of a number: the same each time. */
export function inputOf(target: Target, random: Random, index: number): Uint8Array {
  const { sample } = target;
  // The first is whole: a reader that refuses everything would pass.
  if (index === 0) return sample;
  if (index % CUT_EVERY === 0) return sample.subarray(0, (index / CUT_EVERY) % sample.length);
  if (index % BYTES_EVERY === 1) return damage(random, sample);
  return target.damage(random);
}

/** Puts an input where a reader of files finds it. */
export function fileOf(folder: string, name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}
