import { copyFile, mkdir, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildResNet, encodeModel } from '../../onnx/index.ts';
import type { Dataset } from '../../src/data/index.ts';
import { OrtuneError } from '../../src/errors.ts';
import { finetune, type PretrainOptions, pretrain, type TrainingEvent } from '../../src/training/index.ts';
import { checkOutputFile } from '../../src/training/output-folder.ts';
import { openWorkshop, snapshot, TINY, type Workshop } from './workshop.ts';

let workshop: Workshop;
beforeAll(async () => {
  workshop = await openWorkshop();
});
afterAll(() => workshop.remove());

/** Stage one with some options changed, up to its error. */
async function refusal(changes: Partial<PretrainOptions>): Promise<OrtuneError> {
  const events: TrainingEvent[] = [];
  const error = await pretrain({
    data: workshop.data,
    graph: workshop.graph,
    weights: 'none',
    device: 'cpu',
    out: workshop.path('out'),
    onEvent: (event) => events.push(event),
    ...changes,
  }).then(
    () => new Error('it was accepted'),
    (error: unknown) => error,
  );
  expect(events.filter(({ type }) => type === 'batch')).toEqual([]);
  expect(error).toBeInstanceOf(OrtuneError);
  return error as OrtuneError;
}

describe('before anything is computed', () => {
  it.each([
    [{ passes: 0 }, 'passes: expected a whole number from 1 up, received 0'],
    [{ batchSize: 1.5 }, 'batch-size: expected a whole number from 1 up, received 1.5'],
    [{ learningRate: Number.NaN }, 'lr: expected a number above 0, received NaN'],
    [{ threads: 0 }, expect.stringMatching(/^threads: expected a whole number from 1 to \d+, received 0$/)],
    [{ seed: -1 }, 'seed: expected a whole number from 0 up, received -1'],
  ])('%j is refused', async (changes, message) => {
    expect((await refusal(changes)).message).toEqual(message);
  });

  it('a network of other classes is refused, with what to do', async () => {
    await writeFile(workshop.path('five.onnx'), encodeModel(buildResNet({ ...TINY, classes: 5 })));
    const { message } = await refusal({ graph: workshop.path('five.onnx') });
    expect(message).toMatch(/has 3 classes, but the network was built for 5.*--classes 3/);
  });

  it('a missing network, data set or weights file is refused by name', async () => {
    expect((await refusal({ graph: workshop.path('none.onnx') })).message).toMatch(
      /none\.onnx.*npx ortune build-graph/,
    );
    expect((await refusal({ data: workshop.path('nothing') })).code).toBe('DATASET_NOT_FOUND');
    expect((await refusal({ weights: workshop.path('absent.pth') })).message).toMatch(/absent\.pth/);
  });

  it('a graph of other making is refused', async () => {
    const model = { ...buildResNet(TINY), metadata: new Map() };
    await writeFile(workshop.path('foreign.onnx'), encodeModel(model));
    expect((await refusal({ graph: workshop.path('foreign.onnx') })).message).toMatch(/found another ONNX model/);
    await writeFile(workshop.path('text.onnx'), 'this is no model');
    expect((await refusal({ graph: workshop.path('text.onnx') })).code).toBe('ONNX_INVALID');
  });

  it('an empty class is refused by name', async () => {
    await mkdir(workshop.path('data/violet'), { recursive: true });
    expect((await refusal({})).message).toMatch(/violet/);
    await rm(workshop.path('data/violet'), { recursive: true });
  });

  it('a place for results that would touch the data or other files is refused', async () => {
    for (const out of ['data', 'data/results', '.']) {
      expect((await refusal({ out: workshop.path(out) })).message).toMatch(/a folder apart from the data/);
    }
    await mkdir(workshop.path('mine'), { recursive: true });
    await writeFile(workshop.path('mine/thesis.txt'), 'years of work');
    expect((await refusal({ out: workshop.path('mine') })).message).toMatch(/it is left as it is/);
    expect((await snapshot(workshop.path('mine'))).size).toBe(1);
  });

  it('a stage two without stage one, or on other classes, is refused', async () => {
    const options = { data: workshop.data, from: workshop.path('nowhere'), out: workshop.path('out') };
    await expect(finetune(options)).rejects.toThrow(/Run npx ortune pretrain first/);
    await mkdir(workshop.path('from'));
    await writeFile(workshop.path('from/graph.onnx'), encodeModel(buildResNet(TINY)));
    await writeFile(workshop.path('from/labels.json'), '["blue","green","yellow"]');
    await expect(finetune({ ...options, from: workshop.path('from') })).rejects.toThrow(
      /stage one's record in .*run.json/,
    );
    await writeFile(workshop.path('from/run.json'), '{"options":{},"dataset":{}}');
    await expect(finetune({ ...options, from: workshop.path('from') })).rejects.toThrow(
      /class 2 is "red", stage one had "yellow" there/,
    );
  });
});

describe('a file of results', () => {
  it('goes nowhere into the data, by no link either', async () => {
    await symlink(workshop.data, workshop.path('link'));
    for (const file of ['data/x.json', 'data/red/x.json', 'link/x.json']) {
      await expect(checkOutputFile('out', workshop.path(file), workshop.data)).rejects.toMatchObject({
        code: 'OUTPUT',
      });
    }
    await checkOutputFile('out', workshop.path('x.json'), workshop.data);
  });
});

describe('broken pictures', () => {
  const broken = () => workshop.path('data/red/broken.png');
  beforeAll(async () => {
    await copyFile(workshop.path('data/red/0.png'), broken());
    await truncate(broken(), 60);
  });
  afterAll(() => rm(broken()));

  it('stop the run before training, each with its reason', async () => {
    const { code, message } = await refusal({});
    expect(code).toBe('IMAGE_UNREADABLE');
    expect(message).toContain(`${broken()}: `);
    expect(message).toMatch(/^1 of 31 pictures/);
  });

  it('are left out and counted when asked', async () => {
    const events: TrainingEvent[] = [];
    await pretrain({
      data: workshop.data,
      graph: workshop.graph,
      weights: 'none',
      passes: 1,
      onBadImage: 'skip',
      out: workshop.path('skipped'),
      onEvent: (event) => events.push(event),
    });
    const left = events.find((event) => event.type === 'bad-images');
    expect(left?.type === 'bad-images' && left.images.map(({ file }) => file)).toEqual([broken()]);
  });
});

describe('a run that is stopped', () => {
  it('leaves the older result as it was, and beside it what it takes to go on', async () => {
    const options = {
      data: workshop.data,
      graph: workshop.graph,
      weights: 'none',
      out: workshop.path('kept'),
    } as const;
    await pretrain({ ...options, passes: 1 });
    const before = await snapshot(workshop.folder);
    const stop = new AbortController();
    const run = pretrain({
      ...options,
      passes: 5,
      seed: 9,
      signal: stop.signal,
      onEvent: ({ type }) => type === 'test' && stop.abort(new Error('enough')),
    });
    await expect(run).rejects.toThrow('enough');
    const after = [...(await snapshot(workshop.folder))];
    const progress = join(workshop.folder, 'kept.progress');
    expect(after.filter(([file]) => file.startsWith(progress))).toHaveLength(3);
    expect(after.filter(([file]) => !file.startsWith(progress))).toEqual([...before]);
  });
});

describe('stage two', () => {
  it("tests on none of stage one's training pictures, whatever split and seed that had", async () => {
    const datasets: Dataset[] = [];
    const onEvent = (event: TrainingEvent) => event.type === 'dataset' && datasets.push(event.dataset);
    const options = { data: workshop.data, passes: 1, batchSize: 8, device: 'cpu', onEvent } as const;
    const one = { ...options, graph: workshop.graph, weights: 'none', split: 'ratio:0.5', seed: 7 };
    await pretrain({ ...one, out: workshop.path('half') });
    await finetune({ ...options, from: workshop.path('half'), train: ['fc_*'], out: workshop.path('half-two') });
    expect(datasets[0]?.test).toHaveLength(15);
    expect(datasets[1]?.test).toEqual(datasets[0]?.test);
    expect(datasets[1]?.train).toEqual(datasets[0]?.train);
  });
});
