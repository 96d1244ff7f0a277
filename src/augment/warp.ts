/** Affine warps to the nearest pixel, within the picture's own size; what comes in from outside is black. */
import type { Picture } from './operations.ts';

/** Where the pixel (x, y) of the result comes from: (a x + b y + c, d x + e y + f), of pixel centres. */
export type Affine = readonly [number, number, number, number, number, number];

/** Counter-clockwise about the centre. */
export function rotation(degrees: number, width: number, height: number): Affine {
  const angle = (-degrees * Math.PI) / 180;
  const cos = Math.cos(angle);
  const sin = Math.sin(angle);
  const x = width / 2;
  const y = height / 2;
  return [cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y];
}

/**
 * 16-bit fixed point, as Pillow's, so that a place between two pixels falls to the same side.
 *
 * @param picture at most 32767 pixels wide and high
 */
export function warp({ data, width, height }: Picture, [a, b, c, d, e, f]: Affine): void {
  const source = data.slice();
  const fixed = (value: number) => Math.floor(value * 65536 + 0.5);
  const [stepX, rowX, startX] = [fixed(a), fixed(b), fixed(c + (a + b) / 2)];
  const [stepY, rowY, startY] = [fixed(d), fixed(e), fixed(f + (d + e) / 2)];
  let to = 0;
  for (let y = 0; y < height; y++) {
    let fromX = startX + y * rowX;
    let fromY = startY + y * rowY;
    for (let x = 0; x < width; x++) {
      const column = fromX >> 16;
      const row = fromY >> 16;
      if (column >= 0 && column < width && row >= 0 && row < height) {
        const from = (row * width + column) * 3;
        data[to] = source[from]!;
        data[to + 1] = source[from + 1]!;
        data[to + 2] = source[from + 2]!;
      } else {
        data[to] = data[to + 1] = data[to + 2] = 0;
      }
      to += 3;
      fromX += stepX;
      fromY += stepY;
    }
  }
}

/** Moves the picture by whole pixels, to the right and down. */
export function translate({ data, width, height }: Picture, x: number, y: number): void {
  const source = data.slice();
  data.fill(0);
  if (Math.abs(x) >= width) return;
  const kept = (width - Math.abs(x)) * 3;
  for (let row = Math.max(0, y); row < Math.min(height, height + y); row++) {
    const from = ((row - y) * width + Math.max(0, -x)) * 3;
    data.set(source.subarray(from, from + kept), (row * width + Math.max(0, x)) * 3);
  }
}
