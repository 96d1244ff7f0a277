import type { EvaluationResult } from '../metrics/index.ts';
import type { Keeper } from '../progress/index.ts';
import { type AverageOptions, advance, NO_PROGRESS, type ScheduleOptions } from '../schedules/index.ts';
import type { BatchSource, TestPart } from './batch-source.ts';
import type { Emit, StepRecord } from './events.ts';
import { strayError } from './finite.ts';
import { PassState, type Rollback } from './pass-state.ts';
import { Divergence, goBack, isNotFinite, type Start } from './rollback.ts';
import type { Requests } from './run.ts';
import type { Training } from './session.ts';
import { testPass } from './test-pass.ts';
import { keepTop, rank, topFolder } from './top-passes.ts';
import { trainPass, Updates } from './train-pass.ts';

/** How a stage's passes go, as a user says it. */
export interface PassSettings {
  readonly passes: number;
  /** At the schedule's peak. */
  readonly learningRate: number;
  readonly schedule: ScheduleOptions;
  /** Whether each pass is followed by a test; `end`: only the result is tested. */
  readonly test: boolean | 'end';
  /** The part that passes are tested on and compared by. The result is tested on the test part in any case. */
  readonly watch: TestPart;
  /** `batches` also gives the mean over the test's batches, as the PaddlePaddle tutorial does. */
  readonly testMean: 'pictures' | 'batches';
  /** Which pass the result is: the last, or the one that tested best. */
  readonly keep: 'last' | 'best';
  /** So many of the passes that tested best are results of their own, in `<out>.top`; 0: none. */
  readonly keepTop: number;
  /** What passes are compared by. */
  readonly metric: 'top1' | 'meanPerClass' | 'cost';
  /**
   * What to do about a loss, a gradient or a parameter that is no finite number: `rollback` goes back to the last record of
   * how far the run had come, or to its start, and on at a tenth of the rate, three times at most.
   */
  readonly onNan: 'stop' | 'rollback';
  /** Ends the run after so many passes in a row without a gain. */
  readonly earlyStopping?: { readonly patience: number; readonly minimumGain?: number };
}

export interface PassOptions extends PassSettings {
  /** Folder of the run's result. */
  readonly out: string;
  /** Batches of one update. */
  readonly accumulate: number;
  /** What a picture of a class counts in the mean of the loss; 1 by default. */
  readonly weightOf?: ((label: number) => number) | undefined;
  /** Running averages of the parameters; the plan must have them too. */
  readonly ema?: AverageOptions | undefined;
  readonly classes: readonly string[];
  /** What the stage's result is made of, as it is now: parameters by name. */
  readonly values: () => Promise<Map<string, Uint8Array>>;
  /** What is asked of the run while it trains. */
  readonly requests: Requests;
  /** Keeps how far it has come, and what it goes on from. */
  readonly keeper?: Keeper | undefined;
  /** Saves what there is after some update, as a result of its own. */
  readonly save: (folder: string, result: PassesResult) => Promise<void>;
  readonly emit: Emit;
  readonly signal?: AbortSignal | undefined;
}

/** One pass's figures, each picture counting the same; those of the test are there where there was one. */
export interface PassResult {
  readonly pass: number;
  /** Of its last update. */
  readonly learningRate: number;
  readonly trainCost: number;
  readonly trainAccuracy: number;
  readonly testCost?: number;
  readonly testAccuracy?: number;
  readonly testTop5?: number;
  readonly testMeanPerClass?: number;
  /** Seconds for training and testing. */
  readonly seconds: number;
  /** Share of the training time that steps had to wait for pictures. */
  readonly dataWait: number;
}

export interface PassesResult {
  readonly history: readonly PassResult[];
  /** Every training step. */
  readonly steps: readonly StepRecord[];
  /** Number of the pass whose values these are. */
  readonly kept: number;
  readonly values: ReadonlyMap<string, Uint8Array>;
  /** Its test, on the part that was watched. */
  readonly evaluation: EvaluationResult | undefined;
  /** Returns to earlier states on the way. */
  readonly rollbacks: readonly Rollback[];
}

/**
 * Trains for some passes, testing after each.
 *
 * @throws OrtuneError `COST_NOT_FINITE`, `LOSS_SCALE`; the signal's reason when it is aborted, once how far the run has come is kept
 */
export async function runPasses(training: Training, source: BatchSource, options: PassOptions): Promise<PassesResult> {
  const found = options.keeper?.found;
  if (found?.record.askedRate !== undefined) options.requests.setLearningRate(found.record.askedRate);
  let start: Start = { found, rollbacks: found?.record.rollbacks ?? [] };
  for (;;) {
    try {
      return await passesFrom(start, training, source, options);
    } catch (error) {
      if (!(error instanceof Divergence)) throw error;
      start = await goBack(error, start, training, options);
    }
  }
}

/** @throws Divergence, and as {@link runPasses} */
async function passesFrom(
  { found, rollbacks }: Start,
  training: Training,
  source: BatchSource,
  options: PassOptions,
): Promise<PassesResult> {
  const { passes, keep, metric, earlyStopping, values, requests, keeper, emit, signal } = options;
  const { stepper } = training;
  const from = found?.record;
  const history = [...(from?.history ?? [])];
  const steps = [...(from?.steps ?? [])];
  const updates = new Updates(training, source, options, from, rollbacks.length);
  stepper.lossScale = from?.lossScale && [...from.lossScale];
  const rule = { ...earlyStopping, mode: metric === 'cost' ? 'min' : 'max' } as const;
  let progress = from?.progress ?? NO_PROGRESS;
  let best = found?.best;
  let top = from?.top ?? [];
  let evaluation = from?.evaluation;
  let ended = from?.ended ?? false;
  let state = new PassState(from?.pass ?? 0, from);
  const present = async (tested?: EvaluationResult) => ({
    kept: steps.at(-1)?.pass ?? 0,
    values: await values(),
    evaluation: tested,
  });
  const save = async (folder: string, tested?: EvaluationResult) =>
    options.save(folder, { history, steps, rollbacks, ...(await present(tested)) });
  /** Whether all that training moves is known to be finite, as it is now. */
  let sound = true;
  /** The loss shows what an earlier update has spoilt, not what this one has. */
  const findStray = async () => {
    const stray = sound ? undefined : await training.findStray('all');
    sound = stray === undefined;
    return stray;
  };
  const requireSound = async () => {
    const stray = await findStray();
    if (stray) throw strayError(`pass ${state.pass}, after ${state.batches} batches`, stray);
  };
  const write = async () => {
    await requireSound();
    const { learningRate: asked } = requests;
    const { lossScale } = stepper;
    const record = {
      ...state.record(),
      ...updates.record(),
      ...(asked !== undefined && { askedRate: asked }),
      ...(lossScale && { lossScale }),
      ...(evaluation && { evaluation }),
      ...{ history, steps, progress, ended, rollbacks, top },
    };
    await keeper?.write(record, best);
    // Not before: a run that goes on from an older record may want them.
    if (options.keepTop > 0) await keepTop(options.out, top);
  };
  /** @throws the signal's reason */
  const betweenUpdates = async (passEnded: boolean) => {
    sound &&= passEnded;
    await requests.settle({ save, values });
    signal?.throwIfAborted();
    if (keeper?.due(passEnded)) await write();
  };
  try {
    while (state.pass < passes && !ended) {
      const { pass } = state;
      const started = performance.now() - state.trainedMs;
      const trained = await trainPass(training, source, state, { updates, steps, betweenUpdates }, options);
      await requireSound();
      evaluation =
        options.test === true ? await testAndTell(training, source, pass, options.watch, options) : undefined;
      const seconds = (performance.now() - started) / 1000;
      history.push({ pass, ...trained, ...(evaluation && figuresOf(evaluation)), seconds });
      const value = evaluation?.[metric] ?? Number.NaN;
      const step = evaluation && advance(progress, rule, pass, value);
      if (step) progress = step.progress;
      if (keep === 'best' && step?.improved) best = { kept: pass, values: await values(), evaluation };
      if (evaluation && options.keepTop > 0) {
        top = rank(top, { pass, value }, { ...rule, count: options.keepTop });
        if (top.some((one) => one.pass === pass)) await save(topFolder(options.out, pass), evaluation);
      }
      if (requests.stopping) {
        emit({ type: 'stopped', pass });
        ended = true;
      } else if (step?.stop && pass + 1 < passes) {
        emit({ type: 'stopped', pass, best: progress.best?.pass ?? pass });
        ended = true;
      }
      state = new PassState(pass + 1);
      await betweenUpdates(true);
    }
    // The result's test and its files take a while.
    await write();
  } catch (error) {
    if (isNotFinite(error)) {
      const { pass, batches } = state;
      const { open, learningRate, made } = updates;
      throw new Divergence(error, { pass, batch: Math.max(0, open ? batches : batches - 1), learningRate }, made);
    }
    // In the middle of an update the running statistics have moved already: then the record before it has to do.
    if (signal?.aborted && error === signal.reason && !updates.open && !(await findStray())) await write();
    throw error;
  }
  return { history, steps, rollbacks, ...(best ?? (await present(evaluation))) };
}

/** A test that is told of. */
export async function testAndTell(
  training: Pick<Training, 'session'>,
  source: BatchSource,
  pass: number,
  part: TestPart,
  options: Pick<PassOptions, 'testMean' | 'classes' | 'emit' | 'signal'>,
): Promise<EvaluationResult> {
  const { evaluation, batchMean } = await testPass(training, source, pass, { ...options, part });
  const { cost, top1 } = evaluation;
  options.emit({
    type: 'test',
    pass,
    part,
    cost: cost ?? Number.NaN,
    accuracy: top1 ?? Number.NaN,
    ...(options.testMean === 'batches' && { batchMean }),
  });
  return evaluation;
}

/** An evaluation's figures as a row of the history has them. */
export const figuresOf = ({ cost, top1, top5, meanPerClass }: EvaluationResult) => ({
  ...(cost !== null && { testCost: cost }),
  ...(top1 !== null && { testAccuracy: top1 }),
  ...(top5 !== null && { testTop5: top5 }),
  ...(meanPerClass !== null && { testMeanPerClass: meanPerClass }),
});
