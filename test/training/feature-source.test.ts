import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADAM_DEFAULTS, buildResNet, extract, FEATURES, headOnly, LOGITS } from '../../onnx/index.ts';
import { parseKernels, uncovered } from '../../onnx/kernels.ts';
import { type Dataset, imageTransform, openDataset } from '../../src/data/index.ts';
import type { Tensor } from '../../src/runtime/index.ts';
import {
  type Backbone,
  featureModel,
  libraryBackbone,
  openBackbone,
  servedBackbone,
} from '../../src/training/backbone.ts';
import type { BatchSource, FeedBatch } from '../../src/training/batch-source.ts';
import { type FeatureOptions, featureSource } from '../../src/training/feature-source.ts';
import { runPasses } from '../../src/training/passes.ts';
import { openTraining, trainedValues } from '../../src/training/session.ts';
import { trainedLike } from '../onnx/tiny-nets.ts';
import { shared } from '../shared.ts';
import { collect, openWorkshop, passOptions, TINY, type Workshop } from './workshop.ts';

let workshop: Workshop;
/** 24 pictures to train on, 6 to test on. */
let dataset: Dataset;
beforeAll(async () => {
  workshop = await openWorkshop();
  dataset = await openDataset(workshop.data);
});
afterAll(() => workshop.remove());

// Statistics that are not neutral, so that folding BatchNorm matters.
const model = buildResNet(TINY, trainedLike(2));
const base: FeatureOptions = {
  testTransform: imageTransform(32),
  testFlip: false,
  batchSize: 10,
  seed: 3,
  shuffle: true,
  watch: 'test',
  constantShape: false,
  emit: () => {},
};
const plan = headOnly('frozen', ADAM_DEFAULTS);
const CPU = { device: 'cpu', threads: 1 } as const;

const features = ({ feeds }: FeedBatch) => feeds[FEATURES] as Tensor & { data: Float32Array };

async function sourceBy(backbone: Promise<Backbone>, options: Partial<FeatureOptions> = {}): Promise<BatchSource> {
  await using opened = await backbone;
  return await featureSource(opened, dataset, { ...base, ...options });
}

/** Largest distance of two lists of numbers, relative to the largest number. */
function distance(one: Float32Array, other: Float32Array): number {
  expect(one.length).toBe(other.length);
  const largest = (values: Iterable<number>) => [...values].reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return largest(one.map((value, index) => value - (other[index] as number))) / largest(other);
}

const joined = (batches: readonly FeedBatch[]) =>
  Float32Array.from(batches.flatMap((batch) => [...features(batch).data]));

describe('features by the training library', () => {
  it('are those by onnxruntime-node', async () => {
    const [ours, theirs] = [await sourceBy(libraryBackbone(model, CPU)), await sourceBy(servedBackbone(model, CPU))];
    for (const part of [(source: BatchSource) => source.train(0), (source: BatchSource) => source.test('test')]) {
      const [one, other] = [await collect(part(ours)), await collect(part(theirs))];
      expect(one.map(({ labels }) => labels)).toEqual(other.map(({ labels }) => labels));
      expect(new Set(joined(one)).size).toBeGreaterThan(100);
      expect(distance(joined(one), joined(other))).toBeLessThan(1e-5);
    }
  });

  it('lead to the same head', async () => {
    const trained = async (backbone: Promise<Backbone>) => {
      const source = await sourceBy(backbone);
      const head = extract(model, [FEATURES], [LOGITS]);
      await using training = await openTraining(head, plan, CPU);
      const { history, values } = await runPasses(
        training,
        source,
        passOptions({
          passes: 4,
          learningRate: 1e-3,
          classes: dataset.classes,
          values: () => trainedValues(training.state, plan, []),
        }),
      );
      return { history, weights: new Float32Array(Uint8Array.from(values.get('fc_0.w_0') ?? []).buffer) };
    };
    const [ours, theirs] = [await trained(libraryBackbone(model, CPU)), await trained(servedBackbone(model, CPU))];
    expect(distance(ours.weights, theirs.weights)).toBeLessThan(1e-4);
    for (const [pass, { testCost, testAccuracy, trainCost }] of ours.history.entries()) {
      expect(testCost).toBeCloseTo(theirs.history[pass]?.testCost as number, 4);
      expect(trainCost).toBeCloseTo(theirs.history[pass]?.trainCost as number, 4);
      expect(testAccuracy).toBe(theirs.history[pass]?.testAccuracy);
    }
    expect(ours.history[3]?.trainCost).toBeLessThan(ours.history[0]?.trainCost as number);
  });

  it('are for a GPU: on the CPU onnxruntime-node computes them', async () => {
    await using backbone = await openBackbone(model, CPU);
    const image = { type: 'uint8', dims: [1, 32, 32, 3], data: new Uint8Array(32 * 32 * 3) } as const;
    expect(Object.keys(await backbone.run({ image }))).toEqual([FEATURES]);
    await using other = await libraryBackbone(model, CPU);
    expect(Object.keys(await other.run({ image }))).toEqual([FEATURES, LOGITS]);
  });
});

it.skipIf(!shared)('every node that computes features has a CUDA kernel (needs ORTUNE_SHARED)', () => {
  const list = readFileSync(join(shared as string, 'design/reference-graphs/cuda-kernels-1.24.1.txt'), 'utf8');
  expect(uncovered(featureModel(model), parseKernels(list.trim().split('\n')))).toEqual([]);
});

describe('batches of features of one shape', () => {
  /** Rows that the backbone is given at a time. */
  const watched = async (rows: number[]): Promise<Backbone> => {
    const backbone = await servedBackbone(model, CPU);
    return {
      run: (feeds) => {
        rows.push(feeds['image']?.dims[0] as number);
        return backbone.run(feeds);
      },
      [Symbol.asyncDispose]: () => backbone[Symbol.asyncDispose](),
    };
  };

  it('are of the same pictures as others', async () => {
    const rows = { constant: [] as number[], free: [] as number[] };
    const constant = await sourceBy(watched(rows.constant), { constantShape: true });
    const free = await sourceBy(watched(rows.free));
    expect(rows).toEqual({ constant: [16, 16, 16], free: [16, 8, 6] });

    const [some, every] = [await collect(constant.train(1)), await collect(free.train(1))];
    expect([some, every].map((batches) => batches.map(({ size }) => size))).toEqual([
      [10, 10],
      [10, 10, 4],
    ]);
    expect([constant.trainSize, free.trainSize]).toEqual([20, 24]);
    expect(distance(joined(some), joined(every.slice(0, 2)))).toBeLessThan(1e-5);
    expect(some.map(({ labels }) => labels)).toEqual(every.slice(0, 2).map(({ labels }) => labels));
  });

  it('are filled up in a test', async () => {
    const source = await sourceBy(servedBackbone(model, CPU), { constantShape: true, batchSize: 4 });
    const [first, last] = (await collect(source.test('test'))) as [FeedBatch, FeedBatch];
    const width = features(first).dims[1] as number;
    expect([features(last).dims, last.size, [...last.labels.slice(2)]]).toEqual([[4, width], 2, [-1n, -1n]]);
    expect(features(last).data.subarray(2 * width)).toEqual(new Float32Array(2 * width));
    expect(last.feeds['label']?.data).toEqual(last.labels);
    expect(source.testSizes.test).toBe(6);
  });
});
