import { describe, expect, it } from 'vitest';
import { minimise } from '../../src/head-solver/lbfgs.ts';

/** A quadratic bowl with its minimum at `centre`, steeper along every further axis. */
const bowl = (centre: readonly number[], steepness: number) => async (point: Float64Array) => {
  const gradient = point.map((value, index) => steepness ** index * (value - centre[index]!));
  const value = point.reduce((sum, x, index) => sum + (steepness ** index * (x - centre[index]!) ** 2) / 2, 0);
  return { value, gradient };
};

describe('the minimum', () => {
  it.each([
    [[1, -2, 3], 1],
    [[1, -2, 3, -4], 10],
    [[5, 0.1, -0.1, 2, 1, 1, -3], 10],
  ])('of a bowl at %j with slopes apart by %d is found', async (centre, steepness) => {
    const start = new Float64Array(centre.length);
    const { point, value, converged } = await minimise(bowl(centre, steepness), start, {
      maxIterations: 200,
      tolerance: 1e-9,
    });
    expect(converged).toBe(true);
    expect(value).toBeLessThan(1e-9);
    for (const [index, x] of centre.entries()) expect(point[index]).toBeCloseTo(x, 4);
    expect(start).toEqual(new Float64Array(centre.length));
  });

  it('of a function that is nowhere quadratic is found', async () => {
    // Sum of log(2 cosh(x - c)): its slope is at most 1, however far away.
    const centre = [30, -2];
    const evaluate = async (point: Float64Array) => ({
      value: point.reduce(
        (sum, x, index) => sum + Math.abs(x - centre[index]!) + Math.log1p(Math.exp(-2 * Math.abs(x - centre[index]!))),
        0,
      ),
      gradient: point.map((x, index) => Math.tanh(x - centre[index]!)),
    });
    const { point } = await minimise(evaluate, new Float64Array(2), { maxIterations: 100, tolerance: 1e-8 });
    expect(point[0]).toBeCloseTo(30, 4);
    expect(point[1]).toBeCloseTo(-2, 4);
  });
});

it('every step goes down, and a caller can end the search', async () => {
  const values: number[] = [];
  const options = {
    maxIterations: 50,
    tolerance: 1e-12,
    onIteration: (_: number, value: number) => values.push(value) < 4,
  };
  const { converged } = await minimise(bowl([1, -2, 3, -4, 5, -6], 3), new Float64Array(6), options);
  expect(converged).toBe(false);
  expect(values).toHaveLength(4);
  expect(values).toEqual(values.toSorted((a, b) => b - a));
});

it('a start at the minimum needs no step', async () => {
  const found = await minimise(bowl([1, 2], 2), Float64Array.of(1, 2), { maxIterations: 10, tolerance: 1e-6 });
  expect(found).toMatchObject({ iterations: 0, converged: true, value: 0 });
});
