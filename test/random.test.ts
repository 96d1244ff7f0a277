import { describe, expect, test } from 'vitest';
import { philox4x32, Random } from '../src/random.ts';

describe('philox4x32 (known answers of Random123, kat_vectors, 10 rounds)', () => {
  test.each([
    { counter: [0, 0, 0, 0], key: [0, 0], expected: [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8] },
    {
      counter: [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      key: [0xffffffff, 0xffffffff],
      expected: [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    },
    {
      counter: [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      key: [0xa4093822, 0x299f31d0],
      expected: [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    },
  ] as const)('counter $counter', ({ counter, key, expected }) => {
    expect(philox4x32(counter, key)).toEqual(expected);
  });
});

describe('Random', () => {
  const draw = (random: Random, count = 9) => Array.from({ length: count }, () => random.uint32());

  test('the same coordinates give the same stream, any other another', () => {
    const stream = draw(new Random(7, 'augment', 3, 5));
    expect(draw(new Random(7, 'augment', 3, 5))).toEqual(stream);
    for (const other of [
      new Random(8, 'augment', 3, 5),
      new Random(7 + 2 ** 32, 'augment', 3, 5),
      new Random(7, 'shuffle', 3, 5),
      new Random(7, 'augment', 4, 5),
      new Random(7, 'augment', 3, 6),
    ]) {
      expect(draw(other)).not.toEqual(stream);
    }
  });

  test('a stream does not repeat its blocks', () => {
    expect(new Set(draw(new Random(1, 'blocks'), 4000)).size).toBeGreaterThan(3990);
  });

  test('uniform is within [0, 1) with the mean and variance of the uniform distribution', () => {
    const random = new Random(1, 'uniform');
    const values = Array.from({ length: 20_000 }, () => random.uniform());
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    expect(Math.min(...values)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...values)).toBeLessThan(1);
    // Four standard errors: 0.2887 / sqrt(20000) = 0.00204 for the mean.
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.0082);
    expect(Math.abs(variance - 1 / 12)).toBeLessThan(0.0022);
  });

  test('integer reaches every value below its bound', () => {
    const random = new Random(2, 'integer');
    const counts = new Uint32Array(6);
    for (let draws = 0; draws < 6000; draws++) counts[random.integer(6)]!++;
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(4 * Math.sqrt(1000));
  });

  test('normal has mean 0, variance 1 and 4.6 % beyond two deviations', () => {
    const random = new Random(3, 'normal');
    const values = Array.from({ length: 20_000 }, () => random.normal());
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + value * value, 0) / values.length;
    const beyond = values.filter((value) => Math.abs(value) > 2).length / values.length;
    expect(Math.abs(mean)).toBeLessThan(0.0283);
    expect(Math.abs(variance - 1)).toBeLessThan(0.04);
    expect(Math.abs(beyond - 0.0455)).toBeLessThan(0.006);
  });

  test('a permutation holds every number once; the first place is uniform over seeds', () => {
    expect([...new Random(4, 'shuffle').permutation(1000)].sort((a, b) => a - b)).toEqual(
      Array.from({ length: 1000 }, (_, index) => index),
    );
    const first = new Uint32Array(5);
    for (let seed = 0; seed < 5000; seed++) first[new Random(seed, 'shuffle').permutation(5)[0]!]!++;
    for (const count of first) expect(Math.abs(count - 1000)).toBeLessThan(4 * Math.sqrt(1000));
    expect(new Random(4, 'shuffle').permutation(0)).toHaveLength(0);
  });
});
