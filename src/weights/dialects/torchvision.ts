import type { Dialect, SourceName } from './dialect.ts';

const BATCH_NORM: Readonly<Record<string, string>> = {
  scale: 'weight',
  offset: 'bias',
  mean: 'running_mean',
  variance: 'running_var',
};

const FIXED: ReadonlyMap<string, SourceName> = new Map([
  ['conv1_weights', { name: 'conv1.weight' }],
  ['fc_0.w_0', { name: 'fc.weight', transpose: true }],
  ['fc_0.b_0', { name: 'fc.bias' }],
]);

/** torchvision's ResNet names (torchvision/models/resnet.py); timm's are the same. */
export const torchvision: Dialect = {
  name: 'torchvision',
  locate(parameter) {
    const stem = /^bn_conv1_(scale|offset|mean|variance)$/.exec(parameter);
    if (stem) return { name: `bn1.${BATCH_NORM[stem[1]!]}` };
    return FIXED.get(parameter) ?? locateInBlock(parameter);
  },
  isBookkeeping: (name) => name.endsWith('.num_batches_tracked'),
};

/**
 * `res2a_branch2b_weights` is `layer1.0.conv2.weight`, `bn2a_branch1_mean` is `layer1.0.downsample.1.running_mean`.
 * Blocks count a, b, c, ... or, in the long stages of ResNet101 and 152, a, b1, b2, ...
 */
function locateInBlock(parameter: string): SourceName | undefined {
  const match = /^(?:res|bn)([2-5])([a-z])(\d*)_branch(1|2[abc])_(weights|scale|offset|mean|variance)$/.exec(parameter);
  if (!match) return undefined;
  const [, stage, letter, number, branch, part] = match;
  const block = number ? Number(number) : letter!.charCodeAt(0) - 97;
  const prefix = `layer${Number(stage) - 1}.${block}.`;
  const shortcut = branch === '1';
  // branch2a, 2b, 2c are conv1, conv2, conv3 in that order.
  const place = shortcut ? 0 : branch!.charCodeAt(1) - 96;
  if (part === 'weights') return { name: prefix + (shortcut ? 'downsample.0.weight' : `conv${place}.weight`) };
  return { name: `${prefix}${shortcut ? 'downsample.1' : `bn${place}`}.${BATCH_NORM[part!]}` };
}
