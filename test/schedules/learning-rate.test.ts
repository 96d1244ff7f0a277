import { describe, expect, it } from 'vitest';
import { type ScheduleOptions, schedule } from '../../src/schedules/index.ts';
import reference from './schedules.json' with { type: 'json' };

describe("PyTorch's schedulers", () => {
  it.each(reference.rates)('have the same factors: $options', ({ options, factors }) => {
    const at = schedule(options as ScheduleOptions);
    for (const [update, factor] of factors.entries()) {
      // Theirs multiplies from step to step, and rounds each time.
      expect(at(update, factors.length)).toBeCloseTo(factor, 9);
    }
  });
});

const ALL: ScheduleOptions[] = [
  { kind: 'constant' },
  { kind: 'step', milestones: [0.3, 0.6], factor: 0.5 },
  { kind: 'cosine', floor: 0.1 },
  { kind: 'one-cycle' },
  { kind: 'one-cycle', warmUp: 0.3 },
  { kind: 'cosine', warmUp: 0.9, warmUpFrom: 0 },
];

it.each(ALL)('stays within 0 and 1 in a run of any length, and beyond its end: %o', (options) => {
  const at = schedule(options);
  for (const total of [1, 2, 3, 4, 5, 10, 33]) {
    for (let update = 0; update < total + 3; update++) {
      expect(at(update, total)).toBeGreaterThanOrEqual(0);
      expect(at(update, total)).toBeLessThanOrEqual(1);
    }
    expect(at(total + 2, total)).toBe(at(total - 1, total));
  }
});

describe('warm-up', () => {
  it('rises in equal steps to where the schedule begins, which has the rest of the run', () => {
    const at = schedule({ kind: 'one-cycle', divFactor: 4, warmUp: 0.2, warmUpFrom: 0.5 });
    const bare = schedule({ kind: 'one-cycle', divFactor: 4 });
    expect([0, 1, 2, 3].map((update) => at(update, 20))).toEqual([0.125, 0.15625, 0.1875, 0.21875]);
    for (let update = 4; update < 20; update++) expect(at(update, 20)).toBe(bare(update - 4, 16));
  });

  it('leaves one update to the schedule', () => {
    expect(schedule({ kind: 'constant', warmUp: 0.99 })(9, 10)).toBe(1);
    expect(schedule({ kind: 'constant', warmUp: 0.99 })(0, 1)).toBe(1);
  });
});

it('a one-cycle that peaks before its first update only falls', () => {
  const at = schedule({ kind: 'one-cycle', pctStart: 0 });
  const factors = [0, 1, 2, 3, 4].map((update) => at(update, 5));
  expect(factors).toEqual(factors.toSorted((a, b) => b - a));
});

it.each([
  [{ kind: 'cosine', floor: 2 }, 'floor: expected a share of the learning rate, from 0 to 1, received 2'],
  [{ kind: 'constant', warmUp: 1 }, 'warmUp: expected'],
  [{ kind: 'constant', warmUp: Number.NaN }, 'received NaN'],
  [{ kind: 'constant', warmUp: 0.1, warmUpFrom: -1 }, 'warmUpFrom: expected'],
  [
    { kind: 'step', milestones: [0.5, 10], factor: 0.1 },
    'milestones: expected shares of the run, between 0 and 1, received 10',
  ],
  [{ kind: 'step', milestones: [], factor: 0 }, 'factor: expected a number above 0, received 0'],
  [{ kind: 'one-cycle', pctStart: 30 }, 'pctStart: expected'],
  [{ kind: 'one-cycle', divFactor: 0.5 }, 'divFactor: expected a number from 1 up, received 0.5'],
  [{ kind: 'one-cycle', finalDivFactor: 0 }, 'finalDivFactor: expected'],
] as [ScheduleOptions, string][])('refuses %j', (options, message) => {
  expect(() => schedule(options)).toThrow(
    expect.objectContaining({ code: 'OPTION', message: expect.stringContaining(message) }),
  );
});
