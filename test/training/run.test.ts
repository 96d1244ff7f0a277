import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeModel } from '../../onnx/index.ts';
import { Classifier } from '../../src/inference/index.ts';
import { finetune, pretrain, type TrainingEvent } from '../../src/training/index.ts';
import { Requests, startRun } from '../../src/training/run.ts';
import { openWorkshop, type Workshop } from './workshop.ts';

let workshop: Workshop;
beforeAll(async () => {
  workshop = await openWorkshop();
  const { data, graph } = workshop;
  await pretrain({ data, graph, weights: 'none', device: 'cpu', threads: 1, passes: 1, out: workshop.path('one') });
});
afterAll(() => workshop.remove());

const NOTE = (text: string): TrainingEvent => ({ type: 'note', text });
const none = { onEvent: undefined, signal: undefined };

describe('a run', () => {
  it('gives its events from the first on, and its result', async () => {
    const run = startRun(none, async ({ emit }) => {
      emit(NOTE('a'));
      await null;
      emit(NOTE('b'));
      return 7;
    });
    const events: TrainingEvent[] = [];
    for await (const event of run) events.push(event);
    expect(events).toEqual([NOTE('a'), NOTE('b')]);
    expect(await run).toBe(7);
  });

  it('throws what ends it, to whoever watches', async () => {
    const run = startRun(none, async ({ emit }) => {
      emit(NOTE('a'));
      throw new Error('broken');
    });
    const events: TrainingEvent[] = [];
    const watch = async () => {
      for await (const event of run) events.push(event);
    };
    await expect(watch()).rejects.toThrow('broken');
    expect(events).toEqual([NOTE('a')]);
    await expect(run).rejects.toThrow('broken');
  });

  it('goes on when nobody watches any more', async () => {
    const run = startRun(none, async ({ emit }) => {
      for (const text of ['a', 'b', 'c']) {
        emit(NOTE(text));
        await null;
      }
      return 'done';
    });
    for await (const _ of run) break;
    expect(await run).toBe('done');
  });

  it('is ended by what its listener throws', async () => {
    const onEvent = () => {
      throw new Error('not so');
    };
    await expect(startRun({ ...none, onEvent }, async ({ emit }) => emit(NOTE('a')))).rejects.toThrow('not so');
  });

  it('tells a save that comes too late', async () => {
    const run = startRun(none, async () => {});
    await run;
    await expect(run.save('somewhere')).rejects.toMatchObject({ code: 'RUN_ENDED' });
    const waiting = startRun(none, () => new Promise<void>((resolve) => setTimeout(resolve, 5)));
    const save = waiting.save('somewhere');
    await expect(save).rejects.toMatchObject({ code: 'RUN_ENDED' });
    await waiting;
  });

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])('takes no learning rate of %d', (rate) => {
    expect(() => new Requests().setLearningRate(rate)).toThrow(
      expect.objectContaining({
        code: 'OPTION',
        message: `setLearningRate: expected a number above 0, received ${rate}`,
      }),
    );
  });
});

describe('stage two', () => {
  const base = () =>
    ({ data: workshop.data, from: workshop.path('one'), device: 'cpu', threads: 1, batchSize: 6, passes: 2 }) as const;

  it('stops where it is asked to, and what was trained is tested and saved', async () => {
    const steps: TrainingEvent[] = [];
    const stopped: TrainingEvent[] = [];
    const { history } = await finetune({
      ...base(),
      passes: 5,
      out: workshop.path('stopped'),
      onEvent(event, control) {
        if (event.type === 'stopped') stopped.push(event);
        if (event.type !== 'batch') return;
        steps.push(event);
        if (event.step === 5) control.stop();
      },
    });
    expect(steps).toHaveLength(6);
    expect(stopped).toEqual([{ type: 'stopped', pass: 1 }]);
    expect(history).toHaveLength(2);
    expect(history[1]?.testAccuracy).toBeTypeOf('number');
    const csv = (await readFile(join(workshop.path('stopped'), 'steps.csv'), 'utf8')).trimEnd().split('\r\n');
    expect(csv[0]).toBe('step,pass,batch,learningRate,cost,accuracy');
    expect(csv).toHaveLength(7);
    expect(csv.at(-1)).toMatch(/^5,1,1,0\.0001,/);
  });

  it('goes on at the rate that was asked for, under its schedule', async () => {
    const rates: number[] = [];
    await finetune({
      ...base(),
      learningRate: 1e-4,
      schedule: { kind: 'step', milestones: [0.5], factor: 0.1 },
      out: workshop.path('rate'),
      onEvent(event, control) {
        if (event.type !== 'batch') return;
        rates.push(event.learningRate);
        if (event.step === 1) control.setLearningRate(1e-3);
      },
    });
    expect(rates).toHaveLength(8);
    expect(rates.slice(0, 2)).toEqual([1e-4, 1e-4]);
    expect(rates.slice(2, 4)).toEqual([1e-3, 1e-3]);
    for (const rate of rates.slice(4)) expect(rate).toBeCloseTo(1e-4, 12);
  });

  it('saves in between, and ends as if it had not', async () => {
    const run = finetune({ ...base(), out: workshop.path('whole') });
    let saved: Promise<void> | undefined;
    let refused: Promise<void> | undefined;
    for await (const event of run) {
      if (event.type !== 'batch' || event.step !== 1) continue;
      saved = run.save(workshop.path('between'));
      refused = run.save(join(workshop.data, 'inside'));
      refused.catch(() => {});
    }
    await saved;
    await expect(refused).rejects.toMatchObject({ code: 'OUTPUT' });
    expect((await readdir(workshop.path('between'))).sort()).toEqual(
      ['checkpoint', 'history.csv', 'labels.json', 'model.onnx', 'report.html', 'run.json', 'steps.csv'].sort(),
    );
    await using classifier = await Classifier.load(workshop.path('between'));
    expect(classifier.classes).toHaveLength(3);
    await finetune({ ...base(), out: workshop.path('plain') });
    const model = (name: string) => readFile(join(workshop.path(name), 'model.onnx'));
    expect((await model('whole')).equals(await model('plain'))).toBe(true);
    expect((await model('between')).equals(await model('plain'))).toBe(false);
  });

  it('tells what is trained, in between and after the last pass', async () => {
    const values: Promise<ReadonlyMap<string, Float32Array>>[] = [];
    await finetune({
      ...base(),
      train: ['fc_*'],
      out: workshop.path('told'),
      onEvent(event, control) {
        if (event.type === 'test' || (event.type === 'batch' && event.step === 0)) values.push(control.parameters());
      },
    });
    const [first, , last] = await Promise.all(values);
    expect([...(last?.keys() ?? [])]).toEqual(expect.arrayContaining(['fc_0.w_0', 'fc_0.b_0']));
    expect(first?.get('fc_0.b_0')).not.toEqual(last?.get('fc_0.b_0'));
    const { initializers } = decodeModel(await readFile(join(workshop.path('told'), 'model.onnx'))).graph;
    const saved = initializers.get('fc_0.b_0');
    expect(Buffer.from(last?.get('fc_0.b_0')?.buffer as ArrayBuffer).equals(Buffer.from(saved?.data ?? []))).toBe(true);
  });
});
