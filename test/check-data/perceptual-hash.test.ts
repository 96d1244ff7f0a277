import type { Sharp } from 'sharp';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { correlation, HASHED_SIDE, type Look, lookOf } from '../../src/check-data/perceptual-hash.ts';
import { blobs } from './pictures.ts';

async function look(image: Sharp): Promise<Look> {
  const bytes = await image.png().toBuffer();
  const pixels = await sharp(bytes).resize(HASHED_SIDE, HASHED_SIDE, { fit: 'fill' }).raw().toBuffer();
  return lookOf(pixels)!;
}
const again = async (image: Sharp) => sharp(await image.toBuffer());
const bits = ({ hash: a }: Look, { hash: b }: Look) =>
  [0, 1].reduce((sum, word) => sum + (a[word as 0]! ^ b[word as 0]!).toString(2).replace(/[^1]/g, '').length, 0);

describe('pHash', () => {
  test('is the sign of the 64 lowest DCT coefficients against their median', () => {
    // One horizontal cosine of frequency 3 and one vertical of frequency 2: the mean, (0, 3) and (2, 0) alone stand out.
    const pixels = Uint8Array.from({ length: HASHED_SIDE * HASHED_SIDE * 3 }, (_, at) => {
      const x = Math.floor(at / 3) % HASHED_SIDE;
      const y = Math.floor(at / 3 / HASHED_SIDE);
      const wave = (frequency: number, place: number) => Math.cos((Math.PI * frequency * (2 * place + 1)) / 64);
      return Math.round(128 + 50 * wave(3, x) - 50 * wave(2, y));
    });
    const { hash } = lookOf(pixels)!;
    const bit = (row: number, column: number) => (hash[row >> 2]! >>> ((row % 4) * 8 + column)) & 1;
    expect([bit(0, 0), bit(0, 3), bit(2, 0)]).toEqual([1, 1, 0]);
    expect(hash.reduce((sum, word) => sum + word.toString(2).replaceAll('0', '').length, 0)).toBe(32);
  });

  test.each<[string, (image: Sharp) => Sharp | Promise<Sharp>]>([
    ['recompressed', (image) => again(image.jpeg({ quality: 50 }))],
    ['half as large', (image) => image.resize(60)],
    ['lighter', async (image) => (await again(image.png())).linear(1.15, 5)],
    ['cut by a pixel all round', (image) => image.extract({ left: 1, top: 1, width: 118, height: 88 })],
  ])('is about the same for a picture %s', async (_, change) => {
    for (const number of [1, 2, 3, 4]) {
      const [one, other] = [await look(blobs(number)), await look(await change(blobs(number)))];
      expect(bits(one, other)).toBeLessThanOrEqual(7);
      expect(correlation(one, other)).toBeGreaterThan(0.95);
    }
  });

  test('is another for another picture', async () => {
    const looks = await Promise.all(Array.from({ length: 20 }, (_, number) => look(blobs(number))));
    for (const [index, one] of looks.entries()) {
      for (const other of looks.slice(0, index))
        expect(bits(one, other) <= 7 && correlation(one, other) >= 0.9).toBe(false);
      expect(correlation(one, one)).toBeCloseTo(1);
    }
  });

  test('there is none of a plain picture', () => {
    expect(lookOf(new Uint8Array(HASHED_SIDE * HASHED_SIDE * 3).fill(77))).toBeUndefined();
  });
});
