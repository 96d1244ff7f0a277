import { describe, expect, test } from 'vitest';
import {
  type Augmentation,
  applyChanges,
  type Box,
  checkAugmentation,
  drawChanges,
  type Operation,
  type Size,
} from '../../src/augment/index.ts';
import { Random } from '../../src/random.ts';

const everything: Augmentation = checkAugmentation({
  crop: {},
  colourJitter: { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 },
  policy: 'rand',
  erasing: 0.5,
});
const photo = { width: 200, height: 150 };
const changes = (augmentation: Augmentation, pass: number, index: number, seed = 1, size: Size = photo) =>
  drawChanges(augmentation, { seed, pass, index }, size, 64);
const many = Array.from({ length: 500 }, (_, index) => index);
const within = ({ left, top, width, height }: Box, size: Size) =>
  left >= 0 && top >= 0 && width > 0 && height > 0 && left + width <= size.width && top + height <= size.height;

describe('what is drawn depends on seed, pass and picture alone', () => {
  test('in any order', () => {
    const forwards = many.map((index) => changes(everything, 3, index));
    const backwards = [...many].reverse().map((index) => changes(everything, 3, index));
    expect(backwards.reverse()).toEqual(forwards);
  });

  test('and on each of them', () => {
    const texts = [
      ...many.map((index) => changes(everything, 0, index)),
      ...many.map((index) => changes(everything, 1, index)),
      ...many.map((index) => changes(everything, 0, index, 2)),
    ].map((drawn) => JSON.stringify(drawn.crop));
    expect(new Set(texts).size).toBe(texts.length);
  });

  test('turning one kind on leaves the others as they were', () => {
    for (const index of many.slice(0, 50)) {
      const all = changes(everything, 0, index);
      const { crop, flip } = changes(checkAugmentation({ crop: {} }), 0, index);
      expect({ crop, flip }).toEqual({ crop: all.crop, flip: all.flip });
      expect(
        changes({ ...everything, policy: 'none', colourJitter: checkAugmentation().colourJitter }, 0, index).erase,
      ).toEqual(all.erase);
    }
  });

  test('the plain crop and flip are three numbers of one stream', () => {
    for (const index of many.slice(0, 50)) {
      const random = new Random(1, 'augment', 5, index);
      const [x, y, mirror] = [random.uniform(), random.uniform(), random.uniform()];
      expect(changes(checkAugmentation(), 5, index)).toEqual({
        crop: { x, y },
        flip: mirror < 0.5,
        operations: [],
        erase: undefined,
      });
    }
  });
});

describe('resized crops', () => {
  test('lie within the picture and have the area and ratio asked for', () => {
    const { crop: asked } = checkAugmentation({ crop: { scale: [0.2, 0.7], ratio: [0.5, 2] } });
    const shares: number[] = [];
    for (const index of many) {
      const crop = changes({ ...everything, crop: asked }, 0, index).crop as Box;
      expect(within(crop, photo)).toBe(true);
      const share = (crop.width * crop.height) / (200 * 150);
      shares.push(share);
      expect(share).toBeGreaterThan(0.19);
      expect(share).toBeLessThan(0.71);
      expect(crop.width / crop.height).toBeGreaterThan(0.48);
      expect(crop.width / crop.height).toBeLessThan(2.1);
    }
    expect(Math.min(...shares)).toBeLessThan(0.22);
    expect(Math.max(...shares)).toBeGreaterThan(0.66);
  });

  test.each<[Size, Box]>([
    // Where none fits, torchvision takes the greatest central part of the nearest ratio.
    [
      { width: 1, height: 10000 },
      { left: 0, top: 4999, width: 1, height: 1 },
    ],
    [
      { width: 10000, height: 1 },
      { left: 4999, top: 0, width: 1, height: 1 },
    ],
    [
      { width: 900, height: 30 },
      { left: 430, top: 0, width: 40, height: 30 },
    ],
    [
      { width: 30, height: 900 },
      { left: 0, top: 430, width: 30, height: 40 },
    ],
    [
      { width: 100, height: 100 },
      { left: 0, top: 0, width: 100, height: 100 },
    ],
  ])('%o, when none fits', (size, expected) => {
    const only = { ...everything, crop: { scale: [1, 1], ratio: [3 / 4, 4 / 3] } as const };
    const crops = many.slice(0, 20).map((index) => changes(only, 0, index, 1, size).crop);
    expect(crops).toContainEqual(expected);
    for (const crop of crops) expect(within(crop as Box, size)).toBe(true);
  });

  test('the output has its size for a picture of any size', () => {
    for (const [width, height] of [
      [1, 1],
      [1, 10000],
      [10000, 1],
      [2, 3],
      [65, 63],
      [640, 480],
    ] as const) {
      const picture = { data: new Uint8Array(width * height * 3).fill(7), width, height };
      for (const size of [1, 32, 65]) {
        for (const index of [0, 1, 2]) {
          const drawn = drawChanges(
            { ...everything, policy: 'none', colourJitter: checkAugmentation().colourJitter, erasing: 0 },
            { seed: 0, pass: 0, index },
            picture,
            size,
          );
          const square = applyChanges(picture, drawn, size);
          expect(square).toHaveLength(size * size * 3);
          expect(square.every((value) => value === 7)).toBe(true);
        }
      }
    }
  });
});

describe('the rest', () => {
  test('flips as often as asked', () => {
    for (const flip of [0, 0.25, 1]) {
      const share = many.filter((index) => changes({ ...everything, flip }, 0, index).flip).length / many.length;
      expect(Math.abs(share - flip)).toBeLessThanOrEqual(flip % 1 === 0 ? 0 : 0.06);
    }
  });

  test('erasing stays inside, at 2 to 33 % of the area, as often as asked', () => {
    const erased = many.flatMap((index) => changes(everything, 0, index).erase ?? []);
    expect(Math.abs(erased.length / many.length - 0.5)).toBeLessThan(0.07);
    for (const box of erased) {
      expect(within(box, { width: 64, height: 64 })).toBe(true);
      expect((box.width * box.height) / 64 ** 2).toBeGreaterThan(0.017);
      expect((box.width * box.height) / 64 ** 2).toBeLessThan(0.345);
    }
    const [box] = erased;
    const data = new Uint8Array(64 * 64 * 3);
    const square = applyChanges(
      { data, width: 64, height: 64 },
      { crop: { x: 0, y: 0 }, flip: false, operations: [], erase: box },
      64,
    );
    expect(square.filter((value) => value === 124)).toHaveLength(box!.width * box!.height);
  });

  test('colour jitter: each once, in every order, within its range', () => {
    const jitter = checkAugmentation({ colourJitter: { brightness: 0.4, contrast: 0.2, saturation: 1.5, hue: 0.1 } });
    const orders = new Set<string>();
    const seen: Record<string, number[]> = {};
    for (const index of many) {
      const { operations } = changes(jitter, 0, index);
      orders.add(operations.map(({ name }) => name).join());
      for (const operation of operations) {
        const value =
          operation.name === 'hue' ? operation.turns : 'factor' in operation ? operation.factor : Number.NaN;
        seen[operation.name] = [...(seen[operation.name] ?? []), value];
      }
    }
    expect(orders.size).toBe(24);
    const ranges = { brightness: [0.6, 1.4], contrast: [0.8, 1.2], saturation: [0, 2.5], hue: [-0.1, 0.1] };
    for (const [name, [from, to]] of Object.entries(ranges)) {
      const values = seen[name]!;
      expect(values).toHaveLength(many.length);
      for (const [found, bound] of [
        [Math.min(...values), from!],
        [Math.max(...values), to!],
      ] as const) {
        expect(Math.abs(found - bound)).toBeLessThan(0.02 * (to! - from!));
      }
      expect(Math.min(...values)).toBeGreaterThanOrEqual(from!);
      expect(Math.max(...values)).toBeLessThanOrEqual(to!);
    }
  });
});

describe('policies', () => {
  const drawn = (policy: 'trivial' | 'rand') =>
    Array.from({ length: 6000 }, (_, index) => changes(checkAugmentation({ policy }), 0, index).operations);
  const most = (operations: readonly Operation[]) => {
    const range: Record<string, [number, number]> = {};
    for (const operation of operations) {
      for (const value of Object.values(operation)) {
        if (typeof value !== 'number') continue;
        const [least, greatest] = range[operation.name] ?? [value, value];
        range[operation.name] = [Math.min(least, value), Math.max(greatest, value)];
      }
    }
    return range;
  };
  const near = (value: number): unknown => expect.closeTo(value, 9);

  test("TrivialAugment's are one of 14, with torchvision's wide ranges", () => {
    const operations = drawn('trivial');
    const identities = operations.filter(({ length }) => length === 0).length;
    expect(Math.abs(identities / operations.length - 1 / 14)).toBeLessThan(0.01);
    expect(operations.every(({ length }) => length <= 1)).toBe(true);
    const counts = new Map<string, number>();
    for (const { name } of operations.flat()) counts.set(name, (counts.get(name) ?? 0) + 1);
    // Both translations have one name.
    expect(counts.size).toBe(12);
    for (const [name, count] of counts) {
      expect(Math.abs(count / operations.length - (name === 'translate' ? 2 : 1) / 14)).toBeLessThan(0.015);
    }
    expect(most(operations.flat())).toEqual({
      'shear-x': [near(-0.99), near(0.99)],
      'shear-y': [near(-0.99), near(0.99)],
      translate: [-32, 32],
      rotate: [-135, 135],
      brightness: [near(0.01), near(1.99)],
      saturation: [near(0.01), near(1.99)],
      contrast: [near(0.01), near(1.99)],
      sharpness: [near(0.01), near(1.99)],
      posterize: [2, 8],
      solarize: [0, 255],
    });
  });

  test("RandAugment's are two of 14, of torchvision's magnitude 9 out of 31 bins", () => {
    const operations = drawn('rand');
    expect(operations.every(({ length }) => length <= 2)).toBe(true);
    expect(Math.abs(operations.flat().length / operations.length - 26 / 14)).toBeLessThan(0.02);
    expect(most(operations.flat())).toEqual({
      'shear-x': [near(-0.09), near(0.09)],
      'shear-y': [near(-0.09), near(0.09)],
      // 0.3 x 150 / 331 of 64 pixels, cut off.
      translate: [-8, 8],
      rotate: [near(-9), near(9)],
      brightness: [near(0.73), near(1.27)],
      saturation: [near(0.73), near(1.27)],
      contrast: [near(0.73), near(1.27)],
      sharpness: [near(0.73), near(1.27)],
      posterize: [7, 7],
      solarize: [near(178.5), near(178.5)],
    });
  });
});
