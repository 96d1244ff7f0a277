import { describe, expect, it } from 'vitest';
import { torchvision } from '../../src/weights/dialects/torchvision.ts';
import { resnetParameters } from './helpers.ts';

describe('torchvision names', () => {
  it.each([
    ['conv1_weights', 'conv1.weight'],
    ['bn_conv1_scale', 'bn1.weight'],
    ['bn_conv1_offset', 'bn1.bias'],
    ['bn_conv1_mean', 'bn1.running_mean'],
    ['bn_conv1_variance', 'bn1.running_var'],
    ['res2a_branch2a_weights', 'layer1.0.conv1.weight'],
    ['res3d_branch2b_weights', 'layer2.3.conv2.weight'],
    ['res4f_branch2c_weights', 'layer3.5.conv3.weight'],
    ['res5a_branch1_weights', 'layer4.0.downsample.0.weight'],
    ['bn2a_branch2a_scale', 'layer1.0.bn1.weight'],
    ['bn5c_branch2c_variance', 'layer4.2.bn3.running_var'],
    ['bn3a_branch1_offset', 'layer2.0.downsample.1.bias'],
    // ResNet101 and 152 as Paddle names them: stage 4 is a, b1, ..., b22 or b35.
    ['res4b1_branch2a_weights', 'layer3.1.conv1.weight'],
    ['bn4b35_branch2c_mean', 'layer3.35.bn3.running_mean'],
    ['fc_0.b_0', 'fc.bias'],
  ])('%s is %s', (parameter, name) => {
    expect(torchvision.locate(parameter)).toEqual({ name });
  });

  it('turns the head round', () => {
    expect(torchvision.locate('fc_0.w_0')).toEqual({ name: 'fc.weight', transpose: true });
  });

  it('knows each of ResNet50, under a name of its own', () => {
    const names = resnetParameters({}).map(({ name }) => torchvision.locate(name)?.name);
    expect(names).toHaveLength(267);
    expect(names).not.toContain(undefined);
    expect(new Set(names).size).toBe(267);
  });

  it.each(['res6a_branch2a_weights', 'res2a_branch2d_weights', 'res2a_branch2a', 'constructor', ''])(
    'has none for %j',
    (name) => {
      expect(torchvision.locate(name)).toBeUndefined();
    },
  );
});
