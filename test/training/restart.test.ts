import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADAM_DEFAULTS, buildResNet, HEAD_PARAMETERS, LABEL, type Optimizer, wholeNetwork } from '../../onnx/index.ts';
import type { Tensor } from '../../src/runtime/index.ts';
import { openTraining } from '../../src/training/session.ts';
import { SGD } from '../onnx/gradients.ts';
import { openWorkshop, TINY, type Workshop } from './workshop.ts';

let workshop: Workshop;
beforeAll(async () => {
  workshop = await openWorkshop();
});
afterAll(() => workshop.remove());

const model = buildResNet(TINY);
const feeds: Record<string, Tensor> = {
  image: {
    type: 'uint8',
    dims: [4, 32, 32, 3],
    data: Uint8Array.from({ length: 4 * 3072 }, (_, index) => index % 251),
  },
  [LABEL]: { type: 'int64', dims: [4], data: BigInt64Array.of(0n, 1n, 2n, 0n) },
};
const optimizers: Record<string, Optimizer> = {
  "ONNX Runtime's optimizer": ADAM_DEFAULTS,
  'one in the graph': { ...SGD, averages: true },
};

describe.each(Object.entries(optimizers))('a training with %s', (_, optimizer) => {
  const open = () => openTraining(model, wholeNetwork(model, 'live', optimizer), { device: 'cpu', threads: 1 });
  const step = async ({ stepper }: Awaited<ReturnType<typeof open>>) => {
    await stepper.setLearningRate(0.01);
    const { outputs } = await stepper.step({ ...feeds }, { share: 1, last: true });
    return outputs['loss']?.data[0];
  };

  it('starts again from a file, or from the beginning, moments and all', async () => {
    await using training = await open();
    const losses = [await step(training), await step(training)];
    const file = join(workshop.folder, 'state');
    await training.state.save(file);
    losses.push(await step(training), await step(training));
    expect(new Set(losses).size).toBe(4);
    await training.restart(file);
    expect([await step(training), await step(training)]).toEqual(losses.slice(2));
    await training.restart(undefined);
    expect([await step(training), await step(training)]).toEqual(losses.slice(0, 2));
  });

  it('finds what is no finite number wherever it is', async () => {
    await using training = await open();
    expect(await training.findStray('all')).toBeUndefined();
    const names = ['res4a_branch2b_weights', 'bn5c_branch2c_variance', HEAD_PARAMETERS[1]];
    if ('averages' in optimizer) names.push(`${HEAD_PARAMETERS[1]}.average`);
    for (const name of names) {
      const before = await training.state.getParameter(name);
      const data = Float32Array.from(before.data as Float32Array);
      data[data.length - 1] = Number.NEGATIVE_INFINITY;
      await training.state.updateParameter(name, { type: 'float32', dims: before.dims, data });
      expect(await training.findStray('all')).toEqual({ name, value: Number.NEGATIVE_INFINITY });
      expect(await training.findStray('last')).toBeUndefined();
      await training.state.updateParameter(name, before);
    }
  });
});
