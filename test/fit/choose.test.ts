import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { buildResNet, parametersOf, RESNETS, type ResNetOptions } from '../../onnx/index.ts';
import { chooseImageSize, choosePasses, networkOf } from '../../src/fit/choose.ts';
import { torchvision } from '../../src/weights/dialects/torchvision.ts';
import { openWeights, type WeightInfo } from '../../src/weights/index.ts';
import { shared } from '../shared.ts';

describe('the size of the input', () => {
  it.each([
    ['cpu', 500, 128],
    ['cuda', 500, 224],
    ['cuda', 160, 160],
    ['cuda', 170, 160],
    ['cpu', 100, 96],
    ['cpu', 33, 64],
    ['cpu', undefined, 128],
  ] as const)('%s, pictures of %d px: %d', (device, side, size) => {
    expect(chooseImageSize(device, side)).toBe(size);
  });
});

describe('passes', () => {
  it.each([
    ['cpu', 50, 60],
    ['cpu', 1020, 12],
    ['cpu', 100_000, 3],
    ['cuda', 1020, 60],
    ['cuda', 6149, 11],
  ] as const)('%s, %d pictures: %d', (device, pictures, passes) => {
    expect(choosePasses(device, pictures)).toBe(passes);
  });
});

describe('the network of some weights', () => {
  const depths = Object.keys(RESNETS).map(Number) as ResNetOptions['depth'][];
  const cases = depths.flatMap((depth) => [1, 0.5].map((width) => ({ depth, width })));

  // Values do not matter, and making them takes seconds.
  const nothing = (_: string, dims: readonly number[]) =>
    new Float32Array(dims.reduce((product, dim) => product * dim, 1));

  it.each(cases)('ResNet$depth, width $width, by its own names and by torchvision', ({ depth, width }) => {
    const { graph } = buildResNet({ depth, width }, nothing);
    const named = (rename: (name: string) => string | undefined) => {
      const tensors = new Map<string, WeightInfo>();
      for (const { name, dims } of parametersOf(graph)) {
        const other = rename(name);
        if (other !== undefined) tensors.set(other, { name: other, type: 'float32', dims });
      }
      return { tensors };
    };
    expect(networkOf(named((name) => name))).toEqual({ depth, width });
    expect(networkOf(named((name) => torchvision.locate(name)?.name))).toEqual({ depth, width });
  });

  it.skipIf(!shared)('real weights', async () => {
    const file = await openWeights(join(shared as string, 'weights/resnet50-thin.safetensors'));
    expect(networkOf(file)).toEqual({ depth: 50, width: 0.5 });
    await file.close();
  });

  it('says nothing of what it does not know', () => {
    expect(networkOf({ tensors: new Map([['0', { name: '0', type: 'float32', dims: [7] }]]) })).toEqual({});
  });
});
