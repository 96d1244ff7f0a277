import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { evaluate } from '../../src/inference/index.ts';
import { finetune, type PretrainOptions, pretrain, type TrainingEvent } from '../../src/training/index.ts';
import { rank } from '../../src/training/top-passes.ts';
import { openWorkshop, snapshot, type Workshop } from './workshop.ts';

let workshop: Workshop;
beforeAll(async () => {
  workshop = await openWorkshop();
});
afterAll(() => workshop.remove());

const options = (out: string): PretrainOptions => ({
  ...{ device: 'cpu', threads: 1, data: workshop.data, graph: workshop.graph, weights: 'none', split: 'ratio:0.5' },
  ...{ passes: 4, batchSize: 6, learningRate: 3e-3, metric: 'cost', keepTop: 2, out },
});
const json = async (...path: string[]) => JSON.parse(await readFile(join(...path), 'utf8'));
/** Models and tests; the files beside them tell times. */
const resultsIn = async (folder: string) =>
  [...(await snapshot(folder))]
    .filter(([path]) => /(\.onnx|checkpoint|metrics\.json)$/.test(path))
    .map(([path, digest]) => [path.slice(folder.length), digest]);

describe('the passes that tested best', { timeout: 300_000 }, () => {
  it('are ranked, of equal ones the earlier first', () => {
    const passes = [0.3, 0.5, 0.5, 0.1, 0.5].map((value, pass) => ({ pass, value }));
    const by = (mode: 'min' | 'max') =>
      passes.reduce<{ pass: number; value: number }[]>((best, one) => rank(best, one, { count: 3, mode }), []);
    expect(by('max').map(({ pass }) => pass)).toEqual([1, 2, 4]);
    expect(by('min').map(({ pass }) => pass)).toEqual([3, 0, 1]);
  });

  it('are results of their own, which answer as they were tested; none of an earlier run is left', async () => {
    const [from, out] = [workshop.path('one'), workshop.path('ranked')];
    await pretrain({ ...options(from), passes: 1, keepTop: 0 });
    const { graph: _, weights: __, optimizer: ___, ...common } = options(out);
    await finetune({ ...common, from, passes: 5, keepTop: 1, metric: 'top1' });
    const { history } = await finetune({ ...common, from });
    const best = [...history].sort((left, right) => left.testCost! - right.testCost!).slice(0, 2);
    const names = best.map(({ pass }) => `pass-000${pass}`);
    expect((await readdir(`${out}.top`)).sort()).toEqual(names.sort());
    for (const { pass, testCost } of best) {
      const folder = join(`${out}.top`, `pass-000${pass}`);
      expect((await json(folder, 'metrics.json')).cost).toBe(testCost);
      expect((await json(folder, 'run.json')).kept).toBe(pass);
      const { cost } = await evaluate({ model: folder, data: workshop.data });
      expect(cost).toBeCloseTo(testCost!, 4);
    }
  });

  it('are the same when the run is stopped and goes on', async () => {
    const [whole, parts] = [workshop.path('whole'), workshop.path('parts')];
    await pretrain(options(whole));
    for (const [index, stopAt] of [4, 8, undefined].entries()) {
      const interrupt = new AbortController();
      const onEvent = (event: TrainingEvent) => {
        if (event.type === 'batch' && event.step === stopAt) interrupt.abort(new Error('stopped'));
      };
      const run = pretrain({ ...options(parts), resume: index > 0, onEvent, signal: interrupt.signal });
      if (stopAt === undefined) await run;
      else await expect(run).rejects.toThrow('stopped');
    }
    expect(await resultsIn(`${parts}.top`)).toEqual(await resultsIn(`${whole}.top`));
    expect(await resultsIn(`${whole}.top`)).toHaveLength(6);
  });

  it('need tests', async () => {
    await expect(pretrain({ ...options(workshop.path('untested')), test: 'end' })).rejects.toMatchObject({
      code: 'OPTION',
      message: expect.stringContaining('a test after each pass'),
    });
  });
});
