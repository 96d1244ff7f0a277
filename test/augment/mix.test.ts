import { describe, expect, test } from 'vitest';
import { checkAugmentation, drawMix, type Mix, mixImages, softLabels } from '../../src/augment/index.ts';
import { drawBeta } from '../../src/augment/mix.ts';
import { Random } from '../../src/random.ts';

const SIZE = 20;
const STRIDE = SIZE * SIZE * 3;
const draws = (options: { mixup?: number; cutmix?: number }, count = 400) =>
  Array.from({ length: count }, (_, batch) => drawMix(checkAugmentation(options), { seed: 1, pass: 0, batch }, SIZE)!);

/** Pictures of one value each. */
const batch = (...values: number[]) => {
  const images = new Uint8Array(values.length * STRIDE);
  for (const [place, value] of values.entries()) images.fill(value, place * STRIDE, (place + 1) * STRIDE);
  return images;
};

describe('Beta(alpha, alpha)', () => {
  // Distribution functions: the arcsine law, the uniform one, and 3 x^2 - 2 x^3.
  test.each<[number, (x: number) => number]>([
    [0.5, (x) => (2 / Math.PI) * Math.asin(Math.sqrt(x))],
    [1, (x) => x],
    [2, (x) => 3 * x ** 2 - 2 * x ** 3],
  ])('alpha %d has its distribution (Kolmogorov-Smirnov)', (alpha, distribution) => {
    const random = new Random(7, 'test');
    const sorted = Float64Array.from({ length: 20000 }, () => drawBeta(random, alpha)).sort();
    const distance = Math.max(...sorted.map((x, rank) => Math.abs(distribution(x) - rank / sorted.length)));
    // 1.63 / sqrt(n): one in a hundred.
    expect(distance).toBeLessThan(1.63 / Math.sqrt(sorted.length));
  });

  test.each([0.001, 0.2, 100])('alpha %d: within 0 and 1, with the mean and variance of the law', (alpha) => {
    const random = new Random(8, 'test');
    const values = Array.from({ length: 20000 }, () => drawBeta(random, alpha));
    expect(values.every((value) => value >= 0 && value <= 1)).toBe(true);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.015);
    expect(variance * 4 * (2 * alpha + 1)).toBeCloseTo(1, 1);
  });
});

describe('drawing', () => {
  test('depends on seed, pass and batch alone; nothing asked, nothing drawn', () => {
    expect(drawMix(checkAugmentation(), { seed: 1, pass: 0, batch: 0 }, SIZE)).toBeUndefined();
    expect(draws({ mixup: 0.2, cutmix: 1 })).toEqual(draws({ mixup: 0.2, cutmix: 1 }));
    const options = checkAugmentation({ mixup: 1 });
    const lambdas = [0, 1].flatMap((seed) =>
      [0, 1].flatMap((pass) => [0, 1].map((batch) => drawMix(options, { seed, pass, batch }, SIZE)!.lambda)),
    );
    expect(new Set(lambdas).size).toBe(8);
  });

  test('with both on, each has about half of the batches', () => {
    const pasted = draws({ mixup: 0.2, cutmix: 1 }).filter(({ kind }) => kind === 'cutmix').length;
    expect(Math.abs(pasted / 400 - 0.5)).toBeLessThan(0.08);
    expect(draws({ mixup: 0.2 }).every(({ kind }) => kind === 'mixup')).toBe(true);
    expect(draws({ cutmix: 0.2 }).every(({ kind }) => kind === 'cutmix')).toBe(true);
  });
});

describe('mixing', () => {
  test('mixup: each picture with the one before it', () => {
    const images = batch(0, 100, 255);
    mixImages(images, SIZE, { kind: 'mixup', lambda: 0.75 });
    // 0.75 x 0 + 0.25 x 255; 0.75 x 100 + 0.25 x 0; 0.75 x 255 + 0.25 x 100, rounded.
    expect(images).toEqual(batch(64, 75, 216));
    expect(softLabels(BigInt64Array.of(2n, 0n, 1n), 3, { kind: 'mixup', lambda: 0.75 })).toEqual(
      Float32Array.of(0, 0.25, 0.75, 0.75, 0, 0.25, 0.25, 0.75, 0),
    );
  });

  test("CutMix: lambda is the share of a picture's own area that is left", () => {
    const kept = new Set<number>();
    for (const mix of draws({ cutmix: 1 })) {
      const images = batch(10, 20, 30);
      mixImages(images, SIZE, mix);
      for (const [place, [own, partner]] of [
        [10, 30],
        [20, 10],
        [30, 20],
      ].entries()) {
        const picture = images.subarray(place * STRIDE, (place + 1) * STRIDE);
        const left = picture.filter((value) => value === own).length;
        expect(left + picture.filter((value) => value === partner).length).toBe(STRIDE);
        expect(left / STRIDE).toBeCloseTo(mix.lambda, 12);
        kept.add(left);
      }
    }
    expect(kept.size).toBeGreaterThan(50);
    const images = batch(1, 2);
    mixImages(images, SIZE, { kind: 'cutmix', lambda: 0.985, box: { left: 5, top: 7, width: 2, height: 3 } });
    const places = [...images.subarray(0, STRIDE).entries()]
      .filter(([, value]) => value === 2)
      .map(([index]) => index / 3);
    expect([places[0], places.at(-1)! - 2 / 3]).toEqual([7 * SIZE + 5, 9 * SIZE + 6]);
  });

  test('labels are within 0 and 1 and sum to 1, also where both pictures have one class', () => {
    const random = new Random(3, 'test');
    for (const mix of [...draws({ mixup: 0.4, cutmix: 1 }), undefined]) {
      const labels = BigInt64Array.from({ length: 5 }, () => BigInt(random.integer(3)));
      const soft = softLabels(labels, 3, mix);
      for (let place = 0; place < 5; place++) {
        const row = soft.subarray(place * 3, place * 3 + 3);
        expect(row.every((share) => share >= 0 && share <= 1)).toBe(true);
        expect(row[0]! + row[1]! + row[2]!).toBeCloseTo(1, 6);
        const share = labels[place] === labels.at(place - 1) ? 1 : (mix?.lambda ?? 1);
        expect(row[Number(labels[place])]).toBe(Math.fround(share));
      }
    }
  });

  test('a single picture stays itself', () => {
    for (const mix of [{ kind: 'mixup', lambda: 0.3 }, draws({ cutmix: 1 })[0]!] as Mix[]) {
      const images = Uint8Array.from({ length: STRIDE }, (_, index) => index % 256);
      const before = images.slice();
      mixImages(images, SIZE, mix);
      expect(images).toEqual(before);
      expect(softLabels(BigInt64Array.of(1n), 2, mix)).toEqual(Float32Array.of(0, 1));
    }
  });
});
