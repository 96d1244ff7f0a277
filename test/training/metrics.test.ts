import { describe, expect, it } from 'vitest';
import { argmax, countCorrect, WeightedMean } from '../../src/training/metrics.ts';

describe('argmax', () => {
  it('is the first of equals, counted from the offset', () => {
    expect(argmax(Float32Array.of(1, 3, 3, 2), 0, 4)).toBe(1);
    expect(argmax(Float32Array.of(9, 9, 0, 0), 2, 2)).toBe(0);
    expect(argmax(Float32Array.of(9, 9, -2, -1), 2, 2)).toBe(1);
    expect(argmax(Float32Array.of(-Infinity, -Infinity), 0, 2)).toBe(0);
  });
});

it('countCorrect counts the rows whose largest value stands at the label, ties going to the first', () => {
  const logits = Float32Array.of(...[0, 1, 0], ...[5, 5, 1], ...[5, 5, 1], ...[-3, -2, -1]);
  expect(countCorrect(logits, BigInt64Array.of(1n, 0n, 1n, 2n))).toBe(3);
  expect(countCorrect(logits, BigInt64Array.of(0n, 2n, 2n, 0n))).toBe(0);
});

it('countCorrect counts no row whose label is no class', () => {
  const logits = Float32Array.of(...[0, 1, 0], ...[0, 0, 0], ...[-1, -1, -1]);
  expect(countCorrect(logits, BigInt64Array.of(1n, -1n, -1n))).toBe(1);
  expect(countCorrect(logits, BigInt64Array.of(1n, 0n, -1n))).toBe(2);
});

describe('WeightedMean', () => {
  it('counts each picture the same, unlike a mean of batch means', () => {
    const mean = new WeightedMean();
    mean.add(1, 16);
    mean.add(2, 16);
    mean.add(7, 1);
    expect(mean.value).toBeCloseTo((16 + 32 + 7) / 33, 12);
    expect(mean.value).not.toBeCloseTo((1 + 2 + 7) / 3, 1);
  });
});
