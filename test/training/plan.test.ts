import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ADAM_DEFAULTS,
  buildResNet,
  decodeModel,
  type GraphOptimizer,
  HEAD_PARAMETERS,
  type Kernels,
} from '../../onnx/index.ts';
import { finetune, pretrain } from '../../src/training/index.ts';
import { FINETUNE_DEFAULTS } from '../../src/training/options.ts';
import { type PlanSettings, planOf } from '../../src/training/plan.ts';
import { openWorkshop, TINY, type Workshop } from './workshop.ts';

const model = buildResNet(TINY);
const plan = (changes: Partial<PlanSettings>, kernels: Kernels = 'native') =>
  planOf(model, { ...FINETUNE_DEFAULTS, ...changes }, { labels: [0, 0, 0, 1, 2, 2], softLabels: false, kernels });

describe('a plan', () => {
  it("takes ONNX Runtime's own Adam where that is all that is asked, and there is no operator", () => {
    expect(plan({}, 'stock').optimizer).toEqual(ADAM_DEFAULTS);
    expect(plan({}).optimizer).toMatchObject({ algorithm: { kind: 'adam', ...ADAM_DEFAULTS }, weightDecay: 0 });
    expect(plan({}).trainable.size).toBe(161);
  });

  it('trains what the patterns name, running statistics never', () => {
    const { trainable } = plan({ train: ['fc_*', 'bn5c_branch2?_*'] });
    const ends = ['_scale', '_offset'];
    const expected = ['a', 'b', 'c'].flatMap((branch) => ends.map((end) => `bn5c_branch2${branch}${end}`));
    expect([...trainable].sort()).toEqual([...expected, ...HEAD_PARAMETERS].sort());
  });

  it('has weights decay and neither BatchNorm nor bias, the backbone at its own rate', () => {
    const optimizer = plan({ optimizer: 'adamw', weightDecay: 0.1, backboneRate: 0.5 }).optimizer as GraphOptimizer;
    const names = ['conv1_weights', 'bn_conv1_scale', 'bn_conv1_offset', 'fc_0.w_0', 'fc_0.b_0'];
    expect(names.map(optimizer.decays)).toEqual([true, false, false, true, false]);
    expect(names.map(optimizer.rate)).toEqual([0.5, 0.5, 0.5, 1, 1]);
  });

  it('has the learning rate fall from layer to layer', () => {
    const { rate } = plan({ optimizer: 'sgd', layerDecay: 0.5, backboneRate: 0.1 }).optimizer as GraphOptimizer;
    // 16 residual blocks and the stem.
    const names = ['fc_0.b_0', 'res5c_branch2a_weights', 'bn5c_branch2c_scale', 'res5b_branch2a_weights'];
    expect(names.map(rate)).toEqual([1, 0.1 * 0.5, 0.1 * 0.5, 0.1 * 0.25]);
    expect(rate('res2a_branch1_weights')).toBeCloseTo(0.1 * 0.5 ** 16, 12);
    expect([rate('conv1_weights'), rate('bn_conv1_offset')]).toEqual([0.1 * 0.5 ** 17, 0.1 * 0.5 ** 17]);
  });

  it('weighs classes so that each counts the same', () => {
    // Pictures by class: 3, 1, 2; scikit-learn's balanced weights are n / (classes * count).
    expect(plan({ classWeights: 'balanced' }).loss?.classWeights).toEqual([6 / 9, 2, 1]);
    expect(plan({ classWeights: [1, 2, 3] }).loss?.classWeights).toEqual([1, 2, 3]);
    expect(plan({}).loss?.classWeights).toBeUndefined();
  });

  it('leaves frozen BatchNorms alone, scale and offset too', () => {
    const { trainable } = plan({ batchNorm: { 'bn5*': 'affine', '*': 'frozen' } });
    const affine = [...trainable].filter((name) => /_(scale|offset)$/.test(name));
    expect(affine).toHaveLength(20);
    expect(affine.every((name) => name.startsWith('bn5'))).toBe(true);
    expect(() => plan({ train: ['bn4*'], batchNorm: 'frozen' })).toThrow(
      /--train bn4\*: .*fits none that can be trained/,
    );
  });

  it.each([
    [{ layerDecay: 0 }, 'layer-decay: expected a number above 0 and at most 1, received 0'],
    [{ train: ['res6*'] }, /--train res6\*: .* such as conv1_weights, .*fits none/],
    [{ weightDecay: 0.1 }, /--weight-decay: expected with --optimizer adamw or sgd/],
    [{ accumulate: 0 }, 'accumulate: expected a whole number from 1 up, received 0'],
    [{ momentum: 1 }, 'momentum: expected a number from 0 to below 1, received 1'],
    [{ clipNorm: -1 }, 'clip-norm: expected a number from 0 up, received -1'],
    [{ labelSmoothing: 1 }, 'label-smoothing: expected a number from 0 to below 1, received 1'],
    [{ backboneRate: Number.NaN }, 'backbone-rate: expected a number from 0 up, received NaN'],
  ])('of %j is refused', (changes, message) => {
    expect(() => plan(changes)).toThrow(message);
  });
});

describe('stage two by a plan', () => {
  let workshop: Workshop;
  beforeAll(async () => {
    workshop = await openWorkshop();
    await pretrain({
      data: workshop.data,
      graph: workshop.graph,
      weights: 'none',
      passes: 1,
      out: workshop.path('one'),
    });
  });
  afterAll(() => workshop.remove());

  const run = async (options: Partial<Parameters<typeof finetune>[0]>) => {
    const base = { data: workshop.data, from: workshop.path('one'), passes: 1, threads: 1, device: 'cpu' } as const;
    const { history } = await finetune({ ...base, ...options, out: workshop.path('two') });
    const { initializers } = decodeModel(await readFile(workshop.path('two/model.onnx'))).graph;
    return { history, initializers };
  };

  it('changes what it names and nothing else', async () => {
    const before = decodeModel(await readFile(workshop.path('one/graph.onnx'))).graph.initializers;
    const { initializers } = await run({
      train: ['fc_*', 'res5c_*'],
      batchNorm: 'frozen',
      optimizer: 'adamw',
      weightDecay: 0.01,
    });
    const changed = [...before.values()].filter(
      ({ name, data }) => !Buffer.from(data).equals(initializers.get(name)?.data ?? Buffer.of()),
    );
    const expected = ['a', 'b', 'c'].map((branch) => `res5c_branch2${branch}_weights`);
    expect(changed.map(({ name }) => name).sort()).toEqual([...expected, ...HEAD_PARAMETERS].sort());
  });

  it.each([
    ['one weight', 'none'],
    ['weights', [1, 2, 5]],
  ] as const)('makes of four batches of 6 what it makes of one of 24, classes of %s', async (_, classWeights) => {
    const options = {
      classWeights,
      batchNorm: 'frozen',
      optimizer: 'sgd',
      learningRate: 0.01,
      clipNorm: 1,
      passes: 2,
      augment: false,
    } as const;
    const whole = await run({ ...options, batchSize: 24 });
    const parts = await run({ ...options, batchSize: 6, accumulate: 4 });
    // The last update of a pass has fewer batches: here one of 4 pictures after one of 20.
    const uneven = await run({ ...options, batchSize: 10, accumulate: 3 });
    for (const { initializers, history } of [parts, uneven]) {
      expect(history[1]?.testCost).toBeCloseTo(whole.history[1]?.testCost as number, 3);
      const values = (tensors: typeof initializers) =>
        new Float32Array(Uint8Array.from(tensors.get('fc_0.w_0')?.data ?? []).buffer);
      const [one, other] = [values(initializers), values(whole.initializers)];
      expect(Math.max(...one.map((value, index) => Math.abs(value - (other[index] as number))))).toBeLessThan(1e-4);
    }
  });
});
