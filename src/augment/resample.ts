/**
 * A part of a picture scaled to a square by linear interpolation, widened to a mean when it gets smaller, so that
 * nothing is skipped. The same filter, order and 22-bit fixed point as Pillow's, to the last bit.
 *
 * Own loops, as a call of sharp costs several times this work at the size of a network's input.
 */
import type { Box } from './geometry.ts';
import type { Picture } from './operations.ts';

const PRECISION = 22;
const HALF = 1 << (PRECISION - 1);

/** For each place of the result, its first pixel in the source, and weights (sum 2^22) for it and those after it. */
interface Filter {
  readonly taps: number;
  readonly first: Int32Array;
  readonly count: Int32Array;
  readonly weights: Int32Array;
}

function filter(from: number, to: number): Filter {
  const scale = from / to;
  const support = Math.max(1, scale);
  const taps = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(to);
  const count = new Int32Array(to);
  const weights = new Int32Array(to * taps);
  const row = new Float64Array(taps);
  for (let place = 0; place < to; place++) {
    const centre = (place + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - support + 0.5));
    const length = Math.min(from, Math.trunc(centre + support + 0.5)) - start;
    let sum = 0;
    for (let tap = 0; tap < length; tap++) {
      row[tap] = Math.max(0, 1 - Math.abs((tap + start - centre + 0.5) / support));
      sum += row[tap]!;
    }
    for (let tap = 0; tap < length; tap++) {
      weights[place * taps + tap] = Math.trunc(0.5 + (row[tap]! / sum) * 2 ** PRECISION);
    }
    // Of a triangle's feet some weigh nothing.
    const begin = place * taps;
    let used = length;
    while (weights[begin + used - 1] === 0) used--;
    const idle = weights[begin] === 0 ? 1 : 0;
    weights.copyWithin(begin, begin + idle, begin + used);
    first[place] = start + idle;
    count[place] = used - idle;
  }
  return { taps, first, count, weights };
}

/**
 * @param part in the picture, of at least one pixel
 * @param size side of the result in pixels
 * @param mirror left and right exchanged
 * @returns RGB, uint8 [size, size, 3]
 */
export function resizedCrop({ data, width }: Picture, part: Box, size: number, mirror: boolean): Uint8Array {
  const across = squeeze(data, width, part, size, mirror);
  const { taps, first, count, weights } = filter(part.height, size);
  const row = size * 3;
  const result = new Uint8Array(size * row);
  const sums = new Int32Array(row);
  for (let y = 0; y < size; y++) {
    sums.fill(HALF);
    const to = y * row;
    const last = count[y]! - 1;
    // Two rows at a time, as there mostly are no more: sums are then not written and read again.
    for (let tap = 0; tap <= last; tap += 2) {
      const upper = (first[y]! + tap) * row;
      const lower = tap < last ? upper + row : upper;
      const above = weights[y * taps + tap]!;
      const below = tap < last ? weights[y * taps + tap + 1]! : 0;
      if (tap + 2 > last) {
        for (let x = 0; x < row; x++) {
          result[to + x] =
            (sums[x]! + Math.imul(across[upper + x]!, above) + Math.imul(across[lower + x]!, below)) >> PRECISION;
        }
      } else {
        for (let x = 0; x < row; x++) {
          sums[x] = sums[x]! + Math.imul(across[upper + x]!, above) + Math.imul(across[lower + x]!, below);
        }
      }
    }
  }
  return result;
}

/** The part's rows scaled to the width: [part.height, size, 3]. */
function squeeze(data: Uint8Array, width: number, part: Box, size: number, mirror: boolean): Uint8Array {
  const { taps, first, count, weights } = filter(part.width, size);
  const result = new Uint8Array(part.height * size * 3);
  for (let y = 0; y < part.height; y++) {
    const start = ((part.top + y) * width + part.left) * 3;
    for (let x = 0; x < size; x++) {
      let red = HALF;
      let green = HALF;
      let blue = HALF;
      let from = start + first[x]! * 3;
      const last = x * taps + count[x]!;
      for (let tap = x * taps; tap < last; tap++) {
        const weight = weights[tap]!;
        red += Math.imul(data[from]!, weight);
        green += Math.imul(data[from + 1]!, weight);
        blue += Math.imul(data[from + 2]!, weight);
        from += 3;
      }
      const to = (y * size + (mirror ? size - 1 - x : x)) * 3;
      result[to] = red >> PRECISION;
      result[to + 1] = green >> PRECISION;
      result[to + 2] = blue >> PRECISION;
    }
  }
  return result;
}
