import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { evaluate } from '../../src/inference/index.ts';
import type { EvaluationResult } from '../../src/metrics/index.ts';
import { findRate } from '../../src/training/find-rate.ts';
import { type FinetuneOptions, finetune, pretrain, type TrainingEvent } from '../../src/training/index.ts';
import { openWorkshop, snapshot, type Workshop } from './workshop.ts';

let workshop: Workshop;
beforeAll(async () => {
  workshop = await openWorkshop();
  await stageOne('one', {});
});
afterAll(() => workshop.remove());

const base = () => ({ data: workshop.data, threads: 1, device: 'cpu' }) as const;
const stageOne = (out: string, options: Partial<Parameters<typeof pretrain>[0]>) =>
  pretrain({
    ...base(),
    graph: workshop.graph,
    weights: 'none',
    passes: 1,
    split: 'ratio:0.6/0.2/0.2',
    ...options,
    out: workshop.path(out),
  });

async function stageTwo(out: string, options: Partial<FinetuneOptions>) {
  const events: TrainingEvent[] = [];
  const onEvent = (event: TrainingEvent) => events.push(event);
  const common = { from: workshop.path('one'), passes: 2, batchSize: 6 };
  const { history } = await finetune({ ...base(), ...common, ...options, onEvent, out: workshop.path(out) });
  const json = async (name: string) => JSON.parse(await readFile(workshop.path(`${out}/${name}`), 'utf8'));
  const tests = events.flatMap((event) => (event.type === 'test' ? [`${event.part} ${event.pass}`] : []));
  return { history, tests, json, files: await snapshot(workshop.path(out)) };
}

/** Everything at once that draws at random or keeps something from step to step. */
const MUCH = {
  threads: 2,
  learningRate: 0.01,
  schedule: { kind: 'one-cycle' },
  optimizer: 'adamw',
  weightDecay: 0.01,
  clipNorm: 1,
  ema: { decay: 0.9, warmUp: true },
  labelSmoothing: 0.1,
  augment: {
    crop: { scale: [0.3, 1] },
    colourJitter: { brightness: 0.3, contrast: 0.3, saturation: 0.3, hue: 0.1 },
    policy: 'trivial',
    erasing: 0.5,
    mixup: 0.2,
    cutmix: 1,
  },
  testFlip: true,
  testSize: 64,
  testResize: 64,
} as const satisfies Partial<FinetuneOptions>;

describe('a run with everything', () => {
  it('gives the same bytes again with the same seed, and others with another', async () => {
    const [one, other] = [await stageTwo('much', MUCH), await stageTwo('again', MUCH)];
    const models = ({ files }: typeof one) =>
      [...files].flatMap(([file, hash]) => (/(model\.onnx|checkpoint|metrics\.json)$/.test(file) ? [hash] : []));
    expect(models(one)).toHaveLength(3);
    expect(models(other)).toEqual(models(one));
    const changed = await stageTwo('changed', { ...MUCH, seed: 1 });
    expect(models(changed)[2]).not.toBe(models(one)[2]);
    const rates = one.history.map(({ learningRate }) => learningRate);
    // The end of the first pass is past the peak, that of the last at a 250 000th of it.
    expect(rates[0]).toBeGreaterThan(1e-3);
    expect(rates[1]).toBeCloseTo(0.01 / 25 / 1e4, 12);
    expect(await one.json('metrics.json')).toMatchObject({ pictures: 6, classes: [{}, {}, {}] });
    expect((await readFile(workshop.path('much/history.csv'), 'utf8')).split('\r\n')).toHaveLength(4);
  });
});

describe('the served model', () => {
  it('is evaluated by onnxruntime-node as it was tested in training', async () => {
    const { json } = await stageTwo('served', { ...MUCH, seed: 2 });
    const tested: EvaluationResult = await json('metrics.json');
    const served = await evaluate({ model: workshop.path('served'), data: workshop.data, flip: true, threads: 1 });
    expect(served.data).toMatchObject({ split: 'ratio:0.6/0.2/0.2', part: 'test' });
    expect(served.confusion).toEqual(tested.confusion);
    expect(served.cost).toBeCloseTo(tested.cost as number, 4);
    expect(served.topLosses.map(({ picture }) => picture)).toEqual(tested.topLosses.map(({ picture }) => picture));
  });
});

describe('which pass is tested and kept', () => {
  it('is each, on the part that is watched, and in the end the result on the test part', async () => {
    const { tests, json } = await stageTwo('watched', { watch: 'valid', keep: 'best', passes: 3 });
    const { kept, history } = await json('run.json');
    expect(tests).toEqual(['valid 0', 'valid 1', 'valid 2', `test ${kept}`]);
    const accuracies = history.map(({ testAccuracy }: { testAccuracy: number }) => testAccuracy);
    expect(kept).toBe(accuracies.indexOf(Math.max(...accuracies)));
  });

  it('is the last alone where only the result is tested, or none', async () => {
    expect((await stageTwo('end', { test: 'end' })).tests).toEqual(['test 1']);
    const { tests, files } = await stageTwo('never', { test: false });
    expect(tests).toEqual([]);
    expect([...files.keys()].filter((file) => file.endsWith('metrics.json'))).toEqual([]);
  });

  it('is none after so many without a gain', async () => {
    // At such a rate nothing changes, so the first pass stays the best.
    const { history } = await stageTwo('early', {
      learningRate: 1e-12,
      batchNorm: 'frozen',
      passes: 9,
      earlyStopping: { patience: 2 },
    });
    expect(history).toHaveLength(3);
  });

  it('is refused on a validation part that the split has not', async () => {
    const options = { watch: 'valid', split: 'ratio:0.8' } as const;
    await expect(stageTwo('none', options)).rejects.toThrow(
      /^--watch valid: expected a validation part, but the split ratio:0\.8 has none/,
    );
  });

  it('is refused where passes are not tested', async () => {
    await expect(stageTwo('none', { test: 'end', keep: 'best' })).rejects.toMatchObject({ code: 'OPTION' });
  });
});

describe('stage one', () => {
  it('solves for the head at once, mirror images and another size included', async () => {
    const options = { optimizer: 'lbfgs', testFlip: true, testSize: 64 } as const;
    const { history } = await stageOne('solved', options);
    expect(history).toHaveLength(1);
    const [adam] = (await stageOne('adam', { passes: 1 })).history;
    expect(history[0]?.trainCost).toBeLessThan(adam?.trainCost as number);
    await expect(stageOne('none', { optimizer: 'lbfgs', batchNorm: 'live' })).rejects.toMatchObject({ code: 'OPTION' });
  });
});

describe('a range test', () => {
  it('suggests a rate and keeps nothing', async () => {
    const before = await snapshot(workshop.folder);
    const options = { ...base(), from: workshop.path('one'), batchSize: 6, steps: 60, out: workshop.path('unused') };
    const { suggestion, plot } = await findRate(options);
    expect(suggestion.steepest).toBeGreaterThan(1e-7);
    expect(suggestion.steepest).toBeLessThan(10);
    expect(plot).toMatch(/^<svg .*<polyline/s);
    expect(await snapshot(workshop.folder)).toEqual(before);
  });
});
