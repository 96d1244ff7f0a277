import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ADAM_DEFAULTS,
  decodeModel,
  HEAD_PARAMETERS,
  type Model,
  runningStatistics,
  wholeNetwork,
} from '../../onnx/index.ts';
import { openDataset } from '../../src/data/index.ts';
import { Classifier, readModelCard } from '../../src/inference/index.ts';
import { finetune, pretrain, type StageResult, type TrainingEvent } from '../../src/training/index.ts';
import { argmax, countCorrect } from '../../src/training/metrics.ts';
import { pictureSource } from '../../src/training/picture-source.ts';
import { openTraining } from '../../src/training/session.ts';
import { openWeights } from '../../src/weights/index.ts';
import { openWorkshop, pictureOptions, snapshot, type Workshop } from './workshop.ts';

let workshop: Workshop;
let pictures: Map<string, string>;
let stageOne: StageResult;
let stageTwo: StageResult;
const events: TrainingEvent[] = [];

const load = async (file: string) => decodeModel(await readFile(workshop.path(file)));
const bytes = (model: Model, name: string) => Buffer.from(model.graph.initializers.get(name)?.data ?? []);
const changed = (before: Model, after: Model) =>
  [...before.graph.initializers.keys()].filter((name) => !bytes(before, name).equals(bytes(after, name)));
const base = () =>
  ({ data: workshop.data, graph: workshop.graph, weights: 'none', device: 'cpu', threads: 1 }) as const;

beforeAll(async () => {
  workshop = await openWorkshop();
  pictures = await snapshot(workshop.data);
  stageOne = await pretrain({
    ...base(),
    passes: 3,
    batchSize: 8,
    savePaddle: true,
    out: workshop.path('one'),
    onEvent: (event) => events.push(event),
  });
  stageTwo = await finetune({
    data: workshop.data,
    from: workshop.path('one'),
    passes: 24,
    batchSize: 6,
    learningRate: 1e-3,
    threads: 1,
    device: 'cpu',
    out: workshop.path('two'),
  });
});
afterAll(() => workshop.remove());

describe('stage one, frozen', () => {
  it('changes the head and no byte of the backbone', async () => {
    expect(changed(await load('graph.onnx'), await load('one/graph.onnx'))).toEqual([...HEAD_PARAMETERS]);
  });

  it('leaves all that stage two needs', async () => {
    const files = [...(await snapshot(workshop.path('one'))).keys()].map((file) =>
      file.slice(workshop.path('one/').length),
    );
    expect(files.filter((file) => !file.startsWith('paddle/'))).toEqual([
      'checkpoint',
      'graph.onnx',
      'history.csv',
      'labels.json',
      'metrics.json',
      'report.html',
      'run.json',
      'steps.csv',
    ]);
    expect(JSON.parse(await readFile(workshop.path('one/labels.json'), 'utf8'))).toEqual(['blue', 'green', 'red']);
    const run = JSON.parse(await readFile(workshop.path('one/run.json'), 'utf8'));
    expect(run).toMatchObject({
      command: 'pretrain',
      options: { passes: 3, weights: 'none' },
      dataset: { train: 24, test: 6 },
    });
    expect(run.history).toHaveLength(3);
    expect(run.versions.onnxruntime).toMatch(/^\d+\.\d+/);
  });

  it('writes the parameters as Paddle variables of the same values', async () => {
    const model = await load('one/graph.onnx');
    const file = await openWeights(workshop.path('one/paddle'));
    const head = await file.read('fc_0.w_0');
    expect(Buffer.from(head.data.buffer, head.data.byteOffset, head.data.byteLength)).toEqual(bytes(model, 'fc_0.w_0'));
    expect(file.tensors.size).toBe(267);
    await file.close();
  });

  it('tells what happens as it happens', () => {
    const types = [...new Set(events.map(({ type }) => type))];
    expect(types).toEqual(['dataset', 'progress', 'device', 'start', 'batch', 'pass', 'test', 'kept', 'saved']);
    const features = events.filter((event) => event.type === 'progress' && event.task === 'features');
    // The features of all 30 pictures, computed once and not once for each pass.
    expect(features.map((event) => event.type === 'progress' && event.done)).toEqual([16, 24, 30]);
    const tests = events.filter((event) => event.type === 'test');
    expect(tests.map(({ cost }) => cost)).toEqual(stageOne.history.map(({ testCost }) => testCost));
    expect(stageOne.history.at(-1)?.trainCost).toBeLessThan(stageOne.history[0]?.trainCost as number);
  });

  it('gives the same bytes for the same seed, and others for another', async () => {
    const once = async (seed: number, out: string) => {
      await pretrain({ ...base(), passes: 1, seed, out: workshop.path(out) });
      return readFile(workshop.path(`${out}/graph.onnx`));
    };
    const first = await once(5, 'seed-5');
    expect(first.equals(await once(5, 'seed-5-again'))).toBe(true);
    expect(first.equals(await once(6, 'seed-6'))).toBe(false);
  });
});

describe('stage one, live', () => {
  it('moves the running statistics and trains the head alone', async () => {
    await pretrain({ ...base(), passes: 1, batchNorm: 'live', out: workshop.path('live') });
    const before = await load('graph.onnx');
    const names = changed(before, await load('live/graph.onnx'));
    expect(new Set(names)).toEqual(new Set([...HEAD_PARAMETERS, ...runningStatistics(before.graph)]));
  });
});

describe('stage two', () => {
  it('learns, and trains every parameter', async () => {
    const mean = (costs: number[]) => costs.reduce((sum, cost) => sum + cost, 0) / costs.length;
    const costs = stageTwo.history.map(({ trainCost }) => trainCost);
    expect(mean(costs.slice(-5))).toBeLessThan(0.9 * mean(costs.slice(0, 5)));
    const names = changed(await load('one/graph.onnx'), await load('two/model.onnx'));
    expect(names.filter((name) => !name.startsWith('input_'))).toHaveLength(267);
  });

  it('with frozen BatchNorm leaves the running statistics as they are', async () => {
    const options = { data: workshop.data, from: workshop.path('one'), passes: 1, threads: 1 } as const;
    await finetune({ ...options, batchNorm: 'affine', out: workshop.path('two-frozen') });
    const before = await load('one/graph.onnx');
    const names = changed(before, await load('two-frozen/model.onnx'));
    expect(names).toHaveLength(161);
    for (const name of runningStatistics(before.graph)) expect(names).not.toContain(name);
  });

  it('serves through onnxruntime-node what the trainer measured, picture for picture', async () => {
    await using classifier = await Classifier.load(workshop.path('two'), { threads: 1 });
    expect(classifier.classes).toEqual(['blue', 'green', 'red']);
    expect(classifier.transform).toEqual({ imageSize: 32, resizeSize: 37 });
    const dataset = await openDataset(workshop.data);
    const model = await load('two/model.onnx');
    const plan = wholeNetwork(model, 'live', ADAM_DEFAULTS);
    await using training = await openTraining(model, plan, { device: 'cpu', threads: 1 });
    const source = pictureSource(dataset, pictureOptions({}));
    let correct = 0;
    let first: Float32Array | undefined;
    for await (const { feeds, labels, size } of source.test('test')) {
      const { probabilities } = await classifier.infer(feeds['image']?.data as Uint8Array, size);
      const logits = (await training.session.evalStep({ ...feeds }))['logits']?.data as Float32Array;
      for (let row = 0; row < size; row++) {
        expect(argmax(probabilities, row * 3, 3)).toBe(argmax(logits, row * 3, 3));
        const powers = [...logits.slice(row * 3, row * 3 + 3)].map(Math.exp);
        const sum = powers.reduce((total, power) => total + power, 0);
        for (const [index, power] of powers.entries()) {
          expect(probabilities[row * 3 + index]).toBeCloseTo(power / sum, 4);
        }
      }
      correct += countCorrect(probabilities, labels);
      first ??= probabilities.slice(0, 3);
    }
    expect(correct / dataset.test.length).toBe(stageTwo.history.at(-1)?.testAccuracy);
    const best = await classifier.predict(dataset.test[0]?.file as string, { top: 2 });
    // However little it has learnt, one picture alone gets what it gets in a batch.
    const ranked = [...(first ?? [])]
      .map((probability, index) => ({ label: classifier.classes[index], probability }))
      .sort((left, right) => right.probability - left.probability);
    expect(best.map(({ label }) => label)).toEqual(ranked.slice(0, 2).map(({ label }) => label));
    for (const [place, { probability }] of best.entries()) {
      expect(probability).toBeCloseTo(ranked[place]?.probability as number, 5);
    }
  });

  it('has pixels in, probabilities and activation maps out, and nothing of training', async () => {
    const { graph, metadata } = await load('two/model.onnx');
    expect(graph.inputs).toEqual([{ name: 'image', type: 'uint8', dims: ['batch', 32, 32, 3] }]);
    expect(graph.outputs).toEqual([
      { name: 'probabilities', type: 'float32', dims: ['batch', 3] },
      { name: 'activation_maps', type: 'float32', dims: ['batch', 3, 1, 1] },
    ]);
    expect(JSON.parse(metadata.get('ortune.labels') as string)).toEqual(['blue', 'green', 'red']);
    expect([metadata.get('ortune.resize'), metadata.get('ortune.crop')]).toEqual(['37', '32']);
    const { evaluation, trainingData } = readModelCard(metadata) ?? {};
    const { top1, pictures } = JSON.parse(await readFile(workshop.path('two/metrics.json'), 'utf8'));
    expect(evaluation).toMatchObject({ top1, pictures, flip: false });
    expect(trainingData).toMatchObject({ kind: 'folder', test: pictures });
  });
});

it('leaves the pictures as they were', async () => {
  expect(await snapshot(workshop.data)).toEqual(pictures);
});
