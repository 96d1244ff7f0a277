import { AUGMENTATION_DEFAULTS, type AugmentationOptions } from '../augment/index.ts';
import { OrtuneError } from '../errors.ts';

const GROUP = 'Augmentation:';

/** What is done to training pictures. What is not given is a recipe's, or the library's default. */
export const AUGMENT_FLAGS = {
  'crop-scale': {
    type: 'number',
    group: GROUP,
    describe: 'Random resized crop of at least this share of the picture; otherwise a square at the scale of testing',
  },
  flip: {
    type: 'number',
    group: GROUP,
    defaultDescription: String(AUGMENTATION_DEFAULTS.flip),
    describe: 'Probability of mirroring',
  },
  jitter: {
    type: 'number',
    array: true,
    group: GROUP,
    describe: 'Most change of brightness, contrast, saturation and hue, as 0.4 0.4 0.4 0.1',
  },
  policy: {
    choices: ['none', 'trivial', 'rand'] as const,
    group: GROUP,
    defaultDescription: AUGMENTATION_DEFAULTS.policy,
    describe: 'TrivialAugment or RandAugment',
  },
  erasing: { type: 'number', group: GROUP, describe: 'Probability of painting a rectangle over' },
  mixup: { type: 'number', group: GROUP, describe: 'Alpha of mixup, as 0.2' },
  cutmix: { type: 'number', group: GROUP, describe: 'Alpha of CutMix, as 1' },
} as const;

export interface AugmentArguments {
  cropScale: number | undefined;
  flip: number | undefined;
  jitter: number[] | undefined;
  policy: 'none' | 'trivial' | 'rand' | undefined;
  erasing: number | undefined;
  mixup: number | undefined;
  cutmix: number | undefined;
}

/** The flags that were given as the library's options. @throws OrtuneError `AUGMENT_OPTION` */
export function augmentOptions(args: Partial<AugmentArguments>): AugmentationOptions {
  const { cropScale, flip, jitter, policy, erasing, mixup, cutmix } = args;
  const [brightness, contrast, saturation, hue, ...more] = jitter ?? [];
  if (jitter && (hue === undefined || more.length > 0)) {
    throw new OrtuneError(
      'AUGMENT_OPTION',
      `--jitter: expected four numbers (brightness, contrast, saturation, hue), received ${jitter.length}.`,
    );
  }
  return {
    ...(cropScale !== undefined && { crop: { scale: [cropScale, 1] as const } }),
    ...(flip !== undefined && { flip }),
    ...(hue !== undefined && {
      colourJitter: { brightness: brightness!, contrast: contrast!, saturation: saturation!, hue },
    }),
    ...(policy !== undefined && { policy }),
    ...(erasing !== undefined && { erasing }),
    ...(mixup !== undefined && { mixup }),
    ...(cutmix !== undefined && { cutmix }),
  };
}
