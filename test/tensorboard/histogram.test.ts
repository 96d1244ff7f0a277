import { expect, it } from 'vitest';
import { bucketsOf } from '../../src/tensorboard/histogram.ts';

it('counts every value between the least and the greatest', async () => {
  // More than are looked at without a pause.
  const values = Float32Array.from({ length: 150_000 }, (_, index) => (index % 31) - 10);
  const { edges, counts } = await bucketsOf(values);
  expect(edges).toHaveLength(31);
  expect([edges[0], edges[30]]).toEqual([-10, 20]);
  expect(counts.reduce((sum, count) => sum + count)).toBe(values.length);
  // The greatest is within the last.
  expect(counts[29]).toBeGreaterThan(1.9 * counts[0]!);
});

it.each([
  ['values that are all the same', [3, 3, 3], [2.5, 3.5], 3],
  ['values beside such as are not finite', [Number.NaN, 1, Number.POSITIVE_INFINITY, 2], [1, 2], 2],
])('takes %s', async (_name, values, [from, to], count) => {
  const { edges, counts } = await bucketsOf(Float32Array.from(values));
  expect([edges[0], edges.at(-1)]).toEqual([from, to]);
  expect(counts.reduce((sum, count) => sum + count)).toBe(count);
});

it('has no buckets for nothing', async () => {
  expect(await bucketsOf(Float32Array.of(Number.NaN))).toEqual({ edges: [], counts: [] });
});
