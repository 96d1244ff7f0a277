import { describe, expect, it } from 'vitest';
import {
  buildResNet,
  bytesOf,
  extract,
  FEATURES,
  floatsOf,
  HEAD_PARAMETERS,
  IMAGE,
  LOGITS,
  PIXELS,
  PROBABILITIES,
  withInitializers,
} from '../../onnx/index.ts';

const model = buildResNet({ width: 1 / 16, imageSize: 64, classes: 6, inputNorm: 'imagenet' });
const names = (values: Iterable<{ name: string }>) => [...values].map(({ name }) => name);
const ops = ({ graph }: typeof model) => graph.nodes.map(({ op }) => op);

describe('a part of a model', () => {
  it('knows the shape of what was an output and lies within the part', () => {
    const { graph } = extract(model, [], [PROBABILITIES]);
    expect(graph.values.get(LOGITS)).toEqual(model.graph.outputs.find(({ name }) => name === LOGITS));
  });

  it('ends at the wanted outputs', () => {
    const { graph } = extract(model, [], [FEATURES]);
    expect(graph.inputs).toEqual([{ name: IMAGE, type: 'uint8', dims: ['batch', 64, 64, 3] }]);
    expect(graph.outputs).toEqual([{ name: FEATURES, type: 'float32', dims: ['batch', 128] }]);
    expect(graph.nodes.at(-1)?.op).toBe('Flatten');
    expect(names(graph.initializers.values())).not.toEqual(expect.arrayContaining([...HEAD_PARAMETERS]));
    expect(graph.initializers.size).toBe(model.graph.initializers.size - 2);
  });

  it('begins at the given inputs', () => {
    const part = extract(model, [FEATURES], [LOGITS, PROBABILITIES]);
    expect(part.graph.inputs).toEqual([{ name: FEATURES, type: 'float32', dims: ['batch', 128] }]);
    expect(ops(part)).toEqual(['Gemm', 'Softmax']);
    expect(names(part.graph.initializers.values())).toEqual([...HEAD_PARAMETERS]);
    expect(part.graph.values.size).toBe(0);
  });

  it('leaves out the input that nothing reads any more', () => {
    const part = extract(model, [PIXELS], [LOGITS]);
    expect(names(part.graph.inputs)).toEqual([PIXELS]);
    expect(ops(part)[0]).toBe('Conv');
    expect(names(part.graph.initializers.values()).some((name) => name.startsWith('input_'))).toBe(false);
  });

  it('is the whole where everything is wanted', () => {
    expect(extract(model, [], [LOGITS, PROBABILITIES])).toEqual(model);
  });

  it('can be one tensor: an input that is an output', () => {
    const { graph } = extract(model, [FEATURES], [FEATURES]);
    expect([graph.nodes, names(graph.inputs), names(graph.outputs)]).toEqual([[], [FEATURES], [FEATURES]]);
  });

  it('keeps opsets and metadata', () => {
    const { opsets, metadata } = extract(model, [], [FEATURES]);
    expect({ opsets, metadata }).toEqual({ opsets: model.opsets, metadata: model.metadata });
  });

  it('is refused for a tensor that is not there', () => {
    expect(() => extract(model, [], ['logit'])).toThrow("graph 'resnet50' has no tensor 'logit'");
    expect(() => extract(model, ['feature'], [LOGITS])).toThrow("has no tensor 'feature'");
  });
});

describe('other values for initializers', () => {
  it('take the place of the old ones, in the same order, the model being left as it was', () => {
    const bias = Float32Array.of(1, 2, 3, 4, 5, 6);
    const before = floatsOf(model.graph.initializers.get('fc_0.b_0')!).slice();
    const changed = withInitializers(model, new Map([['fc_0.b_0', bytesOf(bias)]]));
    expect(floatsOf(changed.graph.initializers.get('fc_0.b_0')!)).toEqual(bias);
    expect(floatsOf(model.graph.initializers.get('fc_0.b_0')!)).toEqual(before);
    expect([...changed.graph.initializers.keys()]).toEqual([...model.graph.initializers.keys()]);
    expect(changed.graph.initializers.get('fc_0.w_0')).toBe(model.graph.initializers.get('fc_0.w_0'));
  });

  it('are refused under an unknown name or of another size', () => {
    const set = (name: string, length: number) => () =>
      withInitializers(model, new Map([[name, new Uint8Array(length)]]));
    expect(set('fc_0.b_1', 24)).toThrow("graph 'resnet50' has no initializer 'fc_0.b_1'");
    expect(set('fc_0.b_0', 20)).toThrow("initializer 'fc_0.b_0': expected 24 bytes, received 20");
  });
});
