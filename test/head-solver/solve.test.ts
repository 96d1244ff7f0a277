import { describe, expect, it } from 'vitest';
import { type HeadFit, type SolveOptions, solveHead } from '../../src/head-solver/index.ts';
import { Evaluation } from '../../src/metrics/index.ts';
import { Random } from '../../src/random.ts';
import reference from './logistic-regression.json' with { type: 'json' };

const [WIDTH, CLASSES] = [5, 4];
const problem = {
  features: Float32Array.from(reference.features),
  width: WIDTH,
  labels: Int32Array.from(reference.labels),
  classes: CLASSES,
  threads: 1,
} satisfies SolveOptions;

/** Distance between the largest and the smallest of some numbers' differences to others. */
const farthest = (left: ArrayLike<number>, right: readonly number[]) =>
  Math.max(...right.map((value, index) => Math.abs(value - left[index]!)));

describe("scikit-learn's LogisticRegression", () => {
  it.each(reference.cases)('has the same minimum at $regularisation', async (expected) => {
    const { regularisation } = expected;
    const found = await solveHead({ ...problem, regularisation, tolerance: 1e-7 });
    expect(farthest(found.weights, expected.weights)).toBeLessThan(1e-4);
    // A number added to all biases changes nothing; scikit-learn's have another sum.
    const mean = found.bias.reduce((sum, value) => sum + value / CLASSES, 0);
    expect(
      farthest(
        found.bias.map((value) => value - mean),
        expected.bias,
      ),
    ).toBeLessThan(1e-4);
    expect(found.trainCost).toBeCloseTo(expected.trainCost, 6);
    expect(found.trainAccuracy).toBe(expected.trainAccuracy);
    expect(found).toMatchObject({ regularisation, history: [] });
  });
});

/** Two noisy features that tell three classes apart, among many that tell nothing. */
function noisy(rows: number, width = 40) {
  const features = new Float32Array(rows * width);
  const labels = Int32Array.from({ length: rows }, (_, row) => row % 3);
  for (const [row, label] of labels.entries()) {
    const random = new Random(1, 'noise', row);
    for (let column = 0; column < width; column++) features[row * width + column] = random.normal();
    features[row * width]! += 2 * Math.cos((2 * Math.PI * label) / 3);
    features[row * width + 1]! += 2 * Math.sin((2 * Math.PI * label) / 3);
  }
  return { features, labels, width, classes: 3, threads: 1 };
}

describe('the regularisation', () => {
  it('is the one that costs least on held-out rows, of those tried from strong to weak', async () => {
    const seen: HeadFit[] = [];
    const { history, regularisation } = await solveHead({
      ...noisy(90),
      rounds: 5,
      onProgress: (fit) => seen.push(fit),
    });
    expect(history).toEqual(seen);
    const strengths = history.map((fit) => fit.regularisation);
    expect(strengths).toEqual(strengths.toSorted((a, b) => b - a));
    const costs = history.map(({ cost }) => cost);
    expect(regularisation).toBe(strengths[costs.indexOf(Math.min(...costs))]);
    // With more features than 90 rows can tell of, neither the strongest nor the weakest is best.
    expect(costs.indexOf(Math.min(...costs))).toBeGreaterThan(0);
    expect(costs.indexOf(Math.min(...costs))).toBeLessThan(history.length - 1);
  });

  it('makes the head do better on other rows than next to none', async () => {
    const data = noisy(390);
    const train = { ...data, features: data.features.slice(0, 90 * data.width), labels: data.labels.slice(0, 90) };
    const others = data.features.subarray(90 * data.width);
    const costOnOthers = ({ weights, bias }: { weights: Float32Array; bias: Float32Array }) => {
      const logits = Float32Array.from({ length: 300 * 3 }, (_, place) => {
        const row = Math.floor(place / 3) * data.width;
        let sum = bias[place % 3]!;
        for (let column = 0; column < data.width; column++) {
          sum += others[row + column]! * weights[column * 3 + (place % 3)]!;
        }
        return sum;
      });
      const evaluation = new Evaluation(['a', 'b', 'c']);
      evaluation.add({ scores: logits, kind: 'logits', labels: data.labels.subarray(90) });
      return evaluation.result().cost as number;
    };
    const [chosen, barely] = [await solveHead(train), await solveHead({ ...train, regularisation: 1e-3 })];
    expect(barely.trainAccuracy).toBe(1);
    expect(costOnOthers(chosen)).toBeLessThan(0.8 * costOnOthers(barely));
  });
});

it('gives the same head again, and leaves the input as it is', async () => {
  const data = noisy(60);
  const before = data.features.slice();
  const [one, other] = [await solveHead(data), await solveHead(data)];
  expect(one).toEqual(other);
  expect(data.features).toEqual(before);
});

it('takes a feature that never changes, and a class without rows', async () => {
  const features = Float32Array.of(1, 5, 2, 5, 3, 5, 4, 5);
  const labels = Int32Array.of(0, 0, 2, 2);
  const { weights, bias } = await solveHead({
    features,
    labels,
    width: 2,
    classes: 3,
    regularisation: 0.1,
    threads: 1,
  });
  for (const weight of weights.subarray(3)) expect(weight).toBeCloseTo(0, 9);
  const logit = (value: number, index: number) => value * weights[index]! + bias[index]!;
  expect(logit(1, 0)).toBeGreaterThan(Math.max(logit(1, 1), logit(1, 2)));
  expect(logit(4, 2)).toBeGreaterThan(Math.max(logit(4, 1), logit(4, 0)));
});

describe('stopping', () => {
  it('ends the work and rejects with the reason', async () => {
    const stop = new AbortController();
    const reason = new Error('enough');
    const solving = solveHead({ ...noisy(300), signal: stop.signal, onProgress: () => stop.abort(reason) });
    await expect(solving).rejects.toBe(reason);
  });

  it('before the start begins nothing', async () => {
    await expect(solveHead({ ...problem, signal: AbortSignal.abort('no') })).rejects.toBe('no');
  });
});

const changed = (at: number, value: number) => problem.features.with(at, value);
it.each([
  ['too few features', { features: problem.features.subarray(1) }, '[60, 5] for as many labels, received 299 numbers'],
  ['features that are no numbers', { features: changed(7, Number.NaN) }, 'row 1 has NaN'],
  ['a label out of range', { classes: 3 }, 'labels from 0 to 2, received 3'],
  ['other groups', { groups: Int32Array.of(0) }, 'expected 60 groups, received 1'],
  ['no regularisation', { regularisation: 0 }, 'above 0, received 0'],
  ['more rounds than folds', { folds: 3, rounds: 4 }, 'received 3 and 4'],
])('refuses %s', async (_, change, message) => {
  await expect(solveHead({ ...problem, ...change })).rejects.toMatchObject({
    code: 'HEAD_FEATURES',
    message: expect.stringContaining(message),
  });
});
