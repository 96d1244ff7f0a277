import { describe, expect, it } from 'vitest';
import { Evaluation, type EvaluationResult, formatEvaluation } from '../../src/metrics/index.ts';
import reference from './evaluation.json' with { type: 'json' };

const NAMES = Array.from({ length: reference.classes }, (_, label) => `class ${label}`);
type Case = (typeof reference.cases)[number];

function softmax(logits: Float32Array, classes: number): Float32Array {
  const result = new Float32Array(logits.length);
  for (let row = 0; row < logits.length; row += classes) {
    const powers = Array.from(logits.subarray(row, row + classes), Math.exp);
    const sum = powers.reduce((a, b) => a + b, 0);
    result.set(
      powers.map((power) => power / sum),
      row,
    );
  }
  return result;
}

/** In batches of 7 pictures, the last one smaller. */
function evaluate({ logits, labels }: Case, kind: 'logits' | 'probabilities'): EvaluationResult {
  const evaluation = new Evaluation(NAMES);
  const scores = Float32Array.from(logits);
  for (let start = 0; start < labels.length; start += 7) {
    const part = scores.subarray(start * NAMES.length, (start + 7) * NAMES.length);
    evaluation.add({
      scores: kind === 'logits' ? part : softmax(part, NAMES.length),
      kind,
      labels: labels.slice(start, start + 7),
    });
  }
  return evaluation.result();
}

describe.each(['logits', 'probabilities'] as const)("from %s, scikit-learn's figures", (kind) => {
  it.each(reference.cases)('with $name', (expected) => {
    const result = evaluate(expected, kind);
    for (const name of ['cost', 'top1', 'top5', 'meanPerClass'] as const) {
      expect(result[name], name).toBeCloseTo(expected[name], 6);
    }
    for (const name of ['precision', 'recall', 'f1'] as const) {
      expect(result.macro[name], `macro ${name}`).toBeCloseTo(expected.macro[name], 9);
      for (const [label, value] of expected[name].entries()) {
        const own = result.classes[label]?.[name];
        if (value === null) expect(own, `${name} of ${label}`).toBeNull();
        else expect(own, `${name} of ${label}`).toBeCloseTo(value, 9);
      }
    }
    expect(result.classes.map(({ support }) => support)).toEqual(expected.support);
    expect(result.confusion).toEqual(expected.confusion);
    expect(result.calibration.error).toBeCloseTo(expected.calibration, 5);
    expect(result).toMatchObject({ pictures: expected.labels.length, notFinite: 0 });
  });
});

it('the cases have what they are named for', () => {
  const nulls = reference.cases.map(({ precision, recall }) =>
    [precision, recall].map((of) => of.indexOf(null as never)),
  );
  expect(nulls).toEqual([
    [-1, -1],
    [3, -1],
    [expect.any(Number), 5],
    [2, 2],
  ]);
});

it('is plain data', () => {
  const result = evaluate(reference.cases[3] as Case, 'logits');
  expect(JSON.parse(JSON.stringify(result))).toEqual(result);
});

/** Probabilities of two classes, right or wrong as told. */
function add(evaluation: Evaluation, confidence: number, right: boolean, pictures = 1) {
  const scores = Float32Array.of(confidence, 1 - confidence);
  for (let picture = 0; picture < pictures; picture++) {
    evaluation.add({ scores, kind: 'probabilities', labels: [right ? 0 : 1] });
  }
}

describe('the calibration', () => {
  it('is the mean gap between how sure and how right, by bins of certainty', () => {
    const evaluation = new Evaluation(['a', 'b'], { bins: 4 });
    add(evaluation, 0.625, true, 3);
    add(evaluation, 0.625, false);
    add(evaluation, 0.875, true, 2);
    add(evaluation, 1, false, 2);
    const { error, bins } = evaluation.result().calibration;
    // |3/4 - 0.625| of four pictures, |2/4 - 0.9375| of four.
    expect(error).toBe((0.125 + 0.4375) / 2);
    expect(bins).toEqual([
      { from: 0, to: 0.25, pictures: 0, confidence: null, accuracy: null },
      { from: 0.25, to: 0.5, pictures: 0, confidence: null, accuracy: null },
      { from: 0.5, to: 0.75, pictures: 4, confidence: 0.625, accuracy: 0.75 },
      { from: 0.75, to: 1, pictures: 4, confidence: 0.9375, accuracy: 0.5 },
    ]);
  });

  it('counts a picture on a border to the bin below', () => {
    const evaluation = new Evaluation(['a', 'b'], { bins: 4 });
    add(evaluation, 0.75, true);
    expect(evaluation.result().calibration.bins.map(({ pictures }) => pictures)).toEqual([0, 0, 1, 0]);
  });
});

describe('equal scores', () => {
  it('are in the order of the classes, for the first place and the fifth', () => {
    const evaluation = new Evaluation(['a', 'b', 'c', 'd', 'e', 'f', 'g']);
    const scores = new Float32Array(7).fill(1 / 7);
    for (const label of [0, 4, 5]) evaluation.add({ scores, kind: 'probabilities', labels: [label] });
    const { top1, top5, confusion } = evaluation.result();
    expect({ top1, top5 }).toEqual({ top1: 1 / 3, top5: 2 / 3 });
    expect(confusion.map((row) => row[0])).toEqual([1, 0, 0, 0, 1, 1, 0]);
  });
});

describe('scores that are no numbers', () => {
  const evaluation = new Evaluation(['a', 'b']);
  evaluation.add({ scores: Float32Array.of(Number.NaN, 1, 0.9, 0.1), kind: 'probabilities', labels: [0, 0] });
  const result = evaluation.result();

  it('count as wrong, and leave the cost without a value', () => {
    expect(result).toMatchObject({ pictures: 2, notFinite: 1, cost: null, top1: 0.5, top5: 0.5, meanPerClass: 0.5 });
    expect(result.classes[0]).toMatchObject({ support: 2, predicted: 1, correct: 1, precision: 1, recall: 0.5 });
  });

  it('are told of', () => {
    expect(formatEvaluation(result)).toContain('1 pictures got scores that are no numbers');
  });
});

describe('lists', () => {
  const evaluation = new Evaluation(['a', 'b', 'c'], { listed: 2 });
  const rows: [string, number, number[]][] = [
    ['fine.jpg', 0, [0.9, 0.05, 0.05]],
    ['bad.jpg', 0, [0.01, 0.09, 0.9]],
    ['worse.jpg', 1, [0, 0.001, 0.999]],
    ['same.jpg', 0, [0.2, 0.2, 0.6]],
    ['other.jpg', 2, [0.3, 0.5, 0.2]],
  ];
  for (const [picture, label, scores] of rows) {
    evaluation.add({ scores: Float32Array.from(scores), kind: 'probabilities', labels: [label], pictures: [picture] });
  }
  const result = evaluation.result();

  it('have the pairs that are confused most, of equals the larger share of its class', () => {
    expect(result.mostConfused).toEqual([
      { label: 'a', predicted: 'c', pictures: 2, share: 2 / 3 },
      { label: 'b', predicted: 'c', pictures: 1, share: 1 },
    ]);
  });

  it('have the pictures that cost most, the worst first', () => {
    expect(result.topLosses).toEqual([
      expect.objectContaining({
        picture: 'worse.jpg',
        label: 'b',
        predicted: 'c',
        cost: expect.closeTo(-Math.log(0.001), 4),
      }),
      expect.objectContaining({
        picture: 'bad.jpg',
        probability: expect.closeTo(0.01, 6),
        confidence: expect.closeTo(0.9, 6),
      }),
    ]);
  });

  it('are shown with the figures', () => {
    const text = formatEvaluation(result);
    expect(text).toMatch(/^5 pictures of 3 classes\n {2}top-1 +20\.0 %\n/);
    expect(text).toMatch(/a taken for c +2 +66\.7 %/);
    expect(text).toMatch(/worse\.jpg +b 0\.1 % +c 99\.9 %/);
  });
});

it('a probability of 0 costs what 2^-23 does', () => {
  const evaluation = new Evaluation(['a', 'b']);
  add(evaluation, 1, false);
  expect(evaluation.result().cost).toBeCloseTo(23 * Math.LN2, 10);
});

it('without pictures has no figures', () => {
  const { pictures, cost, top1, meanPerClass, calibration } = new Evaluation(['a', 'b']).result();
  expect({ pictures, cost, top1, meanPerClass, error: calibration.error }).toEqual({
    pictures: 0,
    cost: null,
    top1: null,
    meanPerClass: null,
    error: null,
  });
});

it.each([
  [{ scores: new Float32Array(3), labels: [0, 1] }, 'expected 2 x 2 scores, received 3'],
  [{ scores: new Float32Array(2), labels: [0], pictures: [] }, 'with 0 names'],
  [{ scores: new Float32Array(2), labels: [2] }, 'label 2 is none of 2 classes'],
  [{ scores: new Float32Array(2), labels: [-1n] }, 'label -1 is none'],
])('scores that do not fit are a defect: %#', (batch, message) => {
  expect(() => new Evaluation(['a', 'b']).add({ kind: 'logits', ...batch })).toThrow(message);
});
