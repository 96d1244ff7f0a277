import { toByte } from './colour.ts';
import type { Picture } from './operations.ts';

/**
 * From smoothed (factor 0) to the picture itself (factor 1) and beyond. Smoothed is the mean of 3 x 3 pixels in which
 * the middle one counts five times; the outermost pixels stay as they are.
 */
export function sharpen({ data, width, height }: Picture, factor: number): void {
  const single = Math.fround(factor);
  const row = width * 3;
  // Rows above and of the loop's place as they were: the picture is overwritten on the way.
  let above = data.slice(0, row);
  let here = data.slice(row, 2 * row);
  for (let y = 1; y < height - 1; y++) {
    const below = (y + 1) * row;
    for (let x = 3; x < row - 3; x++) {
      const sum =
        above[x - 3]! +
        above[x]! +
        above[x + 3]! +
        here[x - 3]! +
        5 * here[x]! +
        here[x + 3]! +
        data[below + x - 3]! +
        data[below + x]! +
        data[below + x + 3]!;
      // Rounded: n / 13 is never half-way between two whole numbers.
      const smooth = ((2 * sum + 13) / 26) | 0;
      data[y * row + x] = toByte(Math.fround(smooth + Math.fround(single * (here[x]! - smooth))));
    }
    const free = above;
    above = here;
    here = free;
    here.set(data.subarray(below, below + row));
  }
}
