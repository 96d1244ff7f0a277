import { OrtuneError } from '../errors.ts';

/** How the learning rate moves over a run. All lengths are shares of the run, so a recipe holds for any number of passes. */
export type ScheduleShape =
  | { readonly kind: 'constant' }
  /** Multiplied by `factor` at each of the `milestones`, shares of the run: PyTorch's MultiStepLR. */
  | { readonly kind: 'step'; readonly milestones: readonly number[]; readonly factor: number }
  /** Half a cosine from 1 down to `floor` (Loshchilov and Hutter 2017, without restarts): PyTorch's CosineAnnealingLR. */
  | { readonly kind: 'cosine'; readonly floor?: number }
  /**
   * Up to 1 and down again, each by half a cosine (Smith and Topin 2018): PyTorch's OneCycleLR without momentum.
   * It begins at 1 / `divFactor`, peaks after `pctStart` of the run and ends at 1 / (`divFactor` * `finalDivFactor`).
   */
  | {
      readonly kind: 'one-cycle';
      readonly pctStart?: number;
      readonly divFactor?: number;
      readonly finalDivFactor?: number;
    };

/** A shape with its warm-up. */
export type ScheduleOptions = ScheduleShape & {
  /** Share of the run in which the factor rises linearly to where the schedule proper, on the rest, begins. */
  readonly warmUp?: number;
  /** Share of that beginning which the warm-up starts from. */
  readonly warmUpFrom?: number;
};

/** PyTorch's own defaults where it has one. */
const SCHEDULE_DEFAULTS = {
  floor: 0,
  pctStart: 0.3,
  divFactor: 25,
  finalDivFactor: 1e4,
  warmUp: 0,
  warmUpFrom: 0.01,
} as const;

/**
 * What the learning rate is multiplied by in an update: 1 at the schedule's peak.
 *
 * @param update counted from 0; beyond the last, the last one's factor
 * @param totalUpdates of the whole run
 */
export type Schedule = (update: number, totalUpdates: number) => number;

/**
 * A schedule from its description.
 *
 * @throws OrtuneError `OPTION` for a number out of its range
 */
export function schedule(options: ScheduleOptions): Schedule {
  const shape = shapeOf(options);
  const { warmUp, warmUpFrom } = { ...SCHEDULE_DEFAULTS, ...options };
  check('warmUp', warmUp, warmUp >= 0 && warmUp < 1, 'a share of the run from 0 up to, but not, 1');
  check('warmUpFrom', warmUpFrom, warmUpFrom >= 0 && warmUpFrom <= 1, 'a share from 0 to 1');
  return (update, totalUpdates) => {
    const at = Math.min(update, totalUpdates - 1);
    // One update is left to the schedule itself, however short the run is.
    const rising = Math.min(Math.round(warmUp * totalUpdates), totalUpdates - 1);
    const rest = totalUpdates - rising;
    if (at >= rising) return shape(at - rising, rest);
    return shape(0, rest) * (warmUpFrom + (1 - warmUpFrom) * (at / rising));
  };
}

function shapeOf(options: ScheduleShape): Schedule {
  switch (options.kind) {
    case 'constant':
      return () => 1;
    case 'step': {
      const { milestones, factor } = options;
      for (const share of milestones)
        check('milestones', share, share > 0 && share < 1, 'shares of the run, between 0 and 1');
      check('factor', factor, factor > 0 && factor < Number.POSITIVE_INFINITY, 'a number above 0');
      return (update, total) => factor ** milestones.filter((share) => update >= Math.round(share * total)).length;
    }
    case 'cosine': {
      const { floor } = { ...SCHEDULE_DEFAULTS, ...options };
      check('floor', floor, floor >= 0 && floor <= 1, 'a share of the learning rate, from 0 to 1');
      return (update, total) => between(1, floor, update / total);
    }
    case 'one-cycle': {
      const { pctStart, divFactor, finalDivFactor } = { ...SCHEDULE_DEFAULTS, ...options };
      check('pctStart', pctStart, pctStart >= 0 && pctStart <= 1, 'a share of the run, from 0 to 1');
      check('divFactor', divFactor, divFactor >= 1 && divFactor < Number.POSITIVE_INFINITY, 'a number from 1 up');
      check(
        'finalDivFactor',
        finalDivFactor,
        finalDivFactor > 0 && finalDivFactor < Number.POSITIVE_INFINITY,
        'a number above 0',
      );
      return (update, total) => {
        const peak = pctStart * total - 1;
        const last = total - 1;
        if (update < peak) return between(1 / divFactor, 1, update / peak);
        const down = last > peak ? (update - peak) / (last - peak) : 0;
        // A peak before the first update (pctStart * total < 1) is passed already when the run begins.
        return between(1, 1 / (divFactor * finalDivFactor), Math.max(down, 0));
      };
    }
  }
}

/** From `start` to `end` along half a cosine, `share` of the way. */
function between(start: number, end: number, share: number): number {
  return end + ((start - end) / 2) * (1 + Math.cos(Math.PI * share));
}

function check(name: string, received: number, fits: boolean, expected: string): void {
  if (!fits) throw new OrtuneError('OPTION', `schedule: ${name}: expected ${expected}, received ${received}`);
}
