import { expect, it } from 'vitest';
import { stratifiedFolds } from '../../src/head-solver/folds.ts';

const labels = Int32Array.from({ length: 103 }, (_, row) => (row < 50 ? 0 : row < 100 ? 1 : 2));
const count = (parts: Int32Array, wanted: (row: number) => boolean) => {
  const counts = [0, 0, 0, 0, 0];
  for (const [row, part] of parts.entries()) if (wanted(row)) counts[part]!++;
  return counts.toSorted((a, b) => a - b);
};

it('every class is spread evenly over the parts', () => {
  const parts = stratifiedFolds(labels, 5, 1);
  expect(count(parts, () => true)).toEqual([20, 20, 21, 21, 21]);
  for (const label of [0, 1]) expect(count(parts, (row) => labels[row] === label)).toEqual([10, 10, 10, 10, 10]);
  // Three rows go to three parts.
  expect(count(parts, (row) => labels[row] === 2)).toEqual([0, 0, 1, 1, 1]);
});

it('the seed decides, and nothing else', () => {
  expect(stratifiedFolds(labels, 5, 1)).toEqual(stratifiedFolds(labels, 5, 1));
  expect(stratifiedFolds(labels, 5, 1)).not.toEqual(stratifiedFolds(labels, 5, 2));
});

it('rows of a group go together', () => {
  const twice = Int32Array.from([...labels, ...labels]);
  const groups = twice.map((_, row) => row % labels.length);
  const parts = stratifiedFolds(twice, 5, 1, groups);
  expect(parts.slice(labels.length)).toEqual(parts.slice(0, labels.length));
  expect(parts.slice(0, labels.length)).toEqual(stratifiedFolds(labels, 5, 1));
});
