import { describe, expect, it } from 'vitest';
import { roundUp, ticks } from '../../src/report-html/chart.ts';
import { thin } from '../../src/report-html/thin.ts';

describe('a thinned curve', () => {
  const points = Array.from({ length: 100_000 }, (_, x) => ({ x, y: Math.sin(x / 5000) }));

  it('keeps the order, and a peak and a dip of one point each', () => {
    points[31_337] = { x: 31_337, y: 9 };
    points[77_777] = { x: 77_777, y: -9 };
    const kept = thin(points, 400);
    expect(kept.length).toBeLessThanOrEqual(800);
    expect(kept).toContainEqual({ x: 31_337, y: 9 });
    expect(kept).toContainEqual({ x: 77_777, y: -9 });
    expect(kept.map(({ x }) => x)).toEqual(kept.map(({ x }) => x).sort((a, b) => a - b));
  });

  it('is as it was when it is short', () => {
    expect(thin(points.slice(0, 800), 400)).toEqual(points.slice(0, 800));
    expect(thin([], 400)).toEqual([]);
  });
});

describe('an axis', () => {
  it.each([
    [ticks(0, 1, 4), [0, 0.2, 0.4, 0.6, 0.8, 1]],
    [ticks(0.4, 1, 4), [0.4, 0.6, 0.8, 1]],
    [ticks(0, 3e-4, 3), [0, 1e-4, 2e-4, 3e-4]],
    [ticks(1, 60, 4), [20, 40, 60]],
    [ticks(5, 5, 4), [5]],
  ])('has round numbers: %j', (given, expected) => expect(given).toEqual(expected));

  it.each([
    [0.83, 1],
    [2.08, 2.5],
    [1e-3, 1e-3],
    [41, 50],
    [0, 0],
  ])('up to %f goes to %f', (value, expected) => expect(roundUp(value)).toBe(expected));
});
