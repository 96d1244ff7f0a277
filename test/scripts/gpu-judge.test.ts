import { describe, expect, test } from 'vitest';
import { compareLosses, faultsOf, TOLERANCES, throughput } from '../../scripts/gpu/judge.ts';
import type { TrialResult } from '../../scripts/gpu/trial.ts';

const result = (change: Partial<TrialResult> = {}): TrialResult => ({
  losses: [4, 3, 2],
  stepSeconds: [1, 1, 1],
  loopSeconds: [1, 1, 1],
  overflows: 0,
  nodes: [],
  ...change,
});

describe('losses', () => {
  test('are compared with the larger of 1 and the loss that is expected', () => {
    const { first, later } = compareLosses([4.4, 0.3], [4, 0.1], 'fp32');
    expect(first).toBeCloseTo(0.1);
    expect(later).toBeCloseTo(0.2);
  });

  test('the first may differ less than those after updates', () => {
    const { first, later } = TOLERANCES.fp32;
    expect(compareLosses([4 * (1 + first * 0.9), 4 * (1 + later * 0.9)], [4, 4], 'fp32').ok).toBe(true);
    expect(compareLosses([4 * (1 + later * 0.9), 4], [4, 4], 'fp32').ok).toBe(false);
    expect(compareLosses([4, 4 * (1 + later * 1.1)], [4, 4], 'fp32').ok).toBe(false);
  });

  test.each([
    ['not a number', [4, Number.NaN]],
    ['infinite', [Number.POSITIVE_INFINITY, 3]],
    ['missing', [4]],
    ['missing altogether', []],
  ])('are wrong when one is %s', (_, losses) => {
    expect(compareLosses(losses, [4, 3], 'fp16').ok).toBe(false);
  });

  test('of one step have no later ones', () => {
    expect(compareLosses([4], [4], 'fp32')).toMatchObject({ first: 0, later: 0, ok: true });
  });

  test('are right to a looser tolerance the fewer digits there are', () => {
    for (const part of ['first', 'later'] as const) {
      expect(TOLERANCES.fp32[part]).toBeLessThan(TOLERANCES.tf32[part]);
      expect(TOLERANCES.tf32[part]).toBeLessThan(TOLERANCES.fp16[part]);
    }
  });
});

describe('a trial', () => {
  const node = { node: 'conv1', op: 'Conv', milliseconds: 1, bytes: 8 };
  const cuda = { precision: 'fp32', device: 'cuda' } as const;

  test('is right when its losses are and its heavy nodes ran on the GPU', () => {
    const nodes = [
      { ...node, provider: 'CUDAExecutionProvider' },
      { ...node, op: 'Shape', provider: 'CPUExecutionProvider' },
    ];
    expect(faultsOf(result({ nodes }), [4, 3, 2], cuda)).toEqual([]);
  });

  test('is wrong when a heavy node fell to the CPU', () => {
    const nodes = [{ ...node, provider: 'CPUExecutionProvider' }];
    expect(faultsOf(result({ nodes }), [4, 3, 2], cuda)).toEqual(['not run by cuda: 1 heavy node, conv1 first']);
    expect(faultsOf(result({ nodes }), [4, 3, 2], { ...cuda, device: 'cpu' })).toEqual([]);
  });

  test('is wrong when a loss is off, and says by how much', () => {
    expect(faultsOf(result(), [4, 3, 1], cuda)).toEqual([
      'its losses are off by 0.0e+0 at step 1 (allowed 0.0001) and up to 1.0e+0 later (allowed 0.02)',
    ]);
  });
});

test('pictures per second go by the median step after the first ones', () => {
  expect(throughput([9, 9, 9, 0.5, 0.25, 1, 0.5, 9, 0.4, 0.5, 0.5, 0.5], 32)).toBe(64);
  expect(throughput([9, 1, 3, 2], 8)).toBe(4);
  expect(throughput([4], 8)).toBe(2);
});
