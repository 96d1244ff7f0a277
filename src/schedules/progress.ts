import { OrtuneError } from '../errors.ts';

/** What makes a pass better than another. */
export interface ProgressRule {
  readonly mode: 'min' | 'max';
  /** A pass counts as better only if it gains more than this, in the metric's own unit. Default 0. */
  readonly minimumGain?: number;
  /** Stop after so many passes in a row without a gain; never by default. */
  readonly patience?: number;
}

/** Where a run stands; plain data, so it can be saved with a checkpoint. */
export interface Progress {
  /** The pass to keep, and its metric; absent while no pass had a finite one. */
  readonly best?: { readonly pass: number; readonly value: number };
  /** Passes since then. */
  readonly waited: number;
}

export interface ProgressStep {
  readonly progress: Progress;
  /** Whether this pass is the best so far: the moment to save its checkpoint. */
  readonly improved: boolean;
  /** Whether the patience is at its end. */
  readonly stop: boolean;
}

export const NO_PROGRESS: Progress = { waited: 0 };

/**
 * Takes a pass's metric in. A metric that is not a finite number is never better, and uses patience up. Of equals, the
 * first stays the best.
 *
 * @throws OrtuneError `OPTION` for a rule that makes no sense
 */
export function advance(progress: Progress, rule: ProgressRule, pass: number, value: number): ProgressStep {
  const { mode, minimumGain = 0, patience = Number.POSITIVE_INFINITY } = rule;
  if (!(minimumGain >= 0)) throw new OrtuneError('OPTION', `minimumGain: expected 0 or more, received ${minimumGain}`);
  if (!(patience >= 1)) throw new OrtuneError('OPTION', `patience: expected 1 pass or more, received ${patience}`);
  const { best } = progress;
  const gain = best === undefined ? Number.POSITIVE_INFINITY : mode === 'max' ? value - best.value : best.value - value;
  if (Number.isFinite(value) && gain > minimumGain) {
    return { progress: { best: { pass, value }, waited: 0 }, improved: true, stop: false };
  }
  const waited = progress.waited + 1;
  return { progress: { ...progress, waited }, improved: false, stop: waited >= patience };
}
