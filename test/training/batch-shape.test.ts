import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ADAM_DEFAULTS,
  buildArtifacts,
  buildResNet,
  decodeModel,
  encodeModel,
  headOnly,
  LOGITS,
  LOSS,
  NO_LABEL,
  wholeNetwork,
} from '../../onnx/index.ts';
import { type Dataset, openDataset } from '../../src/data/index.ts';
import { CheckpointState, TrainingSession } from '../../src/runtime/index.ts';
import { testBatches, trainingBatches } from '../../src/training/batch-shape.ts';
import type { BatchSource, FeedBatch } from '../../src/training/batch-source.ts';
import type { TrainingEvent } from '../../src/training/events.ts';
import { countCorrect } from '../../src/training/metrics.ts';
import { runPasses } from '../../src/training/passes.ts';
import { pictureSource } from '../../src/training/picture-source.ts';
import { openTraining, type Training } from '../../src/training/session.ts';
import type { UpdatePart } from '../../src/training/stepper.ts';
import { collect, openWorkshop, passOptions, pictureOptions, TINY, type Workshop } from './workshop.ts';

let workshop: Workshop;
/** 24 pictures to train on, 6 to test on. */
let dataset: Dataset;
beforeAll(async () => {
  workshop = await openWorkshop();
  dataset = await openDataset(workshop.data);
});
afterAll(() => workshop.remove());

const model = buildResNet(TINY);
const sourceOf = (batchSize: number, constantShape = true) =>
  pictureSource(dataset, pictureOptions({ batchSize, constantShape }));

const rowsOf = (batches: readonly FeedBatch[]) => batches.map(({ feeds }) => feeds['image']?.dims[0]);
const sizesOf = (batches: readonly FeedBatch[]) => batches.map(({ size }) => size);

describe('the shape of batches', () => {
  it('is left to the pictures where it may change', () => {
    const options = { batchSize: 16, constantShape: false };
    expect(trainingBatches(5, options, 2)).toEqual({ batchSize: 16, minimumBatch: 2 });
    expect(testBatches(5, options)).toEqual({ batchSize: 16 });
  });

  it('is one for all: that of a batch, or of the pass where that is smaller', () => {
    const options = { batchSize: 16, constantShape: true };
    expect(trainingBatches(40, options, 2)).toEqual({ batchSize: 16, minimumBatch: 16 });
    expect(trainingBatches(5, options, 2)).toEqual({ batchSize: 5, minimumBatch: 5 });
    // No batch at all: live BatchNorm has no variance of a single picture.
    expect(trainingBatches(1, options, 2)).toEqual({ batchSize: 1, minimumBatch: 2 });
    expect(testBatches(40, options)).toEqual({ batchSize: 16, fillLabel: -1n });
    expect(testBatches(5, options)).toEqual({ batchSize: 5, fillLabel: -1n });
  });
});

describe('batches of pictures of one shape', () => {
  it('leave out the rest in training, another one in each pass', async () => {
    const source = sourceOf(10);
    const passes = [await collect(source.train(0)), await collect(source.train(1))] as const;
    for (const pass of passes) {
      expect([rowsOf(pass), sizesOf(pass)]).toEqual([
        [10, 10],
        [10, 10],
      ]);
    }
    expect(source.trainSize).toBe(20);
    const pixels = passes.map((pass) => Buffer.concat(pass.map(({ feeds }) => feeds['image']?.data as Uint8Array)));
    expect(pixels[0]?.equals(pixels[1] as Buffer)).toBe(false);
  });

  it('are filled up in a test', async () => {
    const source = sourceOf(4);
    const batches = await collect(source.test('test'));
    expect([rowsOf(batches), sizesOf(batches), source.testSizes.test]).toEqual([[4, 4], [4, 2], 6]);
    const last = batches[1] as FeedBatch;
    expect([...last.labels.slice(2)]).toEqual([-1n, -1n]);
    expect(last.feeds['label']?.data).toEqual(last.labels);
    const images = last.feeds['image']?.data as Uint8Array;
    expect(images.slice(2 * 32 * 32 * 3).every((value) => value === 0)).toBe(true);
    expect(Math.max(...images.slice(0, 2 * 32 * 32 * 3))).toBeGreaterThan(100);
  });

  it('are as large as a pass that is smaller than one', async () => {
    const source = sourceOf(100);
    expect([rowsOf(await collect(source.train(0))), source.trainSize]).toEqual([[24], 24]);
    expect(rowsOf(await collect(source.test('test')))).toEqual([6]);
  });

  it('change nothing where they come out even', async () => {
    const [one, other] = [await collect(sourceOf(6).train(3)), await collect(sourceOf(6, false).train(3))];
    expect(one).toEqual(other);
    expect(await collect(sourceOf(3).test('test'))).toEqual(await collect(sourceOf(3, false).test('test')));
  });
});

describe('a pass over batches of one shape', () => {
  it('has the test figures of the pictures alone', async () => {
    await using training = await openTraining(model, wholeNetwork(model, 'live', ADAM_DEFAULTS), {
      device: 'cpu',
      threads: 1,
    });
    // No pictures to train on: the figures are those of the network as it is.
    const tested = async (constantShape: boolean) => {
      const source: BatchSource = { ...sourceOf(4, constantShape), train: async function* () {} };
      const progress: number[] = [];
      const emit = (event: TrainingEvent) => {
        if (event.type === 'progress' && event.task === 'test') progress.push(event.done / event.total);
      };
      const { history } = await runPasses(training, source, passOptions({ passes: 1, classes: dataset.classes, emit }));
      const [result] = history;
      return { cost: result?.testCost as number, accuracy: result?.testAccuracy as number, progress };
    };
    const [filled, plain] = [await tested(true), await tested(false)];
    expect(filled.cost).toBeCloseTo(plain.cost, 6);
    expect(filled.accuracy).toBe(plain.accuracy);
    expect(filled.accuracy).toBeGreaterThan(0);
    expect([filled.progress, plain.progress]).toEqual([
      [4 / 6, 1],
      [4 / 6, 1],
    ]);
  });

  it('makes whole updates of several batches, whatever is left out', async () => {
    const parts: UpdatePart[] = [];
    const outputs = (labels: number) => ({
      [LOSS]: { type: 'float32', dims: [], data: Float32Array.of(1) } as const,
      [LOGITS]: { type: 'float32', dims: [labels, 3], data: new Float32Array(labels * 3) } as const,
    });
    const training = {
      findStray: async () => undefined,
      session: { evalStep: async ({ label }: FeedBatch['feeds']) => outputs(label?.data.length ?? 0) },
      stepper: {
        setLearningRate: async () => {},
        step: async ({ label }: FeedBatch['feeds'], part: UpdatePart) => {
          parts.push(part);
          return { outputs: outputs(label?.data.length ?? 0), skipped: false };
        },
      },
    } as unknown as Training;
    const progress: string[] = [];
    const emit = (event: TrainingEvent) => {
      if (event.type === 'progress') progress.push(`${event.task} ${event.done} of ${event.total}`);
    };
    const options = passOptions({ passes: 1, learningRate: 1, accumulate: 3, classes: dataset.classes, emit });
    await runPasses(training, sourceOf(5), options);
    // 20 of 24 pictures come: an update of three batches of 5, and one of the fourth.
    expect(parts).toEqual([
      { share: 1 / 3, last: false },
      { share: 1 / 3, last: false },
      { share: 1 / 3, last: true },
      { share: 1, last: true },
    ]);
    expect(progress).toEqual([...[5, 10, 15, 20].map((done) => `train ${done} of 20`), 'test 5 of 6', 'test 6 of 6']);
  });
});

describe('the evaluation loss', () => {
  const artifacts = buildArtifacts(model, headOnly('frozen', ADAM_DEFAULTS));
  const evaluation = decodeModel(artifacts.evalModel);
  const pixels = Uint8Array.from({ length: 8 * 32 * 32 * 3 }, (_, index) => (index * 37 + (index >> 5)) % 256);

  async function evaluate(labels: readonly number[], images: Uint8Array, evalModel: Uint8Array) {
    const state = await CheckpointState.load(artifacts.checkpoint);
    const { trainingModel: trainModel } = artifacts;
    const options = { intraOpThreads: 1 };
    const session = await TrainingSession.create({ checkpointState: state, trainModel, evalModel, options });
    const outputs = await session.evalStep({
      image: { type: 'uint8', dims: [8, 32, 32, 3], data: images },
      label: { type: 'int64', dims: [8], data: BigInt64Array.from(labels, BigInt) },
    });
    await session.dispose();
    await state.dispose();
    const [loss, logits] = [LOSS, LOGITS].map((name) => outputs[name]?.data) as [Float32Array, Float32Array];
    return { loss: loss[0] as number, logits };
  }

  it('is that of the plain operator for ordinary labels, to the last bit', async () => {
    const nodes = evaluation.graph.nodes.map((node) => {
      const { ignore_index, ...attributes } = node.attributes;
      if (node.op === 'SoftmaxCrossEntropyLoss') expect(ignore_index?.value).toBe(NO_LABEL);
      return { ...node, attributes };
    });
    const plain = encodeModel({ ...evaluation, graph: { ...evaluation.graph, nodes } });
    expect(Buffer.from(plain).equals(artifacts.evalModel)).toBe(false);
    const labels = [0, 1, 2, 2, 1, 0, 1, 2];
    const [with_, without] = [
      await evaluate(labels, pixels, artifacts.evalModel),
      await evaluate(labels, pixels, plain),
    ];
    expect(with_.loss).toBe(without.loss);
    expect(with_.logits).toEqual(without.logits);
  });

  it('is the mean of the rows that have a label, whatever the others are', async () => {
    const labels = [0, 1, 2, 2, 1, -1, -1, -1];
    const { loss, logits } = await evaluate(labels, pixels, artifacts.evalModel);
    const costs = labels.slice(0, 5).map((label, row) => {
      const scores = [...logits.subarray(row * 3, row * 3 + 3)];
      return Math.log(scores.reduce((sum, score) => sum + Math.exp(score), 0)) - (scores[label] as number);
    });
    expect(loss).toBeCloseTo(costs.reduce((sum, cost) => sum + cost, 0) / 5, 5);
    const others = pixels.slice();
    others.fill(0, 5 * 32 * 32 * 3);
    const black = await evaluate(labels, others, artifacts.evalModel);
    expect(black.logits.subarray(15)).not.toEqual(logits.subarray(15));
    expect(black.loss).toBe(loss);
    expect(countCorrect(logits, BigInt64Array.from(labels, BigInt))).toBe(
      countCorrect(logits.subarray(0, 15), BigInt64Array.from(labels.slice(0, 5), BigInt)),
    );
  });

  it('is the only one that leaves rows out', () => {
    const losses = decodeModel(artifacts.trainingModel).graph.nodes.filter(({ op }) => op.startsWith('SoftmaxCross'));
    expect(losses.map(({ op, attributes }) => [op, Object.keys(attributes)])).toEqual([
      ['SoftmaxCrossEntropyLoss', ['reduction']],
      ['SoftmaxCrossEntropyLossGrad', ['reduction']],
    ]);
  });
});
