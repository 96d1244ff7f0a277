import { counted } from '../../src/inspect/text.ts';
import { isHeavy, strayNodes } from './profile.ts';
import type { Precision, TrialResult } from './trial.ts';

/** Largest difference of a loss from the CPU's, relative to the larger of 1 and the CPU's. */
export interface Tolerance {
  /** Before any update: rounding of one forward pass. */
  readonly first: number;
  /** After updates, each of which carries the rounding of those before it on. */
  readonly later: number;
}

/**
 * Two to three times what two trainings on the CPU differed by over 20 steps, at a quarter of the width and 64 px, when
 * one began with weights changed by 1e-6 (fp32: 2e-6 at first, 9e-3 later) or 2^-11 (TF32: 6e-4, 2e-2); at first more,
 * for roundings of every layer.
 */
export const TOLERANCES: Readonly<Record<Precision, Tolerance>> = {
  fp32: { first: 1e-4, later: 2e-2 },
  tf32: { first: 5e-3, later: 5e-2 },
  fp16: { first: 1e-2, later: 1e-1 },
};

export interface Comparison {
  readonly first: number;
  /** The largest of the later steps; 0 where there is none. */
  readonly later: number;
  readonly tolerance: Tolerance;
  readonly ok: boolean;
}

/** Compares the losses of the same steps; a loss that is not finite, or a missing one, is never right. */
export function compareLosses(
  losses: readonly number[],
  reference: readonly number[],
  precision: Precision,
): Comparison {
  const tolerance = TOLERANCES[precision];
  const differences = reference.map((expected, step) => {
    const difference = Math.abs((losses[step] ?? Number.NaN) - expected) / Math.max(1, Math.abs(expected));
    return Number.isFinite(difference) ? difference : Number.POSITIVE_INFINITY;
  });
  const first = differences[0] ?? Number.POSITIVE_INFINITY;
  const later = Math.max(0, ...differences.slice(1));
  return { first, later, tolerance, ok: first <= tolerance.first && later <= tolerance.later };
}

/** Pictures per second, from the median of the steps after the first quarter (three at most), which warm up. */
export function throughput(seconds: readonly number[], batchSize: number): number {
  const warm = seconds.slice(Math.min(3, Math.floor(seconds.length / 4))).sort((a, b) => a - b);
  const middle = warm.length / 2;
  const median = ((warm[Math.floor(middle)] ?? Number.NaN) + (warm[Math.ceil(middle) - 1] ?? Number.NaN)) / 2;
  return batchSize / median;
}

/** What is wrong with a trial. */
export function faultsOf(
  result: TrialResult,
  reference: readonly number[],
  { precision, device }: { precision: Precision; device: 'cpu' | 'cuda' },
): string[] {
  const { ok, first, later, tolerance } = compareLosses(result.losses, reference, precision);
  const heavy = strayNodes(result.nodes, device).filter(isHeavy);
  return [
    ...(ok
      ? []
      : [
          `its losses are off by ${first.toExponential(1)} at step 1 (allowed ${tolerance.first}) and up to ${later.toExponential(1)} later (allowed ${tolerance.later})`,
        ]),
    ...(heavy.length > 0
      ? [`not run by ${device}: ${counted(heavy.length, 'heavy node')}, ${heavy[0]?.node} first`]
      : []),
  ];
}
