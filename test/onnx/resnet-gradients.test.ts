import { describe, expect, it } from 'vitest';
import {
  ADAM_DEFAULTS,
  type BatchNormMode,
  buildResNet,
  extract,
  LOGITS,
  PIXELS,
  wholeNetwork,
} from '../../onnx/index.ts';
import type { Initialise } from '../../onnx/layers.ts';
import { Random } from '../../src/random.ts';
import { batchFor, type Direction, difference, lossOf, runtimeStep } from './gradients.ts';
import { trainedLike } from './tiny-nets.ts';

/** Small residual branches keep the function smooth enough for differences: at full scale its slopes reach a thousand. */
const initialise: Initialise = (name, dims, kind) => {
  const values = trainedLike(1)(name, dims, kind);
  return name.endsWith('_branch2c_scale') ? values.map((value) => value / 5) : values;
};

/** A whole ResNet50, four channels wide in its first stage. */
const network = extract(buildResNet({ width: 1 / 16, imageSize: 32, classes: 3 }, initialise), [PIXELS], [LOGITS]);
const batch = batchFor(network, 6);

/** Parts of the network by what the names of their parameters begin with. */
const parts = [/^(bn_)?conv1/, /^(res|bn)2/, /^(res|bn)3/, /^(res|bn)4/, /^(res|bn)5/, /^fc_0/];

describe.each<BatchNormMode>(['live', 'affine'])('the gradient of ResNet50 with BatchNorm %s', (batchNorm) => {
  it('equals central differences in random directions of every part', async () => {
    const plan = wholeNetwork(network, batchNorm, ADAM_DEFAULTS);
    expect(plan.trainable.size).toBe(161);
    const loss = lossOf(network, plan, batch);
    const step = await runtimeStep(network, plan, batch);
    expect(step.loss).toBeCloseTo(loss(), 3);

    for (const part of parts) {
      const random = new Random(2, `direction ${part}`);
      const names = [...plan.trainable].filter((name) => part.test(name));
      const direction: Direction = new Map(
        names.map((name) => [name, Float64Array.from(step.gradients.get(name)!, () => random.normal())]),
      );
      const expected = difference(loss, network, direction);
      const actual = names.reduce((sum, name) => sum + dot(step.gradients.get(name)!, direction.get(name)!), 0);
      const scale = Math.hypot(...names.map((name) => Math.hypot(...step.gradients.get(name)!)));
      expect(Math.abs(actual - expected), `${part}`).toBeLessThan(1e-4 * scale);
    }
  });
});

function dot(left: Float32Array, right: Float64Array): number {
  return right.reduce((sum, value, index) => sum + value * left[index]!, 0);
}
