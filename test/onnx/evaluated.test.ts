import { afterAll, describe, expect, it } from 'vitest';
import {
  atImageSize,
  averageOf,
  buildArtifacts,
  buildResNet,
  floatsOf,
  type GraphOptimizer,
  IMAGE,
  LABEL,
  type Model,
  type Optimizer,
  type TrainingPlan,
  UPDATE_INPUTS,
  wholeNetwork,
  withInitializers,
} from '../../onnx/index.ts';
import { Random } from '../../src/random.ts';
import type { Tensors } from '../../src/runtime/index.ts';
import { openSession } from '../../src/training/session.ts';
import { trainedLike } from './tiny-nets.ts';

const network = buildResNet({ depth: 18, width: 1 / 16, imageSize: 32, classes: 3 }, trainedLike(1));
const momentum: GraphOptimizer = {
  algorithm: { kind: 'sgd', momentum: 0.9, nesterov: false },
  weightDecay: 0,
  decays: () => false,
  rate: () => 1,
};

const open: AsyncDisposable[] = [];
afterAll(async () => {
  for (const one of open) await one[Symbol.asyncDispose]();
});

async function start(model: Model, plan: TrainingPlan<Optimizer>, evaluated?: Model) {
  const opened = await openSession(buildArtifacts(model, plan, evaluated), { device: 'cpu', threads: 1 });
  open.push(opened);
  return opened;
}

/** Four pictures of random pixels and their labels. */
function batch(side: number): Tensors {
  const random = new Random(3, 'pixels');
  const data = Uint8Array.from({ length: 4 * side * side * 3 }, () => random.integer(256));
  return {
    [IMAGE]: { type: 'uint8', dims: [4, side, side, 3], data },
    [LABEL]: { type: 'int64', dims: [4], data: BigInt64Array.of(0n, 1n, 2n, 1n) },
  };
}

const update = (averageShare?: number): Tensors => ({
  [UPDATE_INPUTS.update]: { type: 'bool', dims: [1], data: Uint8Array.of(1) },
  [UPDATE_INPUTS.learningRate]: { type: 'float32', dims: [1], data: Float32Array.of(0.01) },
  [UPDATE_INPUTS.lossWeight]: { type: 'float32', dims: [], data: Float32Array.of(1) },
  ...(averageShare !== undefined && {
    [UPDATE_INPUTS.averageShare]: { type: 'float32', dims: [1], data: Float32Array.of(averageShare) },
  }),
});

describe('running averages', () => {
  const plan = wholeNetwork(network, 'affine', { ...momentum, averages: true });

  it('follow the parameters by the share that each step says', async () => {
    const { session, state } = await start(network, plan);
    const valuesOf = async (name: string) => (await state.getParameter(name)).data as Float32Array;
    const watched = ['conv1_weights', 'fc_0.w_0'];
    const expected = new Map<string, Float32Array>(
      watched.map((name) => [name, floatsOf(network.graph.initializers.get(name)!).slice()]),
    );
    for (const share of [0.5, 0.25, 1, 0.01]) {
      await session.trainStep({ ...batch(32), ...update(share) });
      await session.lazyResetGrad();
      for (const name of watched) {
        const now = await valuesOf(name);
        const average = expected.get(name)!.map((value, index) => value + share * (now[index]! - value));
        const actual = await valuesOf(averageOf(name));
        const distance = (from: Float32Array) =>
          actual.reduce((largest, value, index) => Math.max(largest, Math.abs(value - from[index]!)), 0);
        expect(distance(average)).toBeLessThan(1e-6);
        // A share of 1 makes them the same; any other keeps them apart.
        expect(distance(now) < 1e-6).toBe(share === 1);
        expected.set(name, actual);
      }
    }
  });

  it('are what is evaluated', async () => {
    const { session, state } = await start(network, plan);
    for (let step = 0; step < 3; step++) {
      await session.trainStep({ ...batch(32), ...update(0.3) });
      await session.lazyResetGrad();
    }
    const averages = new Map<string, Uint8Array>();
    for (const name of plan.trainable) {
      averages.set(name, new Uint8Array((await state.getParameter(averageOf(name))).data.buffer));
    }
    const averaged = await start(withInitializers(network, averages), wholeNetwork(network, 'affine', momentum));
    const [actual, expected] = [await session.evalStep(batch(32)), await averaged.session.evalStep(batch(32))];
    expect(actual).toEqual(expected);
    const trained = await session.trainStep({ ...batch(32), ...update(0.3) });
    expect(actual['loss']).not.toEqual(trained['loss']);
  });
});

describe('evaluation at another image size', () => {
  it('is that of the network built at that size', async () => {
    const larger = buildResNet({ depth: 18, width: 1 / 16, imageSize: 64, classes: 3 }, trainedLike(1));
    const plan = wholeNetwork(network, 'live', momentum);
    const mixed = await start(network, plan, atImageSize(network, 64));
    const built = await start(larger, plan);
    await mixed.session.trainStep({ ...batch(32), ...update() });
    expect((await mixed.session.evalStep(batch(64)))['loss']).not.toEqual(
      (await built.session.evalStep(batch(64)))['loss'],
    );
    const fresh = await start(network, plan, atImageSize(network, 64));
    expect(await fresh.session.evalStep(batch(64))).toEqual(await built.session.evalStep(batch(64)));
  });

  it('takes the very parameters, and a size that a network can have', () => {
    const larger = atImageSize(network, 96);
    expect(larger.graph.inputs[0]?.dims).toEqual(['batch', 96, 96, 3]);
    for (const [name, { data }] of network.graph.initializers) {
      expect(Buffer.compare(larger.graph.initializers.get(name)!.data, data), name).toBe(0);
    }
    expect(() => atImageSize(network, 33)).toThrow('image-size: expected a multiple of 32');
  });
});
