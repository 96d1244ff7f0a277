import {
  ADAM_DEFAULTS,
  buildResNet,
  extract,
  headOnly,
  LOGITS,
  type Model,
  type TrainingPlan,
  wholeNetwork,
} from '../../onnx/index.ts';
import { basicBlocks, tinyNet, trainedLike } from '../onnx/tiny-nets.ts';

const resNet = (options: Parameters<typeof buildResNet>[0], seed: number) =>
  extract(buildResNet(options, trainedLike(seed)), [], [LOGITS]);

export interface Network {
  readonly model: Model;
  /** Which names the parameters of its last part have. */
  readonly lastPart: RegExp;
}

/** What is trained of a network. */
export type Part = 'head' | 'last part' | 'whole';

const LAST_STAGE = /^(fc_|res5|bn5)/;

/** Networks to compare on: every kind of block, map and input. */
export const NETWORKS = {
  'ResNet50, an eighth wide, 64 px, stride in the 3x3': {
    model: resNet({ width: 0.125, imageSize: 64, classes: 5, strideIn: '3x3', inputNorm: 'imagenet' }, 1),
    lastPart: LAST_STAGE,
  },
  'ResNet50, a quarter wide, 96 px, stride in the 1x1': {
    model: resNet({ width: 0.25, imageSize: 96, classes: 7, strideIn: '1x1', inputNorm: 'caffe' }, 2),
    lastPart: LAST_STAGE,
  },
  'ResNet18, a quarter wide, 64 px': {
    model: resNet({ depth: 18, width: 0.25, imageSize: 64, classes: 3, inputNorm: 'tutorial' }, 3),
    lastPart: LAST_STAGE,
  },
  'blocks of another kind on a map that is not square': {
    model: tinyNet(basicBlocks, { channels: 3, height: 14, width: 9 }, 'pool'),
    lastPart: /^(fc_|b[123]_|bn_b)/,
  },
} satisfies Record<string, Network>;

/** What to train of a network, as the official generator can: BatchNorm is live in all of its training models. */
export function plansFor({ model, lastPart }: Network): Record<Part, TrainingPlan> {
  const whole = wholeNetwork(model, 'live', ADAM_DEFAULTS);
  const names = [...whole.trainable].filter((name) => lastPart.test(name));
  return { head: headOnly('live', ADAM_DEFAULTS), 'last part': { ...whole, trainable: new Set(names) }, whole };
}
