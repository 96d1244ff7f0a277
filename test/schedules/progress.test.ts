import { describe, expect, it } from 'vitest';
import { advance, NO_PROGRESS, type ProgressRule } from '../../src/schedules/index.ts';

/** Runs until it stops or the values end. */
function follow(values: readonly number[], rule: ProgressRule) {
  let progress = NO_PROGRESS;
  const improved: number[] = [];
  for (const [pass, value] of values.entries()) {
    const step = advance(progress, rule, pass, value);
    progress = step.progress;
    if (step.improved) improved.push(pass);
    if (step.stop) return { improved, best: progress.best?.pass, stoppedAfter: pass };
  }
  return { improved, best: progress.best?.pass, stoppedAfter: undefined };
}

describe('the best pass', () => {
  it.each<[string, number[], ProgressRule, object]>([
    ['is the highest, the first of equals', [0.5, 0.7, 0.6, 0.7], { mode: 'max' }, { improved: [0, 1], best: 1 }],
    ['is the lowest of costs', [3, 2, 2.5, 1], { mode: 'min' }, { improved: [0, 1, 3], best: 3 }],
    [
      'needs more than the minimum gain',
      [0.5, 0.505, 0.511],
      { mode: 'max', minimumGain: 0.01 },
      { improved: [0, 2], best: 2 },
    ],
    [
      'is never one without a number',
      [Number.NaN, 0.2, Number.POSITIVE_INFINITY],
      { mode: 'max' },
      { improved: [1], best: 1 },
    ],
    ['may not be there', [Number.NaN], { mode: 'min' }, { improved: [], best: undefined }],
  ])('%s', (_, values, rule, expected) => {
    expect(follow(values, rule)).toEqual({ stoppedAfter: undefined, ...expected });
  });
});

describe('stopping', () => {
  it.each<[string, number[], ProgressRule, number | undefined]>([
    ['comes when the patience ends', [1, 2, 2, 2, 5], { mode: 'max', patience: 2 }, 3],
    ['is put off by a gain', [1, 1, 2, 2, 3], { mode: 'max', patience: 2 }, undefined],
    ['counts passes without a number', [1, Number.NaN, Number.NaN], { mode: 'min', patience: 2 }, 2],
    ['counts gains that are too small', [1, 1.1, 1.2], { mode: 'max', patience: 2, minimumGain: 0.5 }, 2],
    ['never comes without patience given', [1, 0, 0, 0, 0], { mode: 'max' }, undefined],
  ])('%s', (_, values, rule, after) => {
    expect(follow(values, rule).stoppedAfter).toBe(after);
  });
});

it('goes on from a saved state as if it had not been interrupted', () => {
  const rule: ProgressRule = { mode: 'max', patience: 3 };
  const { progress } = advance(advance(NO_PROGRESS, rule, 0, 0.9).progress, rule, 1, 0.8);
  const restored = JSON.parse(JSON.stringify(progress));
  expect(restored).toEqual(progress);
  expect(advance(restored, rule, 2, 0.7)).toEqual(advance(progress, rule, 2, 0.7));
});

it.each([
  [{ mode: 'max', patience: 0 }, 'patience: expected 1 pass or more, received 0'],
  [{ mode: 'max', minimumGain: -1 }, 'minimumGain: expected 0 or more, received -1'],
] as [ProgressRule, string][])('refuses %j', (rule, message) => {
  expect(() => advance(NO_PROGRESS, rule, 0, 1)).toThrow(expect.objectContaining({ code: 'OPTION', message }));
});
