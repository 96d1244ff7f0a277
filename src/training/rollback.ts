import { OrtuneError } from '../errors.ts';
import type { Found } from '../progress/index.ts';
import { findingOf } from './finite.ts';
import type { Rollback } from './pass-state.ts';
import type { PassOptions } from './passes.ts';
import type { Training } from './session.ts';

/** Returns to an earlier state in a run. */
const MOST = 3;

/** Where training begins or goes on. */
export interface Start {
  /** Left out: with the model's own values. */
  readonly found: Found | undefined;
  readonly rollbacks: readonly Rollback[];
}

/** Whether an error tells of a loss, a gradient or a parameter that is no finite number. */
export const isNotFinite = (error: unknown): error is OrtuneError =>
  error instanceof OrtuneError && (error.code === 'COST_NOT_FINITE' || error.code === 'LOSS_SCALE');

/** Such an error, with where training was. */
export class Divergence extends Error {
  override readonly cause: OrtuneError;
  readonly at: Pick<Rollback, 'pass' | 'batch' | 'learningRate'>;
  /** Updates that the parameters had had by then. */
  readonly updates: number;

  constructor(cause: OrtuneError, at: Divergence['at'], updates: number) {
    super(cause.message);
    this.cause = cause;
    this.at = at;
    this.updates = updates;
  }
}

/**
 * Puts the last good state back, if that is what is wanted.
 *
 * @returns where training goes on
 * @throws OrtuneError that of the divergence, with what there is to go on from
 */
export async function goBack(
  { cause, at, updates }: Divergence,
  { rollbacks }: Start,
  training: Training,
  { onNan, keeper, emit }: Pick<PassOptions, 'onNan' | 'keeper' | 'emit'>,
): Promise<Start> {
  const goesBack = onNan === 'rollback' && rollbacks.length < MOST;
  // A record of the same parameters would lead to the same: what it was made of was finite, but too large to go on from.
  const found = await keeper?.newest({ before: updates, discard: goesBack });
  if (!goesBack || updates === 0) {
    throw new OrtuneError(cause.code, `${cause.message} ${outlook(found, { updates, rollbacks, onNan })}`, { cause });
  }
  const { pass = 0, batches = 0, steps = [] } = found?.record ?? {};
  const rollback = { ...at, reason: findingOf(cause), to: { pass, batches, steps: steps.length } };
  await training.restart(found?.checkpoint);
  emit({ type: 'rollback', ...rollback });
  return { found, rollbacks: [...rollbacks, rollback] };
}

/** What there is to go on from, in words. */
function outlook(
  found: Found | undefined,
  { updates, rollbacks, onNan }: { updates: number; rollbacks: readonly Rollback[]; onNan: PassOptions['onNan'] },
): string {
  if (updates === 0) return 'No update had been made: the cause is not the rate, but what training began with.';
  const tried =
    rollbacks.length > 0 ? `Training had gone back ${rollbacks.length} times, each time to a tenth of the rate. ` : '';
  if (!found) return `${tried}There is no record of the run to go on from.`;
  const { pass, batches } = found.record;
  const remedy =
    onNan === 'stop'
      ? ': --resume --on-nan rollback goes on from it, at a tenth of the rate where this comes again'
      : '';
  return `${tried}The last good state is ${found.folder} (pass ${pass}, ${batches} batches)${remedy}.`;
}
