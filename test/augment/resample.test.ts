import { describe, expect, test } from 'vitest';
import { resizedCrop } from '../../src/augment/resample.ts';
import { bytes, picture, pillow } from './pillow.ts';

const mirrored = (data: Uint8Array, size: number) =>
  Uint8Array.from(data, (_, index) => {
    const [y, x, channel] = [Math.floor(index / (3 * size)), Math.floor(index / 3) % size, index % 3];
    return data[(y * size + size - 1 - x) * 3 + channel]!;
  });

describe('a resized crop is what Pillow cuts and resizes, to the byte', () => {
  test.each(pillow.crops)('$part to $size', ({ part, size, result }) => {
    expect(resizedCrop(picture(), part, size, false)).toEqual(bytes(result));
    expect(resizedCrop(picture(), part, size, true)).toEqual(mirrored(bytes(result), size));
  });
});

test('one colour stays that colour at any scale', () => {
  const [width, height] = [300, 7];
  const data = new Uint8Array(width * height * 3).fill(255);
  for (const size of [1, 5, 64, 301]) {
    const found = resizedCrop({ data, width, height }, { left: 0, top: 0, width, height }, size, false);
    expect(found).toEqual(new Uint8Array(size * size * 3).fill(255));
  }
});
