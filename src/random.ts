/**
 * Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
 *
 * A draw depends on the seed and the counter alone, never on how many draws came before it elsewhere. So picture i of
 * pass p gets the same crop on any number of threads, and a resumed run goes on with the numbers it would have had.
 */
const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;

/** High 32 bits of the 64-bit product of two unsigned 32-bit integers. */
function multiplyHigh(a: number, b: number): number {
  const aHigh = a >>> 16;
  const aLow = a & 0xffff;
  const bHigh = b >>> 16;
  const bLow = b & 0xffff;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = aLow * bHigh + (middle & 0xffff);
  // Every partial sum stays below 2^53, so plain doubles are exact here.
  return (aHigh * bHigh + Math.floor(middle / 65536) + Math.floor(carry / 65536)) >>> 0;
}

/** One block: four 32-bit words from a 128-bit counter and a 64-bit key. */
export function philox4x32(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(MULTIPLIER_0, c0);
    const low0 = Math.imul(MULTIPLIER_0, c0) >>> 0;
    const high1 = multiplyHigh(MULTIPLIER_1, c2);
    const low1 = Math.imul(MULTIPLIER_1, c2) >>> 0;
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0;
    k0 = (k0 + WEYL_0) >>> 0;
    k1 = (k1 + WEYL_1) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** A stream of numbers for one purpose: `new Random(seed, 'augment', pass, index)` is the same wherever it is made. */
export class Random {
  readonly #key: readonly [number, number];
  readonly #first: number;
  readonly #second: number;
  #block = 0;
  #words: readonly number[] = [];
  #used = 0;

  /**
   * @param seed any safe integer, the run's seed
   * @param purpose separates streams of one seed, e.g. `'shuffle'`
   * @param first a 32-bit coordinate, e.g. the pass
   * @param second a 32-bit coordinate, e.g. the picture's index
   */
  constructor(seed: number, purpose: string, first = 0, second = 0) {
    this.#key = [seed >>> 0, (Math.floor(seed / 2 ** 32) ^ hash(purpose)) >>> 0];
    this.#first = first >>> 0;
    this.#second = second >>> 0;
  }

  /** An unsigned 32-bit integer. */
  uint32(): number {
    if (this.#used === this.#words.length) {
      this.#words = philox4x32(
        [this.#block >>> 0, Math.floor(this.#block / 2 ** 32), this.#first, this.#second],
        this.#key,
      );
      this.#block++;
      this.#used = 0;
    }
    return this.#words[this.#used++]!;
  }

  /** Uniform in [0, 1), 32 bits fine. */
  uniform(): number {
    return this.uint32() / 2 ** 32;
  }

  /** A whole number from 0 to `bound` - 1; the bias of 2^-32 * bound is far below what a run can show. */
  integer(bound: number): number {
    return Math.floor(this.uniform() * bound);
  }

  /** Standard normal, by Box and Muller (1958); the second of the pair is not kept, so a draw never depends on parity. */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log((this.uint32() + 1) / 2 ** 32));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** The numbers 0 to `length` - 1 in random order (Fisher and Yates). */
  permutation(length: number): Uint32Array {
    const order = Uint32Array.from({ length }, (_, index) => index);
    for (let last = length - 1; last > 0; last--) {
      const other = this.integer(last + 1);
      const kept = order[last]!;
      order[last] = order[other]!;
      order[other] = kept;
    }
    return order;
  }
}

/** FNV-1a, 32 bits: spreads a purpose's name over the key. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  return value >>> 0;
}
