import { describe, expect, it } from 'vitest';
import { LOSS_SCALE, OVERFLOW, UPDATE_INPUTS } from '../../onnx/index.ts';
import type { Tensors } from '../../src/runtime/index.ts';
import { LossScale } from '../../src/training/loss-scale.ts';
import { graphStepper, libraryStepper, type StepSession } from '../../src/training/stepper.ts';

describe('the loss scale', () => {
  // The defaults in PyTorch's documentation of torch.amp.GradScaler.
  it('starts at 65536, halves at an overflow and doubles after 2000 updates without one', () => {
    const scale = new LossScale();
    expect(scale.value).toBe(65536);
    scale.settle(true);
    scale.settle(true);
    expect(scale.value).toBe(16384);
    for (let update = 0; update < 1999; update++) scale.settle(false);
    expect(scale.value).toBe(16384);
    scale.settle(false);
    expect(scale.value).toBe(32768);
    for (let update = 0; update < 1999; update++) scale.settle(false);
    scale.settle(true);
    for (let update = 0; update < 1999; update++) scale.settle(false);
    expect(scale.value).toBe(16384);
  });

  it('gives up where gradients overflow at any scale', () => {
    const scale = new LossScale();
    for (let update = 0; update < 16; update++) scale.settle(true);
    expect(scale.value).toBe(1);
    expect(() => scale.settle(true)).toThrow(/overflow even at a loss scale of 1\. .*--precision fp32/);
  });
});

/** A session that only notes what is asked of it, and whose gradients overflow above a loss scale. */
function session(bears: number) {
  const log: string[] = [];
  const fake: StepSession = {
    trainInputNames: ['image', 'label', LOSS_SCALE],
    async trainStep(feeds: Tensors) {
      const scale = feeds[LOSS_SCALE]?.data[0] as number;
      const update = feeds[UPDATE_INPUTS.update]?.data[0];
      log.push(update === undefined ? `train at ${scale}` : `train at ${scale}, update ${update}`);
      return { [OVERFLOW]: { type: 'bool', dims: [1], data: Uint8Array.of(Number(scale > bears)) } };
    },
    async optimizerStep() {
      log.push('update');
    },
    async lazyResetGrad() {
      log.push('reset');
    },
    async setLearningRate() {},
  };
  return { fake, log };
}

describe('a step whose gradients overflow', () => {
  it("makes no update with the library's optimizer, and the next goes on at half the scale", async () => {
    const { fake, log } = session(32768);
    const stepper = libraryStepper(fake);
    const whole = { share: 1, last: true };
    const skipped = [await stepper.step({}, whole), await stepper.step({}, whole)].map((result) => result.skipped);
    expect(skipped).toEqual([true, false]);
    expect(log).toEqual(['train at 65536', 'reset', 'train at 32768', 'update', 'reset']);
  });

  it('spoils the whole update that its batch is a part of', async () => {
    const { fake, log } = session(32768);
    const stepper = graphStepper(fake);
    const parts = [false, false, true].map((last) => ({ share: 1 / 3, last }));
    const skipped: boolean[] = [];
    for (const part of [...parts, ...parts]) skipped.push((await stepper.step({}, part)).skipped);
    expect(skipped).toEqual([false, false, true, false, false, false]);
    const once = (scale: number, update: number) => [
      `train at ${scale}, update 0`,
      `train at ${scale}, update 0`,
      `train at ${scale}, update ${update}`,
      'reset',
    ];
    expect(log).toEqual([...once(65536, 0), ...once(32768, 1)]);
  });

  it('in the last batch alone is left to the graph, which sees it too', async () => {
    const { fake, log } = session(32768);
    const stepper = graphStepper(fake);
    expect((await stepper.step({}, { share: 1, last: true })).skipped).toBe(true);
    expect(log).toEqual(['train at 65536, update 1', 'reset']);
  });
});
