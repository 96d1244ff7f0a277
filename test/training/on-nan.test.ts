import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildResNet, encodeModel, HEAD_PARAMETERS, LOGITS, LOSS, withInitializers } from '../../onnx/index.ts';
import { decodeCheckpoint } from '../../onnx/read-checkpoint.ts';
import { type Dataset, nameOf, passOrder } from '../../src/data/index.ts';
import { OrtuneError } from '../../src/errors.ts';
import type { Found, Keeper } from '../../src/progress/index.ts';
import { linesOf } from '../../src/report/lines.ts';
import {
  type FinetuneOptions,
  finetune,
  type PretrainOptions,
  pretrain,
  type TrainingEvent,
} from '../../src/training/index.ts';
import { type PassOptions, runPasses } from '../../src/training/passes.ts';
import type { Training } from '../../src/training/session.ts';
import { openWorkshop, passOptions, TINY, type Workshop } from './workshop.ts';

let workshop: Workshop;
const stageOne = (out: string) => workshop.stageOne(out);
const stageTwo = (out: string) => workshop.stageTwo(out);
/** A head that this rate spoils in the second pass, and a tenth of it does not. */
const spoiltHead = { learningRate: 1e19 } as const;
/** The same with all that an update can have, stage two. */
const spoiltUpdates = {
  train: ['fc_*'],
  optimizer: 'adamw',
  accumulate: 2,
  ema: { decay: 0.9 },
  schedule: { kind: 'one-cycle' },
  learningRate: 1e36,
} as const;

beforeAll(async () => {
  workshop = await openWorkshop();
  await pretrain({ ...stageOne(workshop.path('one')), passes: 1 });
});
afterAll(() => workshop.remove());

type Rollback = Extract<TrainingEvent, { type: 'rollback' }>;

/** The events of a run, and its error. */
async function told(run: (onEvent: (event: TrainingEvent) => void) => Promise<unknown>) {
  const events: TrainingEvent[] = [];
  const error = await run((event) => events.push(event)).then(
    () => undefined,
    (error: unknown) => error as OrtuneError,
  );
  const rollbacks = events.filter((event): event is Rollback => event.type === 'rollback');
  return { events, rollbacks, error };
}

/** Whether all numbers in the newest records of a run are finite. */
async function recordsOf(out: string): Promise<{ names: string[]; finite: boolean }> {
  const folder = `${out}.progress`;
  const names = (await readdir(folder).catch(() => [])).sort();
  const isSound = async (name: string) => {
    const { trainable, frozen } = decodeCheckpoint(await readFile(join(folder, name, 'checkpoint')), name);
    return [...trainable, ...frozen].every(({ data }) =>
      new Float32Array(new Uint8Array(data!).buffer).every((value) => Number.isFinite(value)),
    );
  };
  return { names, finite: (await Promise.all(names.map(isSound))).every(Boolean) };
}

describe('a run that comes to what is no number', () => {
  it('stops with batch, rate and the last good record, from which it can go on', async () => {
    const out = workshop.path('stopped');
    const { error, events } = await told((onEvent) =>
      pretrain({ ...stageOne(out), ...spoiltHead, recordEvery: 0, onEvent }),
    );
    const { dataset } = events.find((event) => event.type === 'dataset') as { dataset: Dataset };
    const batch = passOrder(24, { shuffle: true, seed: 0, pass: 1 }).subarray(6, 12);
    const names = Array.from(batch, (row) => nameOf(dataset, dataset.train[row]!)).join(', ');
    expect(error).toMatchObject({
      code: 'COST_NOT_FINITE',
      message:
        'after pass 1, batch 1 (step 5, learning rate 10000000000000000000): expected finite parameters, received NaN in fc_0.w_0. ' +
        `The batch: ${names}. Nothing was saved; try a lower --lr. ` +
        `The last good state is ${out}.progress/000006 (pass 1, 1 batches): ` +
        '--resume --on-nan rollback goes on from it, at a tenth of the rate where this comes again.',
    });
    expect(await readdir(workshop.folder)).not.toContain('stopped');
    expect(await recordsOf(out)).toEqual({ names: ['000005', '000006'], finite: true });

    await pretrain({ ...stageOne(out), ...spoiltHead, resume: true, onNan: 'rollback' });
    const { rollbacks, history } = JSON.parse(await readFile(join(out, 'run.json'), 'utf8'));
    expect(rollbacks).toMatchObject([{ pass: 1, batch: 1, learningRate: 1e19, to: { pass: 1, batches: 1, steps: 5 } }]);
    expect(history.at(-1).learningRate).toBe(1e18);
    expect(await readdir(workshop.folder)).not.toContain('stopped.progress');
  });

  it('goes back to its start where nothing is kept yet, and tells of it everywhere', async () => {
    const out = workshop.path('anew');
    const { rollbacks, events, error } = await told((onEvent) =>
      finetune({ ...stageTwo(out), ...spoiltUpdates, onNan: 'rollback', onEvent }),
    );
    expect(error).toBeUndefined();
    const [rollback] = rollbacks;
    expect(rollbacks).toHaveLength(1);
    expect(rollback).toMatchObject({ pass: 1, batch: 0, to: { pass: 0, batches: 0, steps: 0 } });
    expect(rollback?.reason).toMatch(/^pass 1, batch 0 \(step 4, .*received Infinity\. The batch: [^:]*\.$/);
    expect(linesOf(rollback!, {})).toEqual([`Back to pass 0, batch 0, at a tenth of the rate: ${rollback?.reason}`]);
    const run = JSON.parse(await readFile(join(out, 'run.json'), 'utf8'));
    const { type: _, ...recorded } = rollback!;
    expect(run.rollbacks).toEqual([recorded]);
    const report = await readFile(join(out, 'report.html'), 'utf8');
    expect(/Training went back to [^<]*/.exec(report)?.[0]).toMatch(
      /^Training went back to pass 1, after 0.batches of it, and on at a tenth of the rate\. pass 1, batch 0 /,
    );
    // Each step once, all at a tenth.
    const rates = (await readFile(join(out, 'steps.csv'), 'utf8')).trim().split('\r\n').slice(1);
    expect(rates).toHaveLength(12);
    const before = events.filter((event) => event.type === 'batch');
    for (const [step, row] of rates.slice(0, 4).entries()) {
      expect(Number(row.split(',')[3])).toBeCloseTo(before[step]!.learningRate / 10, -30);
    }
  });

  it('goes back three times at most', async () => {
    const { rollbacks, error } = await told((onEvent) =>
      pretrain({ ...stageOne(workshop.path('thrice')), learningRate: 1e30, onNan: 'rollback', onEvent }),
    );
    const rates = rollbacks.map(({ learningRate }) => Math.log10(learningRate));
    for (const [index, rate] of rates.entries()) expect(rate).toBeCloseTo(30 - index, 6);
    expect(rates).toHaveLength(3);
    expect(error).toMatchObject({
      code: 'COST_NOT_FINITE',
      message: expect.stringMatching(
        /rate 1e\+27\).*Training had gone back 3 times, each time to a tenth of the rate\./,
      ),
    });
  });

  it('does not go back where it had not begun: then the rate is not the cause', async () => {
    const [, bias] = HEAD_PARAMETERS;
    const values = new Map([[bias, new Uint8Array(new Float32Array([0, Number.NaN, 0]).buffer)]]);
    await writeFile(workshop.path('spoilt.onnx'), encodeModel(withInitializers(buildResNet(TINY), values)));
    const { rollbacks, error } = await told((onEvent) =>
      pretrain({ ...stageOne(workshop.path('none')), graph: workshop.path('spoilt.onnx'), onNan: 'rollback', onEvent }),
    );
    expect(rollbacks).toEqual([]);
    expect(error?.message).toMatch(/^pass 0, batch 0 .*NaN.*No update had been made: the cause is not the rate/);
  });

  it("does not go back to another run's record", async () => {
    const out = workshop.path('other');
    const interrupt = new AbortController();
    const stop = (event: TrainingEvent) => event.type === 'batch' && interrupt.abort(new Error('stopped'));
    await expect(pretrain({ ...stageOne(out), onEvent: stop, signal: interrupt.signal })).rejects.toThrow('stopped');
    expect((await recordsOf(out)).names).toHaveLength(1);
    const { rollbacks } = await told((onEvent) =>
      pretrain({ ...stageOne(out), ...spoiltHead, onNan: 'rollback', onEvent }),
    );
    expect(rollbacks).toMatchObject([{ to: { pass: 0, batches: 0, steps: 0 } }]);
  });
});

describe('a good state', () => {
  // The loss shows what is no number a batch after the update that has made it.
  const hidden = { learningRate: 1e10 } as const;

  it('has finite parameters, whatever the loss is', async () => {
    const out = workshop.path('hidden');
    const { error, events } = await told((onEvent) =>
      finetune({ ...stageTwo(out), ...hidden, recordEvery: 0, onEvent }),
    );
    expect(error?.message).toMatch(/expected finite parameters, received (NaN|-?Infinity) in /);
    expect(events.some(({ type }) => type === 'kept')).toBe(true);
    expect((await recordsOf(out)).finite).toBe(true);
    await rm(`${out}.progress`, { recursive: true });
  });

  it('has them when it is kept on the way out, too', async () => {
    const out = workshop.path('way-out');
    const interrupt = new AbortController();
    const stop = (event: TrainingEvent) =>
      event.type === 'batch' && event.step === 1 && interrupt.abort(new Error('stopped'));
    const run = finetune({ ...stageTwo(out), ...hidden, onEvent: stop, signal: interrupt.signal });
    await expect(run).rejects.toThrow('stopped');
    expect(await recordsOf(out)).toEqual({ names: [], finite: true });
  });

  it('is one that training can go on from: finite parameters may be too large', async () => {
    const { rollbacks } = await told((onEvent) =>
      finetune({
        ...stageTwo(workshop.path('too-large')),
        ...{ learningRate: 1e30, recordEvery: 0, onNan: 'rollback', onEvent },
      }),
    );
    // The second batch fails by the first update, after which a record was written.
    expect(rollbacks[0]).toMatchObject({ pass: 0, batch: 1, to: { pass: 0, batches: 0, steps: 0 } });
  });
});

describe('a run that is stopped after it went back', () => {
  /** All that does not depend on time. */
  const resultOf = async (folder: string) => {
    const { rollbacks, kept } = JSON.parse(await readFile(join(folder, 'run.json'), 'utf8'));
    const names = (await readdir(folder))
      .filter((name) => !/^(run\.json|history\.csv|report\.html)$/.test(name))
      .sort();
    const files = await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name), 'base64')]));
    return { rollbacks, kept, files };
  };

  it.each<[string, (out: string) => Promise<unknown> | unknown, boolean]>([
    ['stage one', () => ({ ...stageOne(''), ...spoiltHead }), true],
    ['stage two, with accumulation, averages and a schedule', () => ({ ...stageTwo(''), ...spoiltUpdates }), false],
  ])('goes on to the same bytes: %s', async (_, options, isFirst) => {
    const run = (changes: object) => {
      const all = { ...(options('') as object), onNan: 'rollback', ...changes };
      return isFirst ? pretrain(all as PretrainOptions) : finetune(all as FinetuneOptions);
    };
    const [whole, parts] = [workshop.path('whole'), workshop.path('parts')];
    await run({ out: whole });
    const interrupt = new AbortController();
    let back = false;
    const onEvent = (event: TrainingEvent) => {
      back ||= event.type === 'rollback';
      if (back && event.type === 'batch' && event.step === 6) interrupt.abort(new Error('stopped'));
    };
    await expect(run({ out: parts, onEvent, signal: interrupt.signal })).rejects.toThrow('stopped');
    await run({ out: parts, resume: true });
    const result = await resultOf(parts);
    expect(result).toEqual(await resultOf(whole));
    expect(result.rollbacks).toHaveLength(1);
  });
});

describe('half precision', () => {
  const outputs = (loss: number) => ({
    [LOSS]: { type: 'float32', dims: [], data: Float32Array.of(loss) } as const,
    [LOGITS]: { type: 'float32', dims: [1, 2], data: new Float32Array(2) } as const,
  });
  /** Passes of four batches that a stepper only pretends to train. */
  const passes = (step: (number: number) => boolean, changes: Partial<PassOptions>) => {
    const batch = { feeds: {}, labels: BigInt64Array.of(0n), size: 1, pictures: ['a.png'], waitMs: 0 };
    const restarts: unknown[] = [];
    let number = 0;
    const training = {
      findStray: async () => undefined,
      restart: async (checkpoint: unknown) => restarts.push(checkpoint),
      stepper: {
        setLearningRate: async () => {},
        step: async () => ({ outputs: outputs(1), skipped: step(number++) }),
      },
    } as unknown as Training;
    const source = {
      async *train(_: number, first = 0) {
        for (let index = first; index < 4; index++) yield batch;
      },
      async *test() {},
      ...{ trainSize: 4, batchSize: 1, testSizes: { test: 0, valid: 0 } },
    };
    const run = told((emit) =>
      runPasses(training, source, passOptions({ passes: 1, test: false, classes: ['a', 'b'], emit, ...changes })),
    );
    return run.then((found) => ({ ...found, restarts }));
  };

  it('has overflows, which the loss scale takes care of', async () => {
    const { error, rollbacks, events } = await passes((number) => number === 1, { onNan: 'rollback' });
    expect({ error, rollbacks }).toEqual({ error: undefined, rollbacks: [] });
    expect(events.filter(({ type }) => type === 'overflow')).toHaveLength(1);
  });

  it('goes back where gradients overflow at any scale', async () => {
    const overflows = (number: number) => {
      if (number === 2)
        throw new OrtuneError('LOSS_SCALE', 'they overflow. Nothing was saved; try a lower --lr, or --precision fp32.');
      return false;
    };
    const { error, rollbacks, restarts } = await passes(overflows, { onNan: 'rollback' });
    expect(error).toBeUndefined();
    expect(restarts).toEqual([undefined]);
    expect(rollbacks).toMatchObject([
      { pass: 0, batch: 2, reason: expect.stringMatching(/^pass 0, batch 2 \(step 2, .*\): they overflow\.$/) },
    ]);
    const record = {
      pass: 0,
      batches: 1,
      updates: 1,
      learningRate: 1,
      cost: [1, 1],
      accuracy: [1, 1],
      done: 1,
    } as const;
    const found: Found = {
      record: {
        ...record,
        trainedMs: 1,
        waitedMs: 0,
        history: [],
        steps: [],
        progress: { waited: 0 },
        ended: false,
        rollbacks: [],
        top: [],
      },
      ...{ best: undefined, folder: 'kept', checkpoint: 'kept/checkpoint' },
    };
    const asked: unknown[] = [];
    const keeper: Keeper = {
      ...{ found: undefined, due: () => false, write: async () => {} },
      newest: async (options) => {
        asked.push(options);
        return found;
      },
    };
    const kept = await passes(overflows, { onNan: 'rollback', keeper });
    expect(kept.restarts).toEqual(['kept/checkpoint']);
    expect(asked).toEqual([{ before: 2, discard: true }]);
    expect(kept.events.filter(({ type }) => type === 'batch').map((event) => 'batch' in event && event.batch)).toEqual([
      ...[0, 1],
      ...[1, 2, 3],
    ]);
    const stopped = await passes(overflows, {});
    expect(stopped.error).toMatchObject({ code: 'LOSS_SCALE', message: expect.stringMatching(/^pass 0, batch 2 /) });
  });
});
