import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fit } from '../../src/fit/index.ts';
import { Classifier, evaluate } from '../../src/inference/index.ts';
import type { Recipe } from '../../src/recipes/index.ts';
import type { TrainingEvent } from '../../src/training/index.ts';
import { openWorkshop, snapshot, type Workshop } from '../training/workshop.ts';

let workshop: Workshop;
beforeAll(async () => {
  workshop = await openWorkshop();
});
afterAll(() => workshop.remove());

const RECIPE: Recipe = {
  name: 'tiny',
  network: { width: 0.125, imageSize: 32 },
  pretrain: { passes: 1, batchSize: 8 },
  finetune: { passes: 9, batchSize: 8, learningRate: 1e-3 },
};
const base = () =>
  ({ data: workshop.data, weights: 'none', recipe: RECIPE, device: 'cpu', threads: 1, passes: 2 }) as const;

describe('fit', () => {
  it('makes a model that serves, of which its test is true, and leaves the data alone', async () => {
    const before = await snapshot(workshop.data);
    const out = workshop.path('fitted');
    const run = fit({ ...base(), out });
    const events: TrainingEvent[] = [];
    for await (const event of run) events.push(event);
    const { folder, classes, history, evaluation, dataReport } = await run;
    expect(await snapshot(workshop.data)).toEqual(before);
    expect(folder).toBe(join(out, 'infer_model'));
    expect((await readdir(out)).sort()).toEqual(['graph.onnx', 'infer_model', 'pretrain_model']);
    expect(history).toHaveLength(2);
    expect(events.flatMap((event) => (event.type === 'phase' ? [event.phase] : []))).toEqual([
      'check',
      'network',
      'pretrain',
      'finetune',
    ]);
    // Pictures are read through once.
    const checked = events.filter((event) => event.type === 'progress' && event.task === 'check');
    const { train, valid, test } = dataReport.parts;
    expect(checked).toHaveLength(train + valid + test);
    expect(await readFile(join(folder, 'report.html'), 'utf8')).toContain('What the data check found');
    await using classifier = await Classifier.load(folder);
    expect(classifier.classes).toEqual(classes);
    const again = await evaluate({ model: folder, data: workshop.data, threads: 1 });
    expect(again.top1).toBe(evaluation?.top1);
    expect(again.confusion).toEqual(evaluation?.confusion);
    const { options } = JSON.parse(await readFile(join(folder, 'run.json'), 'utf8'));
    expect(options).toMatchObject({ passes: 2, learningRate: 1e-3 });
  });

  it('stops at a broken picture before anything is trained, or leaves it out', async () => {
    const other = await openWorkshop();
    try {
      const [name] = await readdir(other.data);
      const broken = join(other.data, name as string, 'broken.png');
      await writeFile(broken, 'no picture');
      const options = { ...base(), data: other.data, out: other.path('fitted') };
      await expect(fit(options)).rejects.toMatchObject({
        code: 'IMAGE_UNREADABLE',
        message: expect.stringContaining(broken),
      });
      await expect(readdir(options.out)).rejects.toMatchObject({ code: 'ENOENT' });
      const told: TrainingEvent[] = [];
      await fit({ ...options, onBadImage: 'skip', passes: 1, onEvent: (event) => told.push(event) });
      expect(told.find((event) => event.type === 'bad-images')).toMatchObject({ images: [{ file: broken }] });
    } finally {
      await other.remove();
    }
  });

  it('goes on with a run that was stopped, in either stage', async () => {
    const [whole, parts] = [workshop.path('left-alone'), workshop.path('stopped')];
    await fit({ ...base(), out: whole });
    for (const stage of ['pretrain', 'finetune']) {
      const interrupt = new AbortController();
      let current = '';
      const onEvent = (event: TrainingEvent) => {
        if (event.type === 'start') current = event.stage;
        if (event.type === 'batch' && current === stage) interrupt.abort(new Error('stopped'));
      };
      const run = fit({ ...base(), out: parts, resume: stage === 'finetune', onEvent, signal: interrupt.signal });
      await expect(run).rejects.toThrow('stopped');
    }
    const phases: string[] = [];
    const onEvent = (event: TrainingEvent) => {
      if (event.type === 'phase') phases.push(event.phase);
    };
    await fit({ ...base(), out: parts, resume: true, onEvent });
    expect(phases).toEqual(['check', 'network', 'finetune']);
    const model = (out: string) => readFile(join(out, 'infer_model/model.onnx'));
    expect((await model(parts)).equals(await model(whole))).toBe(true);
    expect((await readdir(parts)).sort()).toEqual(['graph.onnx', 'infer_model', 'pretrain_model']);
  });

  it('refuses to write into the data', async () => {
    await expect(fit({ ...base(), out: join(workshop.data, 'models') })).rejects.toMatchObject({ code: 'OUTPUT' });
  });
});
