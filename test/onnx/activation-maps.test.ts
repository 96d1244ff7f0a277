import { describe, expect, it } from 'vitest';
import {
  ACTIVATION_MAPS,
  buildResNet,
  encodeModelChunks,
  extract,
  floatsOf,
  HEAD_PARAMETERS,
  IMAGE,
  LOGITS,
  PROBABILITIES,
  parametersOf,
  type ResNetOptions,
  withActivationMaps,
} from '../../onnx/index.ts';
import { InferenceWorker } from '../../src/inference/index.ts';

const BIAS = Float32Array.of(0.5, -1, 2);
const NETWORKS: Record<string, Partial<ResNetOptions>> = {
  'ResNet50, thin': { width: 0.125, imageSize: 64 },
  'ResNet18, thinner': { depth: 18, width: 0.0625, imageSize: 96 },
  'ResNet50 with dropout and strides in 1x1': { width: 0.125, imageSize: 64, dropout: 0.4, strideIn: '1x1' },
};

function build(options: Partial<ResNetOptions>) {
  const model = buildResNet({ ...options, classes: 3, seed: 5 });
  floatsOf(model.graph.initializers.get('fc_0.b_0')!).set(BIAS);
  return model;
}

describe.each(Object.entries(NETWORKS))('class-activation maps of %s', (_, options) => {
  it('have the mean "logit - bias", and leave the other outputs as they are', async () => {
    const model = build(options);
    const side = options.imageSize!;
    const data = Uint8Array.from({ length: 2 * side * side * 3 }, (_, index) => (index * 7919) % 251);
    const feeds = { [IMAGE]: { type: 'uint8', dims: [2, side, side, 3], data } } as const;
    await using bare = await InferenceWorker.create([...encodeModelChunks(model)], { threads: 1 });
    await using mapped = await InferenceWorker.create([...encodeModelChunks(withActivationMaps(model))], {
      threads: 1,
    });
    const before = await bare.run(feeds);
    const outputs = await mapped.run(feeds);
    expect(Object.keys(outputs)).toEqual([LOGITS, PROBABILITIES, ACTIVATION_MAPS]);
    expect(outputs[PROBABILITIES]).toEqual(before[PROBABILITIES]);

    const { dims, data: maps } = outputs[ACTIVATION_MAPS]!;
    const places = (side / 32) ** 2;
    expect(dims).toEqual([2, 3, side / 32, side / 32]);
    const logits = outputs[LOGITS]!.data as Float32Array;
    for (const [row, logit] of logits.entries()) {
      const map = (maps as Float32Array).subarray(row * places, (row + 1) * places);
      const mean = map.reduce((sum, value) => sum + value, 0) / places;
      expect(mean + BIAS[row % 3]!).toBeCloseTo(logit, 4);
    }
    // A map that says the same of every place shows nothing.
    expect(new Set(maps as Float32Array).size).toBeGreaterThan(places);
  });
});

describe('the graph', () => {
  const model = build({ width: 0.125, imageSize: 32 });
  const served = extract(model, [], [PROBABILITIES]);

  it('keeps each weight once and under its name', () => {
    const { graph } = withActivationMaps(served);
    expect(graph.outputs.map(({ name }) => name)).toEqual([PROBABILITIES, ACTIVATION_MAPS]);
    const added = [...graph.initializers.keys()].filter((name) => !served.graph.initializers.has(name));
    expect(added).toEqual(['activation_axes']);
    expect(parametersOf(graph)).toEqual(parametersOf(served.graph));
    expect(graph.initializers.get(HEAD_PARAMETERS[0])).toBe(served.graph.initializers.get(HEAD_PARAMETERS[0]));
  });

  it('must have features and a head', () => {
    expect(() => withActivationMaps(extract(model, ['features'], [PROBABILITIES]))).toThrow('no pooled features');
  });
});
