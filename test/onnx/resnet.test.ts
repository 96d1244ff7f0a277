import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { valueInfo } from '../../onnx/graph.ts';
import { buildResNet, networkOf, RESNET_DEFAULTS, type ResNetOptions, summarise } from '../../onnx/index.ts';
import type { Initialise } from '../../onnx/layers.ts';
import { shared } from '../shared.ts';
import { readSafetensors, readThinWeights } from './thin-weights.ts';

const size = (dims: readonly number[]) => dims.reduce((product, length) => product * length, 1);
const zeros: Initialise = (_name, dims) => new Float32Array(size(dims));
const build = (options: Partial<ResNetOptions> = {}) => buildResNet(options, zeros).graph;

/** The 267 variables of the tutorial's ResNet50, by its rule for names. */
function tutorialNames(): string[] {
  const blocks = ['2a', '2b', '2c', '3a', '3b', '3c', '3d', '4a', '4b', '4c', '4d', '4e', '4f', '5a', '5b', '5c'];
  const branches = blocks.flatMap((block) => {
    const shortcut = block.endsWith('a') ? [`${block}_branch1`] : [];
    return [`${block}_branch2a`, `${block}_branch2b`, `${block}_branch2c`, ...shortcut];
  });
  const norm = (name: string) => [`${name}_scale`, `${name}_offset`, `${name}_mean`, `${name}_variance`];
  return [
    'conv1_weights',
    ...norm('bn_conv1'),
    ...branches.flatMap((branch) => [`res${branch}_weights`, ...norm(`bn${branch}`)]),
    'fc_0.w_0',
    'fc_0.b_0',
  ];
}

describe('ResNet50', () => {
  const graph = build({ classes: 1000, inputNorm: 'caffe' });
  const parameters = [...graph.initializers.values()].filter(({ name }) => !name.startsWith('input_'));

  it("has the tutorial's 267 variables and no other", () => {
    expect(parameters).toHaveLength(267);
    expect(new Set(parameters.map(({ name }) => name))).toEqual(new Set(tutorialNames()));
  });

  it('has the size that torchvision states for it', () => {
    const summary = summarise(graph);
    expect(summary.layers).toEqual({ convolutions: 53, batchNorms: 53, linear: 1 });
    expect(summary.parameters).toBe(25_557_032);
    expect(summary.statistics).toBe(53_120);
    expect(summary.multiplyAdds / 1e9).toBeCloseTo(4.09, 2);
  });

  it('has the operators of the paper, each initializer read once', () => {
    const count = (op: string) => graph.nodes.filter((node) => node.op === op).length;
    expect([count('Relu'), count('Add'), count('MaxPool'), count('GlobalAveragePool')]).toEqual([49, 16, 1, 1]);
    const reads = graph.nodes.flatMap(({ inputs }) => inputs).filter((input) => graph.initializers.has(input));
    expect(reads).toHaveLength(graph.initializers.size);
  });

  it('gives maps of the sizes in table 1 of the paper', () => {
    const dims = (name: string) => valueInfo(graph, name).dims;
    expect(dims('image')).toEqual(['batch', 224, 224, 3]);
    expect(dims('conv1')).toEqual(['batch', 64, 112, 112]);
    expect(dims('pool1')).toEqual(['batch', 64, 56, 56]);
    expect(dims('res2c')).toEqual(['batch', 256, 56, 56]);
    expect(dims('res3d')).toEqual(['batch', 512, 28, 28]);
    expect(dims('res4f')).toEqual(['batch', 1024, 14, 14]);
    expect(dims('res5c')).toEqual(['batch', 2048, 7, 7]);
    expect(dims('features')).toEqual(['batch', 2048]);
    expect(dims('logits')).toEqual(['batch', 1000]);
    expect(dims('probabilities')).toEqual(['batch', 1000]);
  });

  it('knows type and static map size of every tensor between its nodes', () => {
    for (const name of graph.nodes.flatMap(({ outputs }) => outputs)) {
      const [batch, ...rest] = valueInfo(graph, name).dims;
      expect(batch).toBe('batch');
      expect(rest.every((length) => typeof length === 'number' && length > 0)).toBe(true);
    }
  });
});

describe('where a stage halves the map', () => {
  const strides = (strideIn: ResNetOptions['strideIn'], name: string) =>
    build({ strideIn }).nodes.find((node) => node.outputs[0] === name)?.attributes['strides']?.value;

  it('is the 3x3 convolution in torchvision and the tutorial', () => {
    expect(strides('3x3', 'res3a_branch2a')).toEqual([1, 1]);
    expect(strides('3x3', 'res3a_branch2b')).toEqual([2, 2]);
    expect(strides('3x3', 'res3a_branch1')).toEqual([2, 2]);
    expect(strides('3x3', 'res2a_branch1')).toEqual([1, 1]);
  });

  it('is the first 1x1 convolution in the original paper, at 3.8 billion multiply-adds', () => {
    expect(strides('1x1', 'res3a_branch2a')).toEqual([2, 2]);
    expect(strides('1x1', 'res3a_branch2b')).toEqual([1, 1]);
    expect(summarise(build({ strideIn: '1x1', classes: 1000 })).multiplyAdds / 1e9).toBeCloseTo(3.86, 2);
  });
});

describe('the options that a network was built from', () => {
  it('are kept in the model, defaults filled in', () => {
    expect(networkOf(buildResNet({ width: 0.125, classes: 5 }, zeros))).toEqual({
      ...RESNET_DEFAULTS,
      width: 0.125,
      classes: 5,
    });
    expect(networkOf({ graph: build({ width: 0.125 }), opsets: new Map(), metadata: new Map() })).toBeUndefined();
  });

  const refusals: [Partial<Record<keyof ResNetOptions, unknown>>, RegExp][] = [
    [{ depth: 42 }, /^depth: expected one of .*50.*, received 42$/],
    [{ strideIn: '5x5' }, /^stride-in: expected one of 3x3, 1x1, received 5x5$/],
    [{ inputNorm: 'zero' }, /^input-norm: expected one of imagenet, caffe, tutorial, received zero$/],
    [{ width: 0 }, /^width: expected .*at least one channel.*, received 0$/],
    [{ width: 17 }, /^width: expected .*at most 16, received 17$/],
    [{ width: Number.NaN }, /^width: expected .*, received NaN$/],
    [{ classes: 1 }, /^classes: expected a whole number from 2 up, received 1$/],
    [{ classes: 2.5 }, /^classes: expected .*, received 2.5$/],
    [{ imageSize: 0 }, /^image-size: expected a multiple of 32 from 32 up, received 0$/],
    [{ imageSize: 225 }, /^image-size: expected .*, received 225$/],
    [{ seed: 0.5 }, /^seed: expected a whole number, received 0.5$/],
  ];
  it.each(refusals)('are checked: %o', (options, message) => {
    const attempt = () => buildResNet(options as Partial<ResNetOptions>, zeros);
    expect(attempt).toThrow(message);
    expect(attempt).toThrow(expect.objectContaining({ code: 'GRAPH_OPTION' }));
  });
});

describe.skipIf(!shared)('beside pretrained weights (needs ORTUNE_SHARED)', () => {
  it('has the shapes of the thin network, name by name', () => {
    const graph = build({ width: 0.5, strideIn: '1x1', classes: 2 });
    const thin = readThinWeights(shared!);
    expect(thin.size).toBe(267);
    for (const [name, { dims }] of thin) expect([name, graph.initializers.get(name)?.dims]).toEqual([name, dims]);
    const counted = [...readSafetensors(shared!, 'resnet50-thin.safetensors')];
    const total = counted.reduce((sum, [, { data }]) => sum + data.length, 0);
    const { parameters, statistics } = summarise(graph);
    expect(parameters + statistics).toBe(total);
  });

  it("has the sizes of PaddlePaddle's own files", () => {
    const graph = build({ strideIn: '1x1', classes: 1000 });
    const folder = join(shared!, 'weights', 'ResNet50_pretrained-partial');
    const files = readdirSync(folder).filter((name) => graph.initializers.has(name));
    expect(files).toHaveLength(257);
    for (const name of files) {
      // The record's header takes less than a hundred bytes.
      const header = statSync(join(folder, name)).size - (graph.initializers.get(name)?.data.byteLength ?? 0);
      expect(header, name).toBeGreaterThan(20);
      expect(header, name).toBeLessThan(100);
    }
  });
});
