import { describe, expect, it } from 'vitest';
import { buildResNet } from '../../onnx/index.ts';
import { anyLive, batchNormModes, parseBatchNorm } from '../../src/training/batch-norm.ts';
import { TINY } from './workshop.ts';

const model = buildResNet(TINY);

describe('BatchNorm by pattern', () => {
  it('takes the first pattern that fits', () => {
    const modes = batchNormModes(model, { 'bn5c*': 'live', 'bn5*': 'affine', '*': 'frozen' });
    expect(modes.size).toBe(53);
    expect([modes.get('bn5c_branch2a'), modes.get('bn5a_branch1'), modes.get('bn_conv1')]).toEqual([
      'live',
      'affine',
      'frozen',
    ]);
    expect([anyLive(modes), anyLive(batchNormModes(model, 'affine'))]).toEqual([true, false]);
  });

  it('names a pattern that fits none, and a BatchNorm that none fits', () => {
    expect(() => batchNormModes(model, { 'bn6*': 'live', '*': 'frozen' })).toThrow(
      /^--bn bn6\*: expected a pattern of .* such as bn_conv1 or bn5c_branch2c, but it fits none\.$/,
    );
    expect(() => batchNormModes(model, { 'bn5*': 'live' })).toThrow(/^--bn: no pattern fits bn_conv1; add '\*=frozen'/);
  });

  it('is read from the words of a command', () => {
    expect(parseBatchNorm(['affine'])).toBe('affine');
    expect(parseBatchNorm(['bn5*=live', '*=frozen'])).toEqual({ 'bn5*': 'live', '*': 'frozen' });
    for (const words of [['dead'], ['live', 'frozen'], ['bn5*=dead'], ['=live']]) {
      expect(() => parseBatchNorm(words)).toThrow(/^--bn: expected one of live, affine, frozen, or patterns/);
    }
  });
});
