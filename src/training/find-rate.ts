import { LOSS } from '../../onnx/index.ts';
import { OrtuneError } from '../errors.ts';
import { plotRates, RATE_FINDER_DEFAULTS, RateFinder, type RateSuggestion, suggestRate } from '../schedules/index.ts';
import type { KeepOptions } from './keep.ts';
import type { FinetuneOptions } from './options.ts';
import { type Run, type RunContext, type RunOptions, startRun } from './run.ts';
import { openStageTwo } from './stage-two.ts';

/** As for `finetune`, and how far the search goes. */
export interface FindRateOptions extends Omit<FinetuneOptions, keyof KeepOptions> {
  /** Training steps, each at a higher rate than the one before. */
  readonly steps?: number;
}

/** What a search for a learning rate found. */
export interface FoundRate {
  readonly suggestion: RateSuggestion;
  /** The range test as an SVG picture. */
  readonly plot: string;
}

/**
 * Looks for a learning rate for stage two: trains with a rate that grows from step to step until the loss diverges. What
 * was trained is thrown away.
 *
 * @throws OrtuneError as `finetune`; `RATE_NOT_FOUND` when the loss fell at no rate
 */
export function findRate({ onEvent, signal, ...options }: FindRateOptions): Run<FoundRate> {
  return startRun({ onEvent, signal }, (context) => tryRates(options, context));
}

async function tryRates(
  { steps = RATE_FINDER_DEFAULTS.steps, ...options }: Omit<FindRateOptions, keyof RunOptions>,
  context: RunContext,
): Promise<FoundRate> {
  const { emit, signal } = context;
  await using stage = await openStageTwo(options, context);
  const { source, training } = stage;
  const finder = new RateFinder({ ...RATE_FINDER_DEFAULTS, steps });
  for (let pass = 0; !finder.done; pass++) {
    for await (const { feeds } of source.train(pass)) {
      signal?.throwIfAborted();
      await training.stepper.setLearningRate(finder.rate);
      const { outputs } = await training.stepper.step({ ...feeds }, { share: 1, last: true });
      finder.add(outputs[LOSS]?.data[0] as number);
      emit({ type: 'progress', task: 'rates', done: finder.points.length, total: steps });
      if (finder.done) break;
    }
  }
  const suggestion = suggestRate(finder.points);
  if (!suggestion) {
    throw new OrtuneError(
      'RATE_NOT_FOUND',
      `expected a loss that falls at some rate, but it rose from the start of ${finder.points.length} steps. ` +
        'Check labels and weights, or take more --steps.',
    );
  }
  return { suggestion, plot: plotRates(finder.points, suggestion) };
}
